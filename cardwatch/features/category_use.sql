-- How widely each merchant category is used.
-- in:  customer_category
-- out: category_use (mcc, users, history_count): customers and transactions in the reference weeks.
CREATE OR REPLACE TABLE category_use AS
SELECT
    mcc,
    count(*) FILTER (WHERE history_count > 0) AS users,
    CAST(sum(history_count) AS BIGINT) AS history_count
FROM customer_category
GROUP BY mcc
ORDER BY mcc;
