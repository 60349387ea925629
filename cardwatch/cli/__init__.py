"""The command line: options in, one line and an exit code out."""

from cardwatch.cli.app import app, main, run_main

__all__ = ["app", "main", "run_main"]
