"""The guide's ``python -m src.monitoring.alerting``; the same as ``cardwatch alert test``."""

from cardwatch.cli import alert_test_main

if __name__ == "__main__":
    alert_test_main()
