-- Takes out who waits; they keep their numbers: a unit error leaves them rows of other weeks.
-- in:  waiting, customer
-- out: rolled_up, set_aside and delivered_customer, without them; waiting with the final numbers
CREATE OR REPLACE TABLE waiting AS
SELECT k.customer_key, k.customer_id
FROM customer AS k
INNER JOIN waiting AS w ON w.customer_id = k.customer_id;

DELETE FROM rolled_up WHERE customer_key IN (SELECT customer_key FROM waiting);

DELETE FROM set_aside WHERE customer_id IN (SELECT customer_id FROM waiting);

DELETE FROM delivered_customer WHERE customer_id IN (SELECT customer_id FROM waiting);
