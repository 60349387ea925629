-- What each customer did in each merchant category over the window.
-- in:  cell, customer_activity
-- out: customer_category (customer_key, mcc, history_count, history_paid_cents, weeks_used,
--      weeks_heavy). Sums are over the reference weeks; weeks_used and weeks_heavy have bit w set for
--      a week with transactions, and with spend over $heavy_share of the customer's level.
CREATE OR REPLACE TABLE customer_category AS
SELECT
    c.customer_key,
    c.mcc,
    CAST(sum(CASE WHEN c.week_index < $scored THEN c.transaction_count ELSE 0 END) AS BIGINT)
        AS history_count,
    CAST(sum(CASE WHEN c.week_index < $scored THEN greatest(c.spend_cents, 0) ELSE 0 END) AS BIGINT)
        AS history_paid_cents,
    bit_or(CAST(1 AS BIGINT) << CAST(c.week_index AS BIGINT)) AS weeks_used,
    bit_or(
        CASE
            WHEN abs(c.spend_cents) > $heavy_share * a.level_cents
                THEN CAST(1 AS BIGINT) << CAST(c.week_index AS BIGINT)
            ELSE 0
        END
    ) AS weeks_heavy
FROM cell AS c
INNER JOIN customer_activity AS a ON a.customer_key = c.customer_key
WHERE c.transaction_count > 0
GROUP BY c.customer_key, c.mcc
ORDER BY c.customer_key, c.mcc;
