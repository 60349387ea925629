-- Weekly rows that break no rule of their own, sorted; copies and conflicts are still in it.
-- in:  usable_row, cached_row (views), customer
-- out: rolled_up (customer_key, week_index, mcc, spend_cents, transaction_count, ticket_disagrees,
--      folded). folded counts identical transactions and is 0 here.
CREATE OR REPLACE TABLE rolled_up AS
SELECT
    k.customer_key,
    r.week_index,
    r.mcc,
    r.spend_cents,
    r.transaction_count,
    r.ticket_disagrees,
    CAST(0 AS INTEGER) AS folded
FROM (
    SELECT customer_id, week_index, mcc, spend_cents, transaction_count, ticket_disagrees
    FROM usable_row
    UNION ALL
    SELECT customer_id, week_index, mcc, spend_cents, transaction_count, ticket_disagrees
    FROM cached_row
    WHERE reason IS NULL
) AS r
INNER JOIN customer AS k ON k.customer_id = r.customer_id
ORDER BY k.customer_key, r.mcc, r.week_index;
