-- Tickets of the scored week far above their merchant category's.
-- in:  rolled_up, $scored (index of the scored week), $low (ratio)
-- out: category_ticket (mcc, usual_cents): median weekly ticket over the reference weeks;
--      unit_suspect (customer_key, mcc, ticket_cents)
CREATE OR REPLACE TABLE category_ticket AS
SELECT mcc, median(spend_cents / transaction_count) AS usual_cents
FROM rolled_up
WHERE week_index < $scored AND spend_cents > 0 AND transaction_count > 0
GROUP BY mcc;

CREATE OR REPLACE TABLE unit_suspect AS
SELECT r.customer_key, r.mcc, r.spend_cents / r.transaction_count AS ticket_cents
FROM rolled_up AS r
INNER JOIN category_ticket AS t ON t.mcc = r.mcc
WHERE
    r.week_index = $scored
    AND r.transaction_count > 0
    AND r.spend_cents / r.transaction_count >= $low * t.usual_cents;
