"""The list by peer group, beside the portfolio: whether it is about everybody alike."""

from __future__ import annotations

from cardwatch.manifest import RunManifest
from cardwatch.report.document import Document
from cardwatch.report.page import PeerGroups, Row, Table
from cardwatch.report.wording import amount, number, percent

_WHAT_IT_IS = (
    "Peer groups are customers who spend alike, numbered anew in every run. The list follows "
    "whoever is unusual, so that its make-up need not be the portfolio's; a group far beyond what "
    "chance gives is worth a look at the reasons."
)


def peer_groups(manifest: RunManifest, document: Document) -> PeerGroups | None:
    """Return each group's share of the customers and of the list; None of an older version."""
    groups = manifest.peer_groups
    listed, customers = sum(each.listed for each in groups), sum(each.customers for each in groups)
    if not groups:
        return None
    rows = tuple(
        Row(
            f"{each.group}: about {amount(each.spend)} in {number(each.transaction_count)} a week",
            (
                number(each.customers),
                percent(each.customers, customers),
                number(each.listed) + (" *" if each.stands_out else ""),
                percent(each.listed, listed),
                _range(each.by_lot),
            ),
        )
        for each in groups
    )
    head = ("Customers", "Share", "On the list", "Share of it", "By lot")
    return PeerGroups(
        tuple(filter(None, (_WHAT_IT_IS, _few(listed), _capped(document)))),
        Table("The list by peer group", head, rows),
    )


def _range(by_lot: tuple[int, int]) -> str:
    low, high = by_lot
    return number(low) if low == high else f"{number(low)} to {number(high)}"


def _few(listed: int) -> str:
    return (
        f"With {number(listed)} on the list the numbers are small: By lot is what 99 of 100 lists "
        "would hold if they were drawn from everybody by lot, and * marks a group outside of it."
    )


def _capped(document: Document) -> str:
    left_out = document.left_out_by_policy.get("peer_group_cap")
    if left_out is None:
        return ""
    return f"ranking.peer_group_cap keeps {number(left_out)} off this list."
