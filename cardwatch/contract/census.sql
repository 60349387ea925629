-- Who and how much was delivered, and the numbering of the customers with a usable row.
-- in:  delivered_row, summed_row, cached_row (views)
-- out: delivered_customer (customer_id, rows_in, usable_rows, faulty_rows, text_suspect), one row per
--      delivered id, and one with a NULL id; customer (customer_key, customer_id)
CREATE OR REPLACE TABLE delivered_customer AS
SELECT
    customer_id,
    CAST(sum(rows_in) AS BIGINT) AS rows_in,
    CAST(sum(usable_rows) AS BIGINT) AS usable_rows,
    CAST(sum(faulty_rows) AS BIGINT) AS faulty_rows,
    bool_or(text_suspect) AS text_suspect
FROM (
    SELECT
        customer_id,
        count(*) AS rows_in,
        count(*) - count(problem) AS usable_rows,
        count(problem) AS faulty_rows,
        count(nullif(text_suspect, false)) > 0 AS text_suspect
    FROM delivered_row
    GROUP BY customer_id
    UNION ALL
    SELECT
        customer_id,
        sum(transaction_count) AS rows_in,
        sum(transaction_count) AS usable_rows,
        0 AS faulty_rows,
        false AS text_suspect
    FROM summed_row
    GROUP BY customer_id
    UNION ALL
    SELECT
        customer_id,
        sum(row_copies) AS rows_in,
        count(*) FILTER (WHERE reason IS NULL) AS usable_rows,
        0 AS faulty_rows,
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
WHERE usable_rows > 0
ORDER BY customer_id;
