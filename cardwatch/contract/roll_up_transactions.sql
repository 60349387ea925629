-- Transactions that break no rule, summed to customer, week and merchant category.
-- in:  usable_row, summed_row, cached_row (views), customer, precise_week
-- out: rolled_up (as in roll_up_weekly.sql)
CREATE OR REPLACE TABLE rolled_up AS
SELECT
    customer_key,
    week_index,
    mcc,
    CAST(sum(spend_cents) AS BIGINT) AS spend_cents,
    CAST(sum(kept) AS INTEGER) AS transaction_count,
    false AS ticket_disagrees,
    CAST(sum(copies - kept) AS INTEGER) AS folded
FROM (
    SELECT
        k.customer_key,
        d.week_index,
        d.mcc,
        d.spend_cents * CASE WHEN p.week_index IS NULL THEN count(*) ELSE 1 END AS spend_cents,
        count(*) AS copies,
        CASE WHEN p.week_index IS NULL THEN count(*) ELSE 1 END AS kept
    FROM usable_row AS d
    INNER JOIN customer AS k ON k.customer_id = d.customer_id
    LEFT JOIN precise_week AS p ON p.week_index = d.week_index
    GROUP BY
        k.customer_key, d.week_index, d.mcc, d.spend_cents, d.moment, d.extra_hash, p.week_index
    UNION ALL
    SELECT
        k.customer_key,
        s.week_index,
        s.mcc,
        s.spend_cents,
        s.transaction_count AS copies,
        s.transaction_count AS kept
    FROM summed_row AS s
    INNER JOIN customer AS k ON k.customer_id = s.customer_id
) AS purchase
GROUP BY customer_key, week_index, mcc
UNION ALL
SELECT
    k.customer_key,
    c.week_index,
    c.mcc,
    c.spend_cents,
    c.transaction_count,
    c.ticket_disagrees,
    0 AS folded
FROM cached_row AS c
INNER JOIN customer AS k ON k.customer_id = c.customer_id
WHERE c.reason IS NULL
ORDER BY customer_key, mcc, week_index;
