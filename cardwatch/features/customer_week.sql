-- One row per customer and active week.
-- in:  cell, category_norm, risky_category
-- out: customer_week (customer_key, week_index, spend_cents, paid_cents, transaction_count, categories,
--      risky_cents, ticket_sum, ticket_weight, tilt_sum). ticket_sum / ticket_weight is the week's mean
--      ticket in robust z of its categories, clipped at 3, weighted by the root of the count (at most
--      3); tilt_sum / categories is the mean distance from the categories' norms in log units. Real
--      numbers are summed as whole millionths: such sums are far under 2^53, and exact in any order.
CREATE OR REPLACE TABLE customer_week AS
SELECT
    customer_key,
    week_index,
    CAST(sum(spend_cents) AS BIGINT) AS spend_cents,
    CAST(sum(greatest(spend_cents, 0)) AS BIGINT) AS paid_cents,
    CAST(sum(transaction_count) AS BIGINT) AS transaction_count,
    CAST(count(*) AS INTEGER) AS categories,
    CAST(sum(CASE WHEN is_risky THEN abs(spend_cents) ELSE 0 END) AS BIGINT) AS risky_cents,
    CAST(sum(round(
        weight * greatest(-3, least(3, distance / log_ticket_spread)) * 1000000
    )) AS BIGINT) AS ticket_sum,
    CAST(sum(round(weight * 1000000)) AS BIGINT) AS ticket_weight,
    CAST(sum(round(distance * 1000000)) AS BIGINT) AS tilt_sum
FROM (
    SELECT
        cell.*,
        n.log_ticket_spread,
        n.is_risky,
        sqrt(least(cell.transaction_count, 9)) AS weight,
        ln(greatest(abs(cell.spend_cents), 1) / 100.0 / cell.transaction_count)
            - n.log_ticket AS distance
    FROM cell
    INNER JOIN (
        SELECT n.mcc, n.log_ticket, n.log_ticket_spread, r.mcc IS NOT NULL AS is_risky
        FROM category_norm AS n
        LEFT JOIN risky_category AS r ON r.mcc = n.mcc
    ) AS n ON n.mcc = cell.mcc
    WHERE cell.transaction_count > 0
) AS c
GROUP BY customer_key, week_index
ORDER BY customer_key, week_index;
