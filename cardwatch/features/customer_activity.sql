-- When each customer was active, and how much a usual week is.
-- in:  customer_week
-- out: customer_activity (customer_key, weeks_active, first_week, active_weeks, usual_cents,
--      level_cents). weeks_active has bit w set when week w has transactions; active_weeks counts the
--      reference weeks among them. usual_cents is the median weekly spend over those, level_cents the
--      same (never under 0) plus $floor_cents; without history usual_cents is NULL.
CREATE OR REPLACE TABLE customer_activity AS
SELECT
    customer_key,
    weeks_active,
    first_week,
    active_weeks,
    usual_cents,
    greatest(usual_cents, 0) + $floor_cents AS level_cents
FROM (
    SELECT
        customer_key,
        bit_or(CAST(1 AS BIGINT) << CAST(week_index AS BIGINT)) AS weeks_active,
        min(week_index) AS first_week,
        count(*) FILTER (WHERE week_index < $scored) AS active_weeks,
        list_aggregate(list(spend_cents) FILTER (WHERE week_index < $scored), 'median') AS usual_cents
    FROM customer_week
    GROUP BY customer_key
)
ORDER BY customer_key;
