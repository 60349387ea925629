-- Puts planted weeks in the place of the customers' own.
-- in:  cell, planted_week (customer_key, week_index), planted_cell (as cell)
-- out: cell, changed in the weeks of planted_week and nowhere else
CREATE OR REPLACE TABLE cell AS
SELECT customer_key, week_index, mcc, spend_cents, transaction_count
FROM (
    SELECT c.customer_key, c.week_index, c.mcc, c.spend_cents, c.transaction_count
    FROM cell AS c
    WHERE NOT EXISTS (
        SELECT 1
        FROM planted_week AS p
        WHERE p.customer_key = c.customer_key AND p.week_index = c.week_index
    )
    UNION ALL
    SELECT customer_key, week_index, mcc, spend_cents, transaction_count
    FROM planted_cell
)
ORDER BY customer_key, mcc, week_index;
