-- One row per customer and active week.
-- in:  cell, category_norm, risky_category
-- out: customer_week (customer_key, week_index, spend_cents, paid_cents, transaction_count, categories,
--      risky_cents, ticket_sum, ticket_weight, tilt_sum). ticket_sum / ticket_weight is the week's mean
--      ticket in robust z of its categories, clipped at 3, weighted by the root of the count (at most
--      3); tilt_sum / categories is the mean distance from the categories' norms in log units. Real
--      numbers are summed in millionths, so that the sums are exact in any order.
CREATE OR REPLACE TABLE customer_week AS
SELECT
    c.customer_key,
    c.week_index,
    CAST(sum(c.spend_cents) AS BIGINT) AS spend_cents,
    CAST(sum(greatest(c.spend_cents, 0)) AS BIGINT) AS paid_cents,
    CAST(sum(c.transaction_count) AS BIGINT) AS transaction_count,
    CAST(count(*) AS INTEGER) AS categories,
    CAST(sum(CASE WHEN r.mcc IS NULL THEN 0 ELSE abs(c.spend_cents) END) AS BIGINT) AS risky_cents,
    CAST(sum(CAST(round(
        c.weight * greatest(-3, least(3, c.distance / c.log_ticket_spread)) * 1000000
    ) AS BIGINT)) AS BIGINT) AS ticket_sum,
    CAST(sum(CAST(round(c.weight * 1000000) AS BIGINT)) AS BIGINT) AS ticket_weight,
    CAST(sum(CAST(round(c.distance * 1000000) AS BIGINT)) AS BIGINT) AS tilt_sum
FROM (
    SELECT
        cell.*,
        n.log_ticket_spread,
        sqrt(least(cell.transaction_count, 9)) AS weight,
        ln(greatest(abs(cell.spend_cents), 1) / 100.0 / cell.transaction_count)
            - n.log_ticket AS distance
    FROM cell
    INNER JOIN category_norm AS n ON n.mcc = cell.mcc
    WHERE cell.transaction_count > 0
) AS c
LEFT JOIN risky_category AS r ON r.mcc = c.mcc
GROUP BY c.customer_key, c.week_index
ORDER BY c.customer_key, c.week_index;
