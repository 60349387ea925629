"""Column names, units and the small objects that the steps of a run hand each other.

Amounts are in the portfolio's account currency. Inside the engine money is whole cents (BIGINT), so
that sums are exact in any order; at the edges it is DECIMAL with two digits.

Tables in the engine, each made by one step and read by later ones:

``customer`` (contract)
    ``customer_key INTEGER`` 0, 1, 2, … in the order of ``customer_id VARCHAR``: every customer with
    an accepted row in the window.
``cell`` (contract)
    ``customer_key INTEGER, week_index TINYINT, mcc SMALLINT, spend_cents BIGINT, transaction_count
    INTEGER``: one accepted row per customer, merchant category and week, in that order.
    ``week_index`` counts from 0, the oldest reference week, to H, the scored week (H reference
    weeks were asked for). Spend is net of refunds and may be negative.
``quarantine`` (contract)
    ``reason VARCHAR, week_value VARCHAR, customer_id VARCHAR, mcc VARCHAR, amount VARCHAR,
    transaction_count VARCHAR, detail VARCHAR, source VARCHAR, row_copies BIGINT``: what was set
    aside, as delivered, with anything that looks like a card number masked.
``scored_cell`` (features)
    ``customer_key INTEGER, mcc SMALLINT, spend_cents BIGINT, transaction_count INTEGER``: the
    scored week's rows with a transaction.
``portfolio_week`` (features)
    ``week_index TINYINT, spend_cents BIGINT, transaction_count BIGINT, customers BIGINT``: all
    customers together; customers are those with a transaction.
``feature`` (features)
    ``customer_key INTEGER, has_rows BOOLEAN, history_weeks TINYINT, peer_group TINYINT`` and one
    DOUBLE per catalogued feature (NULL where it does not apply), in the order of customer_key.
``score`` (detection)
    ``customer_key INTEGER, anomaly_score DOUBLE, surprise_total DOUBLE, unweighted_total DOUBLE``
    and two DOUBLE per family: ``<family>_surprise``, what it says alone, and
    ``<family>_contribution``, its part of surprise_total; the contributions add up to it.
    unweighted_total is what surprise_total would be if nothing had been learnt from verdicts.
``ranked`` (ranking)
    ``customer_key INTEGER, anomaly_score DOUBLE, surprise_total DOUBLE, unweighted_total DOUBLE,
    transaction_count INTEGER, spend_cents BIGINT, history_weeks TINYINT, anomaly_rank BIGINT`` and
    ``<family>_surprise`` per family.
``left_out`` (ranking)
    ``customer_key INTEGER``, a view: whom a policy keeps off the list, a customer perhaps twice.
``kept_off`` (ranking)
    The same without those whose peer group has its share of the list already.
"""

from cardwatch.schema.delivered import (
    TRANSACTION_COLUMNS,
    TRANSACTION_OPTIONAL,
    WEEKLY_COLUMNS,
    WEEKLY_OPTIONAL,
    Checked,
    Coverage,
    Delivery,
    QuarantineCount,
    Shape,
    WeekSummary,
)
from cardwatch.schema.listed import (
    RISK_CATEGORIES,
    SNOOZED,
    Drift,
    Learning,
    ListedCustomer,
    PeerGroup,
    PortfolioWeek,
    Ranking,
    Reason,
    Receipt,
    RiskCategory,
    Shift,
    Signal,
    Thresholds,
    WeekReport,
    policy_words,
)
from cardwatch.schema.scored import (
    Attribution,
    CategoryFacts,
    CustomerFacts,
    Distributions,
    Feature,
    FeatureTable,
    FeatureWeight,
    Scored,
)

__all__ = [
    "RISK_CATEGORIES",
    "SNOOZED",
    "policy_words",
    "TRANSACTION_COLUMNS",
    "TRANSACTION_OPTIONAL",
    "WEEKLY_COLUMNS",
    "WEEKLY_OPTIONAL",
    "Attribution",
    "CategoryFacts",
    "Checked",
    "Coverage",
    "CustomerFacts",
    "Delivery",
    "Distributions",
    "Drift",
    "Feature",
    "FeatureTable",
    "FeatureWeight",
    "Learning",
    "ListedCustomer",
    "PeerGroup",
    "PortfolioWeek",
    "QuarantineCount",
    "Ranking",
    "Reason",
    "Receipt",
    "RiskCategory",
    "Scored",
    "Shape",
    "Shift",
    "Signal",
    "Thresholds",
    "WeekReport",
    "WeekSummary",
]
