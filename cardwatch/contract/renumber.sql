-- Numbers the customers anew once some have no accepted row left.
-- in:  customer, rolled_up
-- out: customer and rolled_up, changed
CREATE OR REPLACE TABLE renumbered AS
SELECT
    customer_key AS old_key,
    CAST(row_number() OVER (ORDER BY customer_id) - 1 AS INTEGER) AS customer_key,
    customer_id
FROM customer
WHERE customer_key IN (SELECT customer_key FROM rolled_up)
ORDER BY customer_id;

CREATE OR REPLACE TABLE rolled_up AS
SELECT
    n.customer_key,
    r.week_index,
    r.mcc,
    r.spend_cents,
    r.transaction_count,
    r.ticket_disagrees,
    r.folded
FROM rolled_up AS r
INNER JOIN renumbered AS n ON n.old_key = r.customer_key
ORDER BY n.customer_key, r.mcc, r.week_index;

CREATE OR REPLACE TABLE customer AS
SELECT customer_key, customer_id
FROM renumbered
ORDER BY customer_key;

DROP TABLE renumbered;
