-- The scored week's rows.
-- in:  cell, $scored (index of the scored week)
-- out: scored_cell (customer_key, mcc, spend_cents, transaction_count): those with transactions
CREATE OR REPLACE TABLE scored_cell AS
SELECT customer_key, mcc, spend_cents, transaction_count
FROM cell
WHERE week_index = $scored AND transaction_count > 0;
