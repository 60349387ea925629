"""Every rule of the data contract: a reason code, its sentence, and what it does.

The name of a `ReasonCode` is the code that stands in files, logs and tables; its value is the
sentence a person reads. Nothing else in the package spells a code or a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, unique
from types import MappingProxyType
from typing import Literal

Severity = Literal["error", "warning"]


class Action(StrEnum):
    """What a rule does with what it finds."""

    QUARANTINE_ROW = "quarantine_row"
    QUARANTINE_CUSTOMER = "quarantine_customer"
    WARN = "warn"
    STOP = "stop"


@unique
class ReasonCode(Enum):
    """Why a row was set aside, remarked on, or the delivery refused: name = code, value = sentence.

    A row that breaks several rules is counted under the first of them in this order.
    """

    MISSING_KEY = "The customer id or the merchant category is missing."
    ID_TOO_LONG = "The customer id is longer than an id can be."
    WEEK_UNREADABLE = "The week or the time of the transaction cannot be read."
    WEEK_OUTSIDE_REQUEST = "The row belongs to a week that was not asked for."
    MALFORMED_MCC = "The merchant category is not four digits."
    MISSING_AMOUNT = "The amount is missing."
    AMOUNT_NOT_A_NUMBER = "The amount is not a number."
    AMOUNT_NOT_FINITE = "The amount is infinite or not a number (NaN)."
    AMOUNT_ABSURD = "The amount is larger than any real one."
    COUNT_NOT_WHOLE = "The transaction count is not a whole number."
    COUNT_NEGATIVE = "The transaction count is negative."
    COUNT_TOO_LARGE = "The transaction count is larger than a whole number can hold."
    SPEND_WITHOUT_COUNT = "There is an amount, but no transaction that could have made it."
    OTHER_CURRENCY = "The amount is in another currency than the portfolio's."
    DUPLICATE_COPY = "The row is an exact copy of another one, which was kept."
    DUPLICATE_CONFLICT = "Several rows say different things about one customer, week and category."
    UNIT_ERROR = "The amount looks 100 times too large: cents sent as whole units."
    AVERAGE_TICKET_DISAGREES = (
        "The average ticket is not spend divided by count; it was recomputed."
    )
    CARD_NUMBER = "A column holds what looks like card numbers."
    EMPTY_WEEK = "The scored week has no usable row."
    TOO_MUCH_QUARANTINED = "Too large a share of the rows was set aside."
    VOLUME_OUTSIDE_RANGE = (
        "The scored week has far fewer or far more rows than its reference weeks."
    )


@dataclass(frozen=True)
class Rule:
    """How severe a finding is, what is done about it, and exactly when it applies."""

    severity: Severity
    action: Action
    applies: str


def _row(applies: str) -> Rule:
    return Rule("error", Action.QUARANTINE_ROW, applies)


RULES: Mapping[ReasonCode, Rule] = MappingProxyType(
    {
        ReasonCode.MISSING_KEY: _row("`customer_id` or `mcc` is null, empty or blank."),
        ReasonCode.ID_TOO_LONG: Rule(
            "error",
            Action.QUARANTINE_CUSTOMER,
            "`customer_id` has more than `contract.max_id_length` characters.",
        ),
        ReasonCode.WEEK_UNREADABLE: _row(
            "The source could not read the week or the time (`data_source.date_format` may help)."
        ),
        ReasonCode.WEEK_OUTSIDE_REQUEST: _row(
            "The week is neither the scored week nor one of its reference weeks."
        ),
        ReasonCode.MALFORMED_MCC: _row(
            "Text that is not exactly four digits, or a number outside 0 to 9999. A number is"
            " padded with zeros (742 is 0742); a code that no list knows is accepted."
        ),
        ReasonCode.MISSING_AMOUNT: _row("The amount is null or blank."),
        ReasonCode.AMOUNT_NOT_A_NUMBER: _row("Text that is no decimal number with a point."),
        ReasonCode.AMOUNT_NOT_FINITE: _row("NaN or infinity."),
        ReasonCode.AMOUNT_ABSURD: _row(
            "Further from zero than `contract.max_amount` (and never further than"
            " 1,000,000,000,000)."
        ),
        ReasonCode.COUNT_NOT_WHOLE: _row("Text, NaN, infinity or a number with a fraction."),
        ReasonCode.COUNT_NEGATIVE: _row("Below zero."),
        ReasonCode.COUNT_TOO_LARGE: _row("Above 2,147,483,647."),
        ReasonCode.SPEND_WITHOUT_COUNT: _row(
            "The amount is not zero and the count is zero or missing. A count without an amount"
            " (zero) is accepted."
        ),
        ReasonCode.OTHER_CURRENCY: _row(
            "Not `portfolio.currency`, or, where that is empty, not the commonest currency of the"
            " scored week. A row without a currency is taken to be in the portfolio's."
        ),
        ReasonCode.DUPLICATE_COPY: Rule(
            "warning",
            Action.QUARANTINE_ROW,
            "Weekly rows: the same customer, week, category, amount and count; one of them is kept."
            " Transactions: every delivered column equal, in a week whose times carry seconds;"
            " where times have no seconds, equal transactions are separate purchases and all are"
            " kept. Copies do not count towards `contract.max_quarantined_share`.",
        ),
        ReasonCode.DUPLICATE_CONFLICT: _row(
            "Weekly rows only: one customer, week and category with different amounts or counts."
            " None of the rows is kept."
        ),
        ReasonCode.UNIT_ERROR: _row(
            "Scored week only: the ticket is within `contract.unit_error_ratio` times the"
            " customer's own median ticket in that category over at least 3 reference weeks, and at"
            " least the lower ratio times the category's median ticket."
        ),
        ReasonCode.AVERAGE_TICKET_DISAGREES: Rule(
            "warning",
            Action.WARN,
            "`avg_ticket_amount` differs from amount / count by more than 0.01 and 0.1%. The row is"
            " accepted; the delivered average is not used.",
        ),
        ReasonCode.CARD_NUMBER: Rule(
            "error",
            Action.STOP,
            "A text column holds 13 to 19 digits that begin like an issuer's and pass the Luhn"
            " check. Written in groups with spaces or dashes, the first one stops the run."
            " Unseparated, the first one stops it where such digits are rare in the column; where"
            " long digits are the rule (at least 20 values and a tenth of them), one in ten passes"
            " by chance, and the run stops when significantly more do. `contract.ids_are_tokens:"
            " true` turns the unseparated check off for `customer_id`. `contract.on_unusable` does"
            " not apply.",
        ),
        ReasonCode.EMPTY_WEEK: Rule(
            "error", Action.STOP, "No row of the scored week is left after the rules above."
        ),
        ReasonCode.TOO_MUCH_QUARANTINED: Rule(
            "error",
            Action.STOP,
            "More than `contract.max_quarantined_share` of the rows, of the whole window or of the"
            " scored week alone.",
        ),
        ReasonCode.VOLUME_OUTSIDE_RANGE: Rule(
            "error",
            Action.STOP,
            "With a tolerance t (`contract.volume_tolerance`): under 1 / (1 + t) or over 1 + t"
            " times what at least 3 reference weeks suggest. The suggestion is the range between"
            " the median of the latest three weeks and the trend of all of them, so that a growing"
            " or shrinking portfolio passes and half a feed does not. Copies are not counted.",
        ),
    }
)

ORDER: Mapping[str, int] = MappingProxyType(
    {code.name: position for position, code in enumerate(ReasonCode)}
)
"""Position of each code among the rules: the first one that applies names a row's reason."""

_PAGE_HEAD = """\
# The data contract

<!-- Made by `make docs` from `cardwatch/contract/rules.py`; a test keeps it current. -->

What is checked before anything is scored. Every delivered row is either accepted or set aside with
one reason; nothing is dropped, altered or repaired silently. What was set aside is listed in
`quarantine_YYYY-WW.csv`.

Two identities are checked in every run, and a run that breaks one fails: rows in = rows accepted +
rows set aside; customers in = customers with an accepted row + customers without, by reason.

A row that breaks several rules is counted under the first one. `stop` ends the run with exit code
4; with `contract.on_unusable: warn` it becomes a warning, except for card numbers.

| code | meaning | severity | action |
|---|---|---|---|
"""

_PAGE_RULES = """
## When exactly

"""


def reference_page() -> str:
    """Return ``docs/reference/contract.md``, made from the rules."""
    table = "".join(
        f"| `{code.name}` | {code.value} | {rule.severity} | `{rule.action}` |\n"
        for code, rule in RULES.items()
    )
    details = "".join(f"- **`{code.name}`** {rule.applies}\n" for code, rule in RULES.items())
    return _PAGE_HEAD + table + _PAGE_RULES + details
