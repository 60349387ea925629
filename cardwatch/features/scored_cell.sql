-- The scored week's rows beside what the same customer did there before.
-- in:  cell, customer_category
-- out: scored_cell (customer_key, mcc, spend_cents, transaction_count, history_count,
--      history_paid_cents, weeks_used, weeks_heavy)
CREATE OR REPLACE TABLE scored_cell AS
SELECT
    c.customer_key,
    c.mcc,
    c.spend_cents,
    c.transaction_count,
    h.history_count,
    h.history_paid_cents,
    h.weeks_used,
    h.weeks_heavy
FROM cell AS c
INNER JOIN customer_category AS h ON h.customer_key = c.customer_key AND h.mcc = c.mcc
WHERE c.week_index = $scored AND c.transaction_count > 0
ORDER BY c.customer_key, c.mcc;
