"""The star for BI: three facts, three dimensions, each with the run it comes from."""

from __future__ import annotations

from collections.abc import Callable

from cardwatch.publish.database_objects import Column, Expansion, View

revision = "0003"
down_revision = "0002"

MONDAY_OF_LABEL = """\
CASE WHEN {label} ~ '^[0-9]{{4}}-[0-5][0-9]$' AND left({label}, 4) <> '0000' THEN
        date_trunc('week', make_date(left({label}, 4)::integer, 1, 7)::timestamp)::date
        + 7 * (right({label}, 2)::integer - 1)
    END"""
"""The Monday that strftime('%Y-%W') of it gives the label, for rows that Cardwatch did not write:
the first Monday of a year lies on 1 to 7 January and belongs to week 01."""

_KEY = Column("anomaly_key", "TEXT", "reporting_week|customer_id: one row of bi_fact_anomaly.")
_MONDAY = Column("week_start", "DATE", "The week's Monday; joins bi_dim_week.")
_LABEL = Column("reporting_week", "TEXT", "The week's label YYYY-WW.")
_CUSTOMER = Column("customer_id", "TEXT", "The customer, as in the source.")
_RUN = Column("run_id", "TEXT", "The run that this row comes from; joins bi_dim_run.")

FACT_ANOMALY = View(
    name="bi_fact_anomaly",
    comment="The weekly lists: one row per listed customer and week.",
    columns=(
        _KEY,
        _MONDAY,
        _LABEL,
        _CUSTOMER,
        Column("anomaly_rank", "INTEGER", "Place among all scored; 1 is the most anomalous."),
        Column("anomaly_score", "DOUBLE PRECISION", "0 to 1; higher is more anomalous."),
        Column("risk_category", "TEXT", "critical, high, medium or low."),
        Column("risk_order", "INTEGER", "1 critical to 4 low: sort risk_category by it."),
        Column("signal", "TEXT", "opportunity or concern."),
        Column("signal_rule", "TEXT", "The rule that decided the signal."),
        Column("total_spend", "NUMERIC", "Net spend of the week, in account currency."),
        Column("transaction_count", "INTEGER", "Transactions of the week."),
        Column("mcc_diversity", "INTEGER", "Merchant categories of the week."),
        Column("top_mcc", "TEXT", "The category with the largest spend; joins bi_dim_mcc."),
        Column("top_mcc_spend", "NUMERIC", "Net spend there, in account currency."),
        Column("history_weeks", "INTEGER", "Weeks since the customer was first seen."),
        Column("surprise_total", "DOUBLE PRECISION", "Sum of the contributions of all families."),
        Column("rank_stability", "DOUBLE PRECISION", "0 to 1; empty: not measured."),
        Column("first_reason", "TEXT", "The sentence that weighs most."),
        Column("created_at", "TIMESTAMP", "When the run had finished, in UTC."),
        _RUN,
    ),
    query=f"""\
SELECT
    (r.reporting_week || '|' || r.customer_id)::text AS anomaly_key,
    coalesce(d.week_start, {MONDAY_OF_LABEL.format(label="r.reporting_week")}) AS week_start,
    r.reporting_week::text AS reporting_week,
    r.customer_id::text AS customer_id,
    r.anomaly_rank::integer AS anomaly_rank,
    r.anomaly_score::double precision AS anomaly_score,
    r.risk_category::text AS risk_category,
    CASE r.risk_category
        WHEN 'critical' THEN 1 WHEN 'high' THEN 2 WHEN 'medium' THEN 3 WHEN 'low' THEN 4
    END AS risk_order,
    d.signal,
    d.signal_rule,
    r.total_spend::numeric AS total_spend,
    r.transaction_count::integer AS transaction_count,
    r.mcc_diversity::integer AS mcc_diversity,
    nullif(r.top_mcc::text, '') AS top_mcc,
    r.top_mcc_spend::numeric AS top_mcc_spend,
    d.history_weeks,
    d.surprise_total,
    d.rank_stability,
    s.sentence AS first_reason,
    r.created_at,
    d.run_id
FROM anomaly_reports AS r
LEFT JOIN anomaly_details AS d
    ON d.reporting_week = r.reporting_week AND d.customer_id = r.customer_id
LEFT JOIN anomaly_reasons AS s
    ON s.reporting_week = r.reporting_week AND s.customer_id = r.customer_id AND s.position = 1
""",
)

