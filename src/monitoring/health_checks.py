"""The guide's ``python -m src.monitoring.health_checks``; the same as ``cardwatch health``."""

from cardwatch.cli import health_main

if __name__ == "__main__":
    health_main()
