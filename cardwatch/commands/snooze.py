"""Keeping customers off the lists for a while, showing them, and waking them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import get_args

from pydantic import ValidationError
from rich.table import Table
from rich.text import Text

from cardwatch import console
from cardwatch.config import Config
from cardwatch.config.method_sections import Family
from cardwatch.errors import ConfigurationError
from cardwatch.features.catalog import CATALOG
from cardwatch.history import Listing, read_list
from cardwatch.outputs import week_of
from cardwatch.publish.ledgers import LedgerFolder, holding_ledgers
from cardwatch.publish.lock import reading
from cardwatch.review.ledger import ledger_bytes
from cardwatch.review.snooze import SNOOZE_FILE, Snooze, read_snoozes, standing_snoozes
from cardwatch.session import command_log
from cardwatch.week import ReportingWeek
from cardwatch.wording import counted

Words = Mapping[str, str]


def snooze_command(
    config: Config, customer: str, week: str | None, until: str, *, said: Words, scope: Words
) -> None:
    """Keep a listed customer off the lists to come."""
    folder, last_day = config.output.directory, _day(until)
    _check_scope(scope)
    with (
        command_log(config),
        holding_ledgers(folder, config.output.lock_timeout_seconds, on_wait=_say) as held,
    ):
        found, listing = _listed(folder, customer, ReportingWeek.parse(week) if week else None)
        if last_day < (found + 1).monday:
            raise ConfigurationError(
                "The snooze would end before the week after the list begins",
                where="--until",
                observed=last_day.isoformat(),
                expected=f"{(found + 1).monday.isoformat()} or later",
            )
        noted = _snooze(listing, found, last_day, said, scope)
        _append(held, [noted])
    _tell(f"{console.visible(customer)} is not listed until {last_day}, {_while(noted)}")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise ConfigurationError(
            "The day cannot be read",
            where="--until",
            observed=f"{text!r}"[:40],
            expected="a date such as 2026-02-28",
        ) from None


def _check_scope(scope: Words) -> None:
    families, mcc = get_args(Family), scope["mcc"]
    if scope["family"] and scope["family"] not in families:
        raise ConfigurationError(
            "There is no such family of features",
            where="--family",
            observed=f"{scope['family']!r}"[:40],
            expected=", ".join(families),
        )
    if mcc and not (len(mcc) == 4 and mcc.isascii() and mcc.isdigit()):
        raise ConfigurationError(
            "That is no merchant category", where="--mcc", expected="four digits, such as 7995"
        )


def _listed(
    folder: Path, customer: str, week: ReportingWeek | None
) -> tuple[ReportingWeek, Listing]:
    """Return the customer's place on the list of a week, or on the newest one that has it."""
    for each in [week] if week else reversed(_weeks(folder)):
        for listing in read_list(folder, each) or ():
            if listing.customer_id == customer and listing.features:
                return each, listing
    raise ConfigurationError(
        "The customer is on no such list, as far as the JSON lists in the folder tell",
        where=f"{folder}, week {week}" if week else str(folder),
        next_step="Ids are compared as they are written, capitals and zeros included",
    )


def _weeks(folder: Path) -> list[ReportingWeek]:
    paths = folder.iterdir() if folder.is_dir() else ()
    return sorted({week for path in paths if (week := week_of(path.name))})


def _snooze(
    listing: Listing, week: ReportingWeek, until: date, said: Words, scope: Words
) -> Snooze:
    families = {feature.name: feature.family for feature in CATALOG}
    noted = {
        "customer_id": listing.customer_id,
        "reporting_week": week.label,
        "until": until,
        "leading_family": families.get(listing.features[0], ""),
        "risk_category": listing.risk_category,
        "noted_at": datetime.now(UTC),
    }
    try:
        words = {name: text.strip() for name, text in said.items()}
        return Snooze.model_validate({**noted, **words, **scope})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        raise ConfigurationError(
            "The snooze cannot be noted", where=f"--{first['loc'][0]}", observed=first["msg"]
        ) from None


def _append(held: LedgerFolder, new: Iterable[Snooze]) -> None:
    held.put(SNOOZE_FILE, ledger_bytes((*read_snoozes(held.folder), *new)))


def _while(snooze: Snooze) -> str:
    leads = f"a reason of the family {snooze.family or snooze.leading_family} leads"
    if snooze.scope == "mcc":
        leads = f"a reason about merchant category {snooze.mcc} leads"
    return f"while {leads} and the category is not above {snooze.risk_category}"


def _holds(snooze: Snooze, lists: Sequence[ReportingWeek]) -> str:
    if lists and snooze.until < (lists[-1] + 1).monday:
        return "no longer: its last day is over"
    return _while(snooze)


def snoozes_command(config: Config, as_json: bool) -> None:
    """Show the snoozes that stand, and which of them are over before the next list."""
    folder = config.output.directory
    with reading(folder, config.output.lock_timeout_seconds, _say):
        found, lists = standing_snoozes(read_snoozes(folder)), _weeks(folder)
    if as_json:
        rows = [{**each.model_dump(mode="json"), "scope": each.scope} for each in found]
        console.write_json(json.dumps(rows, indent=2))
        return
    console.use_width()
    if not found:
        _tell("Nobody is snoozed")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("customer", "until", "owner", "why", "holds"):
        table.add_column(name, overflow="fold")
    for each in found:
        words = (console.visible(" ".join(of.split()), 200) for of in (each.owner, each.reason))
        cells = (console.visible(each.customer_id), str(each.until), *words)
        table.add_row(*map(Text, (*cells, _holds(each, lists))))
    console.out.print(table)


def wake_command(config: Config, customer: str, scope: Words) -> None:
    """End snoozes of a customer: all of them, or that of one scope."""
    folder = config.output.directory
    with (
        command_log(config),
        holding_ledgers(folder, config.output.lock_timeout_seconds, on_wait=_say) as held,
    ):
        ended = [
            each.model_copy(update={"is_over": True, "noted_at": datetime.now(UTC)})
            for each in standing_snoozes(read_snoozes(folder))
            if each.customer_id == customer
            and (not any(scope.values()) or (each.family, each.mcc) == tuple(scope.values()))
        ]
        if not ended:
            raise ConfigurationError(
                "The customer is not snoozed",
                where=str(folder),
                next_step="`cardwatch review snoozes` shows who is",
            )
        _append(held, ended)
    _tell(f"{console.visible(customer)} is awake: {counted(len(ended), 'snooze')} ended")


def _tell(sentence: str) -> None:
    console.use_width()
    console.out.print(sentence, markup=False)


def _say(sentence: str) -> None:
    console.err.print(sentence, markup=False)
