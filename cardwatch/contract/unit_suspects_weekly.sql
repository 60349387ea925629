-- Tickets of the scored week far above their merchant category's.
-- in:  rolled_up, category_ticket, $scored (index of the scored week), $low (ratio)
-- out: unit_suspect (customer_key, mcc, ticket_cents)
CREATE OR REPLACE TABLE unit_suspect AS
SELECT r.customer_key, r.mcc, r.spend_cents / r.transaction_count AS ticket_cents
FROM rolled_up AS r
INNER JOIN category_ticket AS t ON t.mcc = r.mcc
WHERE
    r.week_index = $scored
    AND r.transaction_count > 0
    AND r.spend_cents / r.transaction_count >= $low * t.usual_cents;
