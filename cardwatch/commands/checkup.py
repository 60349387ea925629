"""Checking everything a run needs and has left behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

from cardwatch import console
from cardwatch.checkup import CheckResult, check_up, document, exit_code
from cardwatch.checkup.results import failed
from cardwatch.config import LoadedConfig
from cardwatch.errors import CardwatchError
from cardwatch.session import command_log, day_of


def doctor_command(load: Callable[[], LoadedConfig], as_json: bool) -> None:
    """Check everything, tell what was found, and end with the code of the worst of it."""
    console.use_width()
    with console.waiting("Checking"):
        results = _results(load)
    if as_json:
        console.write_json(json.dumps(document(results), indent=2))
    else:
        console.show_checks(results)
    if code := exit_code(results):
        raise SystemExit(code)


def _results(load: Callable[[], LoadedConfig]) -> list[CheckResult]:
    try:
        loaded = load()
    except CardwatchError as error:
        return [failed("configuration", error)]
    with command_log(loaded.config):
        return list(check_up(loaded, day_of(datetime.now(UTC), loaded.config)))
