-- Weekly rows that say something about a customer, week and category that another row says too.
-- in:  rolled_up, sorted
-- out: repeated_row (row_id, customer_key, week_index, mcc): all but the first row of each key
CREATE OR REPLACE TABLE repeated_row AS
SELECT row_id, customer_key, week_index, mcc
FROM (
    SELECT
        rowid AS row_id,
        customer_key,
        week_index,
        mcc,
        lag(customer_key) OVER () AS customer_before,
        lag(week_index) OVER () AS week_before,
        lag(mcc) OVER () AS mcc_before
    FROM rolled_up
) AS neighbours
WHERE customer_key = customer_before AND week_index = week_before AND mcc = mcc_before;
