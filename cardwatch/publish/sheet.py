"""The sheet that is written beside each list, for those who review it."""

from __future__ import annotations

from cardwatch.outputs import REVIEW_COLUMNS, neutralise
from cardwatch.publish.formats import REASON_COLUMNS, write_csv
from cardwatch.publish.operations import NewFile
from cardwatch.schema import ListedCustomer, WeekReport

_BYTE_ORDER_MARK = "\ufeff".encode()
"""What a spreadsheet knows UTF-8 by."""
_LEFT_OPEN = ("",) * 5


def write_review_sheet(file: NewFile, report: WeekReport) -> None:
    """Write who is listed and why, with empty columns for the verdict and what goes with it.

    The week stands in its ISO 8601 form, which no spreadsheet takes for a month.
    """
    file.write(_BYTE_ORDER_MARK)
    rows = (_row(customer, report.week.iso_label) for customer in report.ranking.listed)
    write_csv(file, [column.name for column in REVIEW_COLUMNS], rows)


def _row(customer: ListedCustomer, week: str) -> list[str]:
    reasons = [neutralise(reason.sentence) for reason in customer.reasons[:REASON_COLUMNS]]
    return [
        neutralise(customer.customer_id),
        week,
        str(customer.anomaly_rank),
        customer.risk_category,
        *reasons,
        *[""] * (REASON_COLUMNS - len(reasons)),
        *_LEFT_OPEN,
    ]
