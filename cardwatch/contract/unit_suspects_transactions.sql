-- Transactions of the scored week far above their merchant category's ticket.
-- in:  usable_row (view), customer, rolled_up, $scored (index of the scored week),
--      $scored_monday, $low (ratio)
-- out: category_ticket (mcc, usual_cents): median weekly ticket over the reference weeks;
--      unit_suspect (customer_key, mcc, ticket_cents)
CREATE OR REPLACE TABLE category_ticket AS
SELECT mcc, median(spend_cents / transaction_count) AS usual_cents
FROM rolled_up
WHERE week_index < $scored AND spend_cents > 0 AND transaction_count > 0
GROUP BY mcc;

CREATE OR REPLACE TABLE unit_suspect AS
SELECT DISTINCT k.customer_key, d.mcc, CAST(d.spend_cents AS DOUBLE) AS ticket_cents
FROM usable_row AS d
INNER JOIN category_ticket AS t ON t.mcc = d.mcc
INNER JOIN customer AS k ON k.customer_id = d.customer_id
WHERE
    d.week_start = $scored_monday
    AND d.spend_cents >= $low * t.usual_cents;
