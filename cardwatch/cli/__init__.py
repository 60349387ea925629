"""The command line: options in, one line and an exit code out."""

from cardwatch.cli.app import alert_test_main, app, health_main, main, run_main

__all__ = ["alert_test_main", "app", "health_main", "main", "run_main"]
