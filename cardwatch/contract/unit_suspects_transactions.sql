-- Transactions of the scored week far above their merchant category's ticket.
-- in:  usable_row (view), customer, category_ticket, $scored_monday, $low (ratio)
-- out: unit_suspect (customer_key, mcc, ticket_cents)
CREATE OR REPLACE TABLE unit_suspect AS
SELECT DISTINCT k.customer_key, d.mcc, CAST(d.spend_cents AS DOUBLE) AS ticket_cents
FROM usable_row AS d
INNER JOIN category_ticket AS t ON t.mcc = d.mcc
INNER JOIN customer AS k ON k.customer_id = d.customer_id
WHERE
    d.week_start = $scored_monday
    AND d.spend_cents >= $low * t.usual_cents;
