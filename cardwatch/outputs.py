"""What a run leaves behind: the names of its files, their columns, and how text is made safe.

Names always carry the guide's label. Nothing that deletes, moves or packs touches a file whose name
`week_of` does not recognise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from cardwatch.errors import ConfigurationError
from cardwatch.week import ReportingWeek

LABEL = r"[0-9]{4}-[0-9]{2}"


class OutputFile(StrEnum):
    """Every file of a week, by its name with the label left open."""

    LIST_CSV = "anomalies_{label}.csv"
    LIST_JSON = "anomalies_{label}.json"
    SCORES = "scores_{label}.parquet"
    QUARANTINE = "quarantine_{label}.csv"
    REVIEWS = "reviews_{label}.csv"
    REPORT = "report_{label}.html"
    MANIFEST = "run_{label}.json"

    def of(self, week: ReportingWeek) -> str:
        """Return the name of this file for `week`.

        Examples
        --------
        >>> OutputFile.SCORES.of(ReportingWeek.parse("2025-46"))
        'scores_2025-46.parquet'
        """
        return self.value.format(label=week.label)


INDEX = "index.html"
"""The page that links every week's report; it belongs to no week."""

_NAMES = tuple(
    re.compile(re.escape(file.value).replace(r"\{label\}", f"({LABEL})")) for file in OutputFile
)


def week_of(name: str) -> ReportingWeek | None:
    """Return the week of a file that Cardwatch named, None for any other name.

    Examples
    --------
    >>> week_of("anomalies_2025-46.csv") == ReportingWeek.parse("2025-46")
    True
    >>> week_of("anomalies_2025-46 (copy).csv"), week_of("scores_2025-99.parquet")
    (None, None)
    """
    for pattern in _NAMES:
        if match := pattern.fullmatch(name):
            return _canonical(match[1])
    return None


def _canonical(label: str) -> ReportingWeek | None:
    try:
        week = ReportingWeek.parse(label)
    except ConfigurationError:
        return None
    return week if week.label == label else None


@dataclass(frozen=True)
class Column:
    """One column of a file: its name, its type there, and its unit (empty for none)."""

    name: str
    type: str
    unit: str = ""


LIST_COLUMNS = (
    Column("customer_id", "text"),
    Column("reporting_week", "text"),
    Column("anomaly_score", "decimal, 9 digits", "0 to 1"),
    Column("anomaly_rank", "integer", "1 = most anomalous"),
    Column("risk_category", "text"),
    Column("total_spend", "decimal, 2 digits", "account currency"),
    Column("transaction_count", "integer", "transactions"),
    Column("mcc_diversity", "integer", "merchant categories"),
    Column("top_mcc", "text", "MCC"),
    Column("top_mcc_spend", "decimal, 2 digits", "account currency"),
    Column("week_start", "date"),
    Column("signal", "text"),
    Column("history_weeks", "integer", "weeks"),
    Column("reason_1", "text"),
    Column("reason_2", "text"),
    Column("reason_3", "text"),
    Column("rank_stability", "decimal, 3 digits", "0 to 1"),
    Column("guard", "true or false"),
)
"""Columns of the list as CSV, every week the same; later versions only append."""

SCORE_COLUMNS = (
    Column("customer_id", "string"),
    Column("week_start", "date32"),
    Column("anomaly_score", "double", "0 to 1"),
    Column("anomaly_rank", "int64", "1 = most anomalous"),
    Column("surprise_total", "double", "surprise"),
    Column("transaction_count", "int32", "transactions"),
    Column("history_weeks", "int32", "weeks"),
)
"""Columns of the scores; one column ``<family>_surprise`` (double) per family follows."""

LATER_SCORE_COLUMNS = (Column("unweighted_total", "double", "surprise"),)
"""Columns of the scores after those of the families; later versions append here."""

QUARANTINE_COLUMNS = (
    Column("reason", "text"),
    Column("sentence", "text"),
    Column("week_value", "text"),
    Column("customer_id", "text"),
    Column("mcc", "text"),
    Column("amount", "text", "as delivered"),
    Column("transaction_count", "text", "as delivered"),
    Column("detail", "text"),
    Column("source", "text"),
    Column("row_copies", "integer", "rows"),
)

REVIEW_COLUMNS = (
    Column("customer_id", "text"),
    Column("reporting_week", "text", "ISO 8601"),
    Column("anomaly_rank", "integer", "1 = most anomalous"),
    Column("risk_category", "text"),
    Column("reason_1", "text"),
    Column("reason_2", "text"),
    Column("reason_3", "text"),
    Column("verdict", "text"),
    Column("cause", "text"),
    Column("action_taken", "text"),
    Column("note", "text"),
    Column("reviewer", "text"),
)
"""Columns of the sheet that analysts fill in, from the verdict on."""

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_NEUTRALISED = re.compile(r"'+[=+\-@\t\r\n]")


def neutralise(text: str) -> str:
    r"""Put an apostrophe before text that a spreadsheet would run as a formula.

    Text that already begins with apostrophes and then such a character gets one more, so that
    `restore` finds the way back for every text.

    References
    ----------
    OWASP, "CSV Injection": the leading characters ``= + - @``, tab, carriage return and line feed.

    Examples
    --------
    >>> neutralise("=cmd()"), neutralise("C-1"), neutralise("'=1")
    ("'=cmd()", 'C-1', "''=1")
    """
    return f"'{text}" if _FORMULA.match(text) else text


def restore(cell: str) -> str:
    """Return the text that `neutralise` made `cell` of.

    Examples
    --------
    >>> restore("'=cmd()"), restore("'t Hooft")
    ('=cmd()', "'t Hooft")
    """
    return cell[1:] if _NEUTRALISED.match(cell) else cell
