-- Who and how much was delivered, and the numbering of the customers.
-- in:  delivered_row, summed_row, cached_row (views)
-- out: delivered_customer (customer_id, rows_in, unjudged_rows, text_suspect), one row per delivered
--      id, and one with a NULL id. unjudged_rows are those that are not set aside already; which of
--      them break a rule is found when they are rolled up. customer (customer_key, customer_id):
--      everybody with such a row; those who keep none are left out later (renumber.sql).
CREATE OR REPLACE TABLE delivered_customer AS
SELECT
    customer_id,
    CAST(sum(rows_in) AS BIGINT) AS rows_in,
    CAST(sum(unjudged_rows) AS BIGINT) AS unjudged_rows,
    bool_or(text_suspect) AS text_suspect
FROM (
    SELECT
        customer_id,
        count(*) AS rows_in,
        count(*) AS unjudged_rows,
        count(nullif(text_suspect, false)) > 0 AS text_suspect
    FROM delivered_row
    GROUP BY customer_id
    UNION ALL
    SELECT
        customer_id,
        sum(transaction_count) AS rows_in,
        sum(transaction_count) AS unjudged_rows,
        false AS text_suspect
    FROM summed_row
    GROUP BY customer_id
    UNION ALL
    SELECT
        customer_id,
        sum(row_copies) AS rows_in,
        sum(row_copies) FILTER (WHERE reason IS NULL) AS unjudged_rows,
        false AS text_suspect
    FROM cached_row
    GROUP BY customer_id
) AS part
GROUP BY customer_id;

CREATE OR REPLACE TABLE customer AS
SELECT
    CAST(row_number() OVER (ORDER BY customer_id) - 1 AS INTEGER) AS customer_key,
    customer_id
FROM delivered_customer
WHERE unjudged_rows > 0 AND trim(customer_id) <> ''
ORDER BY customer_id;
