"""Beside the guide's table: details, reasons, categories, scores, runs and reviews."""

from __future__ import annotations

from collections.abc import Callable

from cardwatch.publish.database_objects import Column, Expansion, Index, Table

revision = "0002"
down_revision = "0001"

_WEEK = Column("reporting_week", "TEXT", "The week's label YYYY-WW.", "NOT NULL")
_MONDAY = Column("week_start", "DATE", "The week's Monday.", "NOT NULL")
_CUSTOMER = Column("customer_id", "TEXT", "The customer, as in the source.", "NOT NULL")
_RUN = Column("run_id", "TEXT", "The run that these figures come from.", "NOT NULL")
_OF_A_RUN = "FOREIGN KEY (run_id) REFERENCES anomaly_runs"

ANOMALY_RUNS = Table(
    name="anomaly_runs",
    comment="One row per published run: what went in and what was decided with.",
    columns=(
        Column("run_id", "TEXT", "The run; also in the file run_YYYY-WW.json.", "NOT NULL"),
        _WEEK,
        _MONDAY,
        Column("started_at", "TIMESTAMPTZ", "When the run began.", "NOT NULL"),
        Column(
            "finished_at", "TIMESTAMPTZ", "When everything but the writing was done.", "NOT NULL"
        ),
        Column("environment", "TEXT", "development, staging or production.", "NOT NULL"),
        Column("version", "TEXT", "The version of Cardwatch.", "NOT NULL"),
        Column("detector", "TEXT", "surprise or isolation_forest.", "NOT NULL"),
        Column("score_version", "TEXT", "Changes when the same rows get other scores.", "NOT NULL"),
        Column(
            "configuration_hash",
            "TEXT",
            "Digest of the settings that can change a result (SHA-256).",
            "NOT NULL",
        ),
        Column(
            "input_fingerprint",
            "TEXT",
            "Digest of the accepted rows of the week and its history (SHA-256).",
            "NOT NULL",
        ),
        Column("rows_in", "BIGINT", "Rows delivered for the week and its history.", "NOT NULL"),
        Column("rows_accepted", "BIGINT", "Of them accepted.", "NOT NULL"),
        Column("rows_quarantined", "BIGINT", "Of them set aside, with a reason.", "NOT NULL"),
        Column("customers_in", "BIGINT", "Customers in the accepted rows.", "NOT NULL"),
        Column("customers_scored", "BIGINT", "Of them scored.", "NOT NULL"),
        Column(
            "customers_absent",
            "BIGINT",
            "Of the scored, those without a transaction in the week.",
            "NOT NULL",
        ),
        Column("customers_critical", "BIGINT", "Of the scored, critical ones.", "NOT NULL"),
        Column("customers_high", "BIGINT", "Of the scored, high ones.", "NOT NULL"),
        Column("customers_medium", "BIGINT", "Of the scored, medium ones.", "NOT NULL"),
        Column("customers_low", "BIGINT", "Of the scored, low ones.", "NOT NULL"),
        Column("flagged", "BIGINT", "Of the scored, those that are medium or above.", "NOT NULL"),
        Column("listed", "BIGINT", "Customers on the list.", "NOT NULL"),
        Column(
            "threshold_critical",
            "DOUBLE PRECISION",
            "The score, 0 to 1, from which a customer is critical.",
            "NOT NULL",
        ),
        Column("threshold_high", "DOUBLE PRECISION", "The score from which high.", "NOT NULL"),
        Column("threshold_medium", "DOUBLE PRECISION", "The score from which medium.", "NOT NULL"),
        Column("threshold_source", "TEXT", "Whose scores the thresholds rest on.", "NOT NULL"),
        Column(
            "supersedes_run_id",
            "TEXT",
            "The earlier run of this week that this one replaced; empty for the first.",
        ),
        Column(
            "is_current",
            "BOOLEAN",
            "Whether the other tables hold this run's figures; one run per week is current.",
            "NOT NULL",
        ),
        Column("manifest", "JSONB", "The whole record of the run: run_YYYY-WW.json.", "NOT NULL"),
    ),
    key=("run_id",),
    indexes=(Index("anomaly_runs_current", ("week_start",), where="is_current", is_unique=True),),
)

ANOMALY_DETAILS = Table(
    name="anomaly_details",
    comment="What the guide's table has no column for: one row per listed customer and week.",
    columns=(
        _CUSTOMER,
        _WEEK,
        _MONDAY,
        Column("signal", "TEXT", "opportunity or concern.", "NOT NULL"),
        Column("signal_rule", "TEXT", "The rule that decided the signal.", "NOT NULL"),
        Column(
            "history_weeks",
            "INTEGER",
            "Weeks since the customer was first seen, at most the reference weeks.",
            "NOT NULL",
        ),
        Column(
            "surprise_total",
            "DOUBLE PRECISION",
            "Sum of the contributions of all families; higher is more anomalous.",
        ),
        Column(
            "rank_stability",
            "DOUBLE PRECISION",
            "0 to 1: how firmly the customer belongs on the list. Empty: not measured.",
        ),
        _RUN,
    ),
    key=("week_start", "customer_id"),
    references=_OF_A_RUN,
)

