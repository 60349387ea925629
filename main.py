"""The deployment guide's command: ``python main.py --reporting-week 2025-46 --output-dir outputs``.

The same as ``cardwatch run`` with the same options.
"""

from cardwatch.cli import run_main

if __name__ == "__main__":
    run_main()