FACT_REASON = View(
    name="bi_fact_reason",
    comment="Why customers are listed: one row per listed customer, week and reason.",
    columns=(
        _KEY,
        _MONDAY,
        _LABEL,
        _CUSTOMER,
        Column("position", "INTEGER", "1 is the reason that weighs most."),
        Column("code", "TEXT", "The reason code."),
        Column("family", "TEXT", "The family of features."),
        Column("feature", "TEXT", "The feature behind the reason."),
        Column("mcc", "TEXT", "The category that decided it; joins bi_dim_mcc."),
        Column("value", "DOUBLE PRECISION", "What was observed, in the unit of the row."),
        Column("usual", "DOUBLE PRECISION", "What is usual, in the unit of the row."),
        Column("usual_basis", "TEXT", "Whose usual: own median, peer median, category norm."),
        Column("unit", "TEXT", "The unit of value and usual."),
        Column("contribution", "DOUBLE PRECISION", "The family's part of surprise_total."),
        Column("sentence", "TEXT", "The reason as a person says it."),
        _RUN,
    ),
    query="""\
SELECT
    reporting_week || '|' || customer_id AS anomaly_key, week_start, reporting_week, customer_id,
    position, code, family, feature, mcc, value, usual, usual_basis, unit, contribution, sentence,
    run_id
FROM anomaly_reasons
""",
)

FACT_MCC_WEEK = View(
    name="bi_fact_mcc_week",
    comment="The listed customers' week by merchant category: one row per customer, week and MCC.",
    columns=(
        _KEY,
        _MONDAY,
        _LABEL,
        _CUSTOMER,
        Column("mcc", "TEXT", "The merchant category; joins bi_dim_mcc."),
        Column("spend", "NUMERIC(14, 2)", "Net spend of the week there, in account currency."),
        Column("transaction_count", "INTEGER", "Transactions of the week there."),
        Column("usual_spend", "NUMERIC(14, 2)", "Own mean per active reference week there."),
        Column("usual_ticket", "NUMERIC(14, 2)", "What a purchase usually costs there."),
        Column("is_new", "BOOLEAN", "Whether it was not used in the reference weeks."),
        Column("users_share", "DOUBLE PRECISION", "Share of customers that use it; 0 to 1."),
        _RUN,
    ),
    query="""\
SELECT
    reporting_week || '|' || customer_id AS anomaly_key, week_start, reporting_week, customer_id,
    mcc, spend, transaction_count, usual_spend, usual_ticket, is_new, users_share, run_id
FROM anomaly_mcc_week
""",
)

DIM_WEEK = View(
    name="bi_dim_week",
    comment="The weeks that were published: one row per week.",
    columns=(
        Column("week_start", "DATE", "The week's Monday: the key."),
        Column("week_end", "DATE", "The week's Sunday."),
        Column("reporting_week", "TEXT", "The week's label YYYY-WW."),
        Column("iso_week", "TEXT", "The ISO 8601 label, such as 2025-W47."),
        Column("week_label", "TEXT", "The week's days, such as 17 Nov - 23 Nov 2025."),
        Column("year", "INTEGER", "The Monday's year."),
        Column("quarter", "INTEGER", "The Monday's quarter, 1 to 4."),
        Column("month", "INTEGER", "The Monday's month, 1 to 12."),
        Column("month_label", "TEXT", "The Monday's month, such as 2025-11."),
        Column("month_start", "DATE", "The first day of that month."),
        Column("iso_year", "INTEGER", "The year of the ISO week."),
        Column("iso_week_number", "INTEGER", "The number of the ISO week."),
        Column("is_latest", "BOOLEAN", "Whether it is the newest week here."),
        _RUN,
    ),
    query=f"""\
SELECT
    w.week_start,
    w.week_start + 6 AS week_end,
    to_char(w.week_start, 'YYYY-')
        || lpad(((extract(doy FROM w.week_start)::integer + 6) / 7)::text, 2, '0')
        AS reporting_week,
    to_char(w.week_start, 'IYYY"-W"IW') AS iso_week,
    to_char(w.week_start, 'FMDD Mon - ') || to_char(w.week_start + 6, 'FMDD Mon YYYY')
        AS week_label,
    extract(year FROM w.week_start)::integer AS year,
    extract(quarter FROM w.week_start)::integer AS quarter,
    extract(month FROM w.week_start)::integer AS month,
    to_char(w.week_start, 'YYYY-MM') AS month_label,
    date_trunc('month', w.week_start::timestamp)::date AS month_start,
    extract(isoyear FROM w.week_start)::integer AS iso_year,
    extract(week FROM w.week_start)::integer AS iso_week_number,
    w.week_start = max(w.week_start) OVER () AS is_latest,
    c.run_id
FROM (
    SELECT week_start FROM anomaly_runs WHERE is_current
    UNION
    SELECT {MONDAY_OF_LABEL.format(label="reporting_week")} FROM anomaly_reports
) AS w
LEFT JOIN anomaly_runs AS c ON c.week_start = w.week_start AND c.is_current
WHERE w.week_start IS NOT NULL
""",
)