ANOMALY_REASONS = Table(
    name="anomaly_reasons",
    comment="Why a customer is listed: one row per customer, week and reason.",
    columns=(
        _WEEK,
        _MONDAY,
        _CUSTOMER,
        Column("position", "INTEGER", "1 is the reason that weighs most.", "NOT NULL"),
        Column("code", "TEXT", "The reason code, such as NEW_MERCHANT_CATEGORY.", "NOT NULL"),
        Column("family", "TEXT", "The family of features; one reason per family.", "NOT NULL"),
        Column("feature", "TEXT", "The feature behind the reason.", "NOT NULL"),
        Column("mcc", "TEXT", "The merchant category that decided it; empty without one."),
        Column("value", "DOUBLE PRECISION", "What was observed, in the unit of the row."),
        Column("usual", "DOUBLE PRECISION", "What is usual, in the unit of the row."),
        Column(
            "usual_basis",
            "TEXT",
            "Whose usual: own median, peer median, category norm.",
            "NOT NULL",
        ),
        Column("unit", "TEXT", "The unit of value and usual.", "NOT NULL"),
        Column(
            "contribution",
            "DOUBLE PRECISION",
            "The family's part of the customer's surprise_total.",
        ),
        Column("sentence", "TEXT", "The reason as a person says it.", "NOT NULL"),
        _RUN,
    ),
    key=("week_start", "customer_id", "position"),
    indexes=(Index("anomaly_reasons_code", ("code", "week_start")),),
    references=_OF_A_RUN,
)

ANOMALY_MCC_WEEK = Table(
    name="anomaly_mcc_week",
    comment="The listed customers' week by merchant category: one row per customer, week and MCC.",
    columns=(
        _WEEK,
        _MONDAY,
        _CUSTOMER,
        Column("mcc", "TEXT", "The merchant category code, four digits.", "NOT NULL"),
        Column("name", "TEXT", "The merchant category's name.", "NOT NULL"),
        Column(
            "spend",
            "NUMERIC(14, 2)",
            "Net spend of the week there, in account currency; together the week's total_spend.",
            "NOT NULL",
        ),
        Column("transaction_count", "INTEGER", "Transactions of the week there.", "NOT NULL"),
        Column(
            "usual_spend",
            "NUMERIC(14, 2)",
            "Own mean per active reference week there, in account currency.",
        ),
        Column(
            "usual_ticket",
            "NUMERIC(14, 2)",
            "What a purchase of this customer usually costs there, in account currency.",
        ),
        Column("is_new", "BOOLEAN", "Whether it was not used in the reference weeks.", "NOT NULL"),
        Column(
            "users_share",
            "DOUBLE PRECISION",
            "Of the customers with history, the share that used it in the reference weeks; 0 to 1.",
        ),
        _RUN,
    ),
    key=("week_start", "customer_id", "mcc"),
    indexes=(Index("anomaly_mcc_week_mcc", ("mcc", "week_start")),),
    references=_OF_A_RUN,
)

_FAMILIES = {
    "own_history": "own history",
    "growth": "growth",
    "peer_group": "the peer group",
    "novelty": "novelty",
    "ticket": "tickets",
    "events": "events",
}

ANOMALY_SCORES = Table(
    name="anomaly_scores",
    comment="Every customer's score: one row per scored customer and week. Written where "
    "output.database.scores is true.",
    columns=(
        _CUSTOMER,
        _WEEK,
        _MONDAY,
        Column(
            "anomaly_score", "DOUBLE PRECISION", "0 to 1; higher is more anomalous.", "NOT NULL"
        ),
        Column(
            "anomaly_rank", "BIGINT", "Place among all scored; 1 is the most anomalous.", "NOT NULL"
        ),
        Column("surprise_total", "DOUBLE PRECISION", "Sum of the contributions of all families."),
        Column("transaction_count", "INTEGER", "Transactions of the week.", "NOT NULL"),
        Column("history_weeks", "INTEGER", "Weeks since the customer was first seen.", "NOT NULL"),
        *(
            Column(f"{family}_surprise", "DOUBLE PRECISION", f"What {words} alone would say.")
            for family, words in _FAMILIES.items()
        ),
        _RUN,
    ),
    key=("week_start", "customer_id"),
)

ANOMALY_REVIEWS = Table(
    name="anomaly_reviews",
    comment="What analysts found: verdicts are added and never changed. Runs never touch it.",
    columns=(
        Column("id", "BIGINT", "Counts up.", "GENERATED ALWAYS AS IDENTITY"),
        _CUSTOMER,
        _WEEK,
        Column("verdict", "TEXT", "What the analyst decided.", "NOT NULL"),
        Column("cause", "TEXT", "What was behind it."),
        Column("action_taken", "TEXT", "What was done about it."),
        Column("note", "TEXT", "Anything else."),
        Column("reviewer", "TEXT", "Who decided.", "NOT NULL DEFAULT CURRENT_USER"),
        Column("reviewed_at", "TIMESTAMPTZ", "When.", "NOT NULL DEFAULT CURRENT_TIMESTAMP"),
        Column("run_id", "TEXT", "The run whose list the analyst had seen."),
    ),
    key=("id",),
    indexes=(Index("anomaly_reviews_customer", ("customer_id", "reporting_week")),),
)

EXPANSION = Expansion(
    tables=(
        ANOMALY_RUNS,
        ANOMALY_DETAILS,
        ANOMALY_REASONS,
        ANOMALY_MCC_WEEK,
        ANOMALY_SCORES,
        ANOMALY_REVIEWS,
    )
)


def upgrade(expand: Callable[[Expansion], None]) -> None:
    """Add what this migration adds."""
    expand(EXPANSION)
