-- Starts the list of rows set aside with those that cached weeks remember.
-- in:  cached_row (view)
-- out: set_aside (reason, week_index, week_value, customer_id, mcc, amount, transaction_count, detail,
--      source, row_copies)
CREATE OR REPLACE TABLE set_aside AS
SELECT
    reason,
    week_index,
    week_value,
    customer_id,
    mcc_text AS mcc,
    amount_text AS amount,
    count_text AS transaction_count,
    detail,
    source,
    row_copies
FROM cached_row
WHERE reason IS NOT NULL;
