"""Making the page of a week again, from the files that its run wrote."""

from __future__ import annotations

import json

from cardwatch import console
from cardwatch.config import Config
from cardwatch.errors import ConfigurationError
from cardwatch.outputs import OutputFile, week_of
from cardwatch.publish.files import FileSink
from cardwatch.week import ReportingWeek
from cardwatch.wiring import page_maker


def report_command(config: Config, wanted: str | None, as_json: bool) -> None:
    """Write the page of a published week and the index, and say where they are."""
    sink = FileSink(config.output, pages=page_maker(config), on_wait=_say)
    week = _wanted(config, wanted)
    written = [str(path) for path in sink.write_pages(week)]
    if as_json:
        console.write_json(json.dumps({"reporting_week": week.label, "written": written}, indent=2))
        return
    for path in written:
        console.out.print(path, markup=False, highlight=False, soft_wrap=True)


def _wanted(config: Config, wanted: str | None) -> ReportingWeek:
    """Return the wanted week, or the newest one of which a run is recorded."""
    if wanted is not None and wanted.strip().lower() != "last":
        return ReportingWeek.parse(wanted)
    folder = config.output.directory
    weeks = (week_of(path.name) for path in folder.glob(OutputFile.MANIFEST.format(label="*")))
    newest = max((week for week in weeks if week is not None), default=None)
    if newest is None:
        raise ConfigurationError(
            "No run is recorded in the output folder",
            where=str(folder),
            next_step="Run `cardwatch run` first, or name the folder with --output-dir",
        )
    return newest


def _say(sentence: str) -> None:
    console.err.print(sentence, markup=False)
