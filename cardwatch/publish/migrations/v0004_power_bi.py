"""What the Power BI kit asks beyond the star: days, customers, spend by week, reviews, quality."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cardwatch.publish.database_objects import Column, Expansion, Table, View
from cardwatch.publish.migrations.v0003_bi_views import FACT_ANOMALY, MONDAY_OF_LABEL

revision = "0004"
down_revision = "0003"

_KEY = Column("anomaly_key", "TEXT", "reporting_week|customer_id: one row of bi_fact_anomaly.")
_MONDAY = Column("week_start", "DATE", "The week's Monday; joins bi_dim_date.calendar_date.")
_LABEL = Column("reporting_week", "TEXT", "The week's label YYYY-WW.")
_CUSTOMER = Column("customer_id", "TEXT", "The customer, as in the source.")
_RUN = Column("run_id", "TEXT", "The run that this row comes from; joins bi_dim_run.")

ANOMALY_CUSTOMER_WEEK = Table(
    name="anomaly_customer_week",
    comment="The weeks that a listed customer was judged by: one row per customer, list and week.",
    columns=(
        Column("reporting_week", "TEXT", "The label YYYY-WW of the list's week.", "NOT NULL"),
        Column("week_start", "DATE", "The Monday of the list's week.", "NOT NULL"),
        Column("customer_id", "TEXT", "The customer, as in the source.", "NOT NULL"),
        Column(
            "window_week",
            "DATE",
            "The Monday of a week of the window; the last is the list's own.",
            "NOT NULL",
        ),
        Column(
            "spend",
            "NUMERIC(14, 2)",
            "Net spend of the window's week, in account currency; empty without a transaction.",
        ),
        Column("transaction_count", "INTEGER", "Transactions; empty without one."),
        Column(
            "usual_spend",
            "NUMERIC(14, 2)",
            "Own median over the baseline weeks of the list, in account currency.",
        ),
        Column("run_id", "TEXT", "The run that these figures come from.", "NOT NULL"),
    ),
    key=("week_start", "customer_id", "window_week"),
    references="FOREIGN KEY (run_id) REFERENCES anomaly_runs",
)

ANOMALY = replace(
    FACT_ANOMALY,
    columns=(
        *FACT_ANOMALY.columns,
        Column("list_position", "INTEGER", "Place on the week's list; 1 is the first."),
        Column("reasons", "TEXT", "All reasons as sentences, the weightiest first."),
    ),
    query=f"""\
SELECT f.*,
    (row_number() OVER (
        PARTITION BY f.reporting_week ORDER BY f.anomaly_rank, f.customer_id
    ))::integer AS list_position,
    (
        SELECT string_agg(s.sentence, '; ' ORDER BY s.position)
        FROM anomaly_reasons AS s
        WHERE s.reporting_week = f.reporting_week AND s.customer_id = f.customer_id
    ) AS reasons
FROM (
{FACT_ANOMALY.query.strip()}
) AS f
""",
)

# A week that an older Cardwatch published again has rows of a run that is no longer current.
CUSTOMER_WEEK = View(
    name="bi_fact_customer_week",
    comment="The weeks that a listed customer was judged by: one row per customer, list and week.",
    columns=(
        _KEY,
        _MONDAY,
        _LABEL,
        _CUSTOMER,
        Column("window_week", "DATE", "The Monday of a week of the window."),
        Column("spend", "NUMERIC(14, 2)", "Net spend of that week; empty without a transaction."),
        Column("transaction_count", "INTEGER", "Transactions of that week; empty without one."),
        Column("usual_spend", "NUMERIC(14, 2)", "Own median over the list's baseline weeks."),
        _RUN,
    ),
    query="""\
SELECT
    w.reporting_week || '|' || w.customer_id AS anomaly_key, w.week_start, w.reporting_week,
    w.customer_id, w.window_week, w.spend, w.transaction_count, w.usual_spend, w.run_id
FROM anomaly_customer_week AS w
INNER JOIN anomaly_runs AS c ON c.run_id = w.run_id AND c.is_current
""",
)

REVIEW = View(
    name="bi_fact_review",
    comment="The analysts' verdicts: one row per review, without its note.",
    columns=(
        Column("review_id", "BIGINT", "The review: the key."),
        _KEY,
        _MONDAY,
        _LABEL,
        _CUSTOMER,
        Column("verdict", "TEXT", "What the analyst decided, in small letters."),
        Column("cause", "TEXT", "What was behind it."),
        Column("action_taken", "TEXT", "What was done about it."),
        Column("reviewer", "TEXT", "Who decided."),
        Column("reviewed_at", "TIMESTAMP", "When, in UTC."),
        Column("is_latest", "BOOLEAN", "Whether it is the newest of its customer and week."),
    ),
    query=f"""\
SELECT
    id AS review_id, reporting_week || '|' || customer_id AS anomaly_key,
    {MONDAY_OF_LABEL.format(label="reporting_week")} AS week_start,
    reporting_week, customer_id, lower(trim(verdict)) AS verdict, cause, action_taken, reviewer,
    reviewed_at AT TIME ZONE 'UTC' AS reviewed_at,
    row_number() OVER (
        PARTITION BY reporting_week, customer_id ORDER BY reviewed_at DESC, id DESC
    ) = 1 AS is_latest
