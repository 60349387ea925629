-- Suspects that are as far above the customer's own usual ticket in the category.
-- in:  unit_suspect, rolled_up, customer, $scored (index of the scored week), $low, $high (ratios),
--      $weeks_needed
-- out: unit_error (customer_key, customer_id, mcc, ticket_cents, ratio)
CREATE OR REPLACE TABLE unit_error AS
SELECT s.customer_key, k.customer_id, s.mcc, s.ticket_cents, s.ticket_cents / own.usual_cents AS ratio
FROM unit_suspect AS s
INNER JOIN customer AS k ON k.customer_key = s.customer_key
INNER JOIN (
    SELECT r.customer_key, r.mcc, median(r.spend_cents / r.transaction_count) AS usual_cents
    FROM rolled_up AS r
    INNER JOIN (SELECT DISTINCT customer_key, mcc FROM unit_suspect) AS wanted
        ON wanted.customer_key = r.customer_key AND wanted.mcc = r.mcc
    WHERE r.week_index < $scored AND r.spend_cents > 0 AND r.transaction_count > 0
    GROUP BY r.customer_key, r.mcc
    HAVING count(*) >= $weeks_needed
) AS own ON own.customer_key = s.customer_key AND own.mcc = s.mcc
WHERE s.ticket_cents / own.usual_cents BETWEEN $low AND $high;