DIM_MCC = View(
    name="bi_dim_mcc",
    comment="The merchant categories that occur in the facts: one row per category.",
    columns=(
        Column("mcc", "TEXT", "The merchant category code: the key."),
        Column("name", "TEXT", "Its name, as in the newest week that has it."),
        Column("section", "TEXT", "Its section of ISO 18245."),
        Column("run_id", "TEXT", "The newest week's run that has it."),
    ),
    query="""\
SELECT
    u.mcc,
    coalesce(n.name, 'MCC ' || u.mcc) AS name,
    CASE
        WHEN u.mcc !~ '^[0-9]{4}$' THEN 'Other'
        WHEN u.mcc BETWEEN '0700' AND '0999' THEN 'Agricultural services'
        WHEN u.mcc BETWEEN '1500' AND '2999' THEN 'Contracted services'
        WHEN u.mcc BETWEEN '3000' AND '3350' THEN 'Airlines'
        WHEN u.mcc BETWEEN '3351' AND '3500' THEN 'Car rental'
        WHEN u.mcc BETWEEN '3501' AND '3999' THEN 'Hotels'
        WHEN u.mcc BETWEEN '4000' AND '4799' THEN 'Transportation'
        WHEN u.mcc BETWEEN '4800' AND '4999' THEN 'Utilities'
        WHEN u.mcc BETWEEN '5000' AND '5599' THEN 'Retail outlets'
        WHEN u.mcc BETWEEN '5600' AND '5699' THEN 'Clothing outlets'
        WHEN u.mcc BETWEEN '5700' AND '5999' THEN 'Miscellaneous outlets'
        WHEN u.mcc BETWEEN '6000' AND '7299' THEN 'Service providers'
        WHEN u.mcc BETWEEN '7300' AND '7529' THEN 'Business services'
        WHEN u.mcc BETWEEN '7530' AND '7799' THEN 'Repair services'
        WHEN u.mcc BETWEEN '7800' AND '7999' THEN 'Amusement and entertainment'
        WHEN u.mcc BETWEEN '8000' AND '8999' THEN 'Professional services and organizations'
        WHEN u.mcc BETWEEN '9200' AND '9402' THEN 'Government services'
        ELSE 'Other'
    END AS section,
    n.run_id
FROM (
    SELECT mcc FROM anomaly_mcc_week
    UNION
    SELECT mcc FROM anomaly_reasons WHERE mcc <> ''
    UNION
    SELECT top_mcc::text FROM anomaly_reports WHERE top_mcc <> ''
) AS u
LEFT JOIN (
    SELECT DISTINCT ON (mcc) mcc, name, run_id
    FROM anomaly_mcc_week
    ORDER BY mcc, week_start DESC, run_id, name
) AS n ON n.mcc = u.mcc
""",
)

_RUN_FIGURES = (
    Column("rows_in", "BIGINT", "Rows delivered for the week and its history."),
    Column("rows_accepted", "BIGINT", "Of them accepted."),
    Column("rows_quarantined", "BIGINT", "Of them set aside, with a reason."),
    Column("customers_in", "BIGINT", "Customers in the accepted rows."),
    Column("customers_scored", "BIGINT", "Of them scored."),
    Column("customers_absent", "BIGINT", "Of the scored, those without a transaction."),
    Column("customers_critical", "BIGINT", "Of the scored, critical ones."),
    Column("customers_high", "BIGINT", "Of the scored, high ones."),
    Column("customers_medium", "BIGINT", "Of the scored, medium ones."),
    Column("customers_low", "BIGINT", "Of the scored, low ones."),
    Column("flagged", "BIGINT", "Of the scored, those that are medium or above."),
    Column("listed", "BIGINT", "Customers on the list."),
    Column("threshold_critical", "DOUBLE PRECISION", "The score from which critical."),
    Column("threshold_high", "DOUBLE PRECISION", "The score from which high."),
    Column("threshold_medium", "DOUBLE PRECISION", "The score from which medium."),
    Column("threshold_source", "TEXT", "Whose scores the thresholds rest on."),
)

DIM_RUN = View(
    name="bi_dim_run",
    comment="The runs that were published: one row per run, replaced ones included.",
    columns=(
        Column("run_id", "TEXT", "The run: the key."),
        _MONDAY,
        _LABEL,
        Column("started_at", "TIMESTAMP", "When the run began, in UTC."),
        Column("finished_at", "TIMESTAMP", "When everything but the writing was done, in UTC."),
        Column("environment", "TEXT", "development, staging or production."),
        Column("version", "TEXT", "The version of Cardwatch."),
        Column("detector", "TEXT", "surprise or isolation_forest."),
        Column("score_version", "TEXT", "Changes when the same rows get other scores."),
        *_RUN_FIGURES,
        Column("supersedes_run_id", "TEXT", "The run of this week that this one replaced."),
        Column("is_current", "BOOLEAN", "Whether the facts hold this run's figures."),
    ),
    query=f"""\
SELECT
    run_id, week_start, reporting_week,
    started_at AT TIME ZONE 'UTC' AS started_at,
    finished_at AT TIME ZONE 'UTC' AS finished_at,
    environment, version, detector, score_version,
    {", ".join(column.name for column in _RUN_FIGURES)},
    supersedes_run_id, is_current
FROM anomaly_runs
""",
)

EXPANSION = Expansion(views=(FACT_ANOMALY, FACT_REASON, FACT_MCC_WEEK, DIM_WEEK, DIM_MCC, DIM_RUN))


def upgrade(expand: Callable[[Expansion], None]) -> None:
    """Add what this migration adds."""
    expand(EXPANSION)