FROM anomaly_reviews
""",
)

QUALITY = View(
    name="bi_fact_quality",
    comment="What a week's current run set aside or left out: one row per week, kind and code.",
    columns=(
        _MONDAY,
        _LABEL,
        Column("kind", "TEXT", "rows, unscored customers or customers left out."),
        Column("code", "TEXT", "The rule of the contract, the reason or the policy."),
        Column("occurrences", "BIGINT", "Rows or customers, as kind says."),
        _RUN,
    ),
    query="""\
SELECT r.week_start, r.reporting_week, k.kind, e.code, e.number::bigint AS occurrences, r.run_id
FROM anomaly_runs AS r
CROSS JOIN LATERAL (
    VALUES
        ('rows', r.manifest #> '{counts,rows_by_reason}'),
        ('unscored customers', r.manifest #> '{counts,customers_unscored}'),
        ('customers left out', r.manifest #> '{counts,left_out_by_policy}')
) AS k (kind, counts)
CROSS JOIN LATERAL jsonb_each_text(
    CASE jsonb_typeof(k.counts) WHEN 'object' THEN k.counts END
) AS e (code, number)
WHERE r.is_current
""",
)

DATE = View(
    name="bi_dim_date",
    comment="Every day of the years with published weeks, with its week: whole weeks, no gaps.",
    columns=(
        Column("calendar_date", "DATE", "The day: the key."),
        Column("week_start", "DATE", "The Monday of its week."),
        Column("week_end", "DATE", "The Sunday of its week."),
        Column("reporting_week", "TEXT", "The week's label YYYY-WW."),
        Column("iso_week", "TEXT", "The ISO 8601 label, such as 2025-W47."),
        Column("week_label", "TEXT", "The week's days, such as 17 Nov - 23 Nov 2025."),
        Column("year", "INTEGER", "The Monday's year."),
        Column("quarter_label", "TEXT", "The Monday's quarter, such as 2025-Q4."),
        Column("month_label", "TEXT", "The Monday's month, such as 2025-11."),
        Column(
            "weeks_ago",
            "INTEGER",
            "Weeks before the newest published one, which is 0; below 0 after it.",
        ),
        Column("is_published", "BOOLEAN", "Whether its week was published."),
        Column("is_latest", "BOOLEAN", "Whether its week is the newest published one."),
    ),
    query=f"""\
WITH published AS (
    SELECT week_start FROM anomaly_runs WHERE is_current
    UNION
    SELECT {MONDAY_OF_LABEL.format(label="reporting_week")} FROM anomaly_reports
),
bounds AS (
    SELECT
        max(week_start) AS last_week,
        make_date(extract(year FROM min(week_start))::integer, 1, 1) AS first_day,
        make_date(extract(year FROM max(week_start) + 6)::integer, 12, 31) AS last_day
    FROM published
),
weeks AS (
    SELECT w::date AS week_start, b.last_week
    FROM bounds AS b
    CROSS JOIN LATERAL generate_series(
        date_trunc('week', b.first_day::timestamp), b.last_day::timestamp, interval '7 days'
    ) AS w
)
SELECT
    w.week_start + n AS calendar_date,
    w.week_start,
    w.week_start + 6 AS week_end,
    to_char(w.week_start, 'YYYY-')
        || lpad(((extract(doy FROM w.week_start)::integer + 6) / 7)::text, 2, '0')
        AS reporting_week,
    to_char(w.week_start, 'IYYY"-W"IW') AS iso_week,
    to_char(w.week_start, 'FMDD Mon - ') || to_char(w.week_start + 6, 'FMDD Mon YYYY')
        AS week_label,
    extract(year FROM w.week_start)::integer AS year,
    to_char(w.week_start, 'YYYY"-Q"Q') AS quarter_label,
    to_char(w.week_start, 'YYYY-MM') AS month_label,
    (w.last_week - w.week_start) / 7 AS weeks_ago,
    EXISTS (SELECT FROM published AS p WHERE p.week_start = w.week_start) AS is_published,
    w.week_start = w.last_week AS is_latest
FROM weeks AS w
CROSS JOIN generate_series(0, 6) AS n
""",
)

CUSTOMER = View(
    name="bi_dim_customer",
    comment="The customers that were ever listed: one row per customer.",
    columns=(
        Column("customer_id", "TEXT", "The customer, as in the source: the key."),
        Column("first_listed", "DATE", "The Monday of the first week with the customer listed."),
        Column("last_listed", "DATE", "The Monday of the last one."),
        Column("weeks_listed", "INTEGER", "On how many lists."),
    ),
    query=f"""\
SELECT
    customer_id::text AS customer_id, min(monday) AS first_listed, max(monday) AS last_listed,
    count(*)::integer AS weeks_listed
FROM (
    SELECT customer_id, {MONDAY_OF_LABEL.format(label="reporting_week")} AS monday
    FROM anomaly_reports
) AS listed
GROUP BY customer_id
""",
)

EXPANSION = Expansion(
    tables=(ANOMALY_CUSTOMER_WEEK,),
    views=(ANOMALY, CUSTOMER_WEEK, REVIEW, QUALITY, DATE, CUSTOMER),
    # Whoever wrote or read what was there before goes on without another GRANT.
    privileges={
        "anomaly_customer_week": "anomaly_mcc_week",
        **dict.fromkeys(
            (view.name for view in (CUSTOMER_WEEK, REVIEW, QUALITY, DATE, CUSTOMER)),
            "bi_fact_anomaly",
        ),
    },
)


def upgrade(expand: Callable[[Expansion], None]) -> None:
    """Add what this migration adds."""
    expand(EXPANSION)
