-- Customers with an amount of the scored week far above their own usual one, in some category: whether it
-- is a unit error, only the usual ticket of the category can tell.
-- in:  unit_suspect (every ticket of the scored week), rolled_up, customer, $scored (index of the scored
--      week), $low (ratio), $weeks_needed
-- out: waiting (customer_key, customer_id); waiting_cell (mcc, spend_cents, transaction_count): what
--      they did in the reference weeks
CREATE OR REPLACE TABLE waiting AS
SELECT customer_key, customer_id
FROM customer
WHERE customer_key IN (
    SELECT r.customer_key
    FROM rolled_up AS r
    INNER JOIN unit_suspect AS s ON s.customer_key = r.customer_key AND s.mcc = r.mcc
    WHERE r.week_index < $scored AND r.spend_cents > 0 AND r.transaction_count > 0
    GROUP BY r.customer_key, r.mcc, s.ticket_cents
    HAVING
        count(*) >= $weeks_needed
        AND 2 * count(*) FILTER (
            WHERE $low * (r.spend_cents / r.transaction_count) <= s.ticket_cents * (1 + 1e-9)
        ) >= count(*)
);

CREATE OR REPLACE TABLE waiting_cell AS
SELECT mcc, spend_cents, transaction_count
FROM rolled_up
WHERE
    week_index < $scored
    AND spend_cents > 0
    AND transaction_count > 0
    AND customer_key IN (SELECT customer_key FROM waiting);
