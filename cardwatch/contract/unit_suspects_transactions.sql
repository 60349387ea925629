-- Transactions of the scored week far above their merchant category's ticket.
-- in:  usable_row (view), customer, rolled_up, $scored (index of the scored week),
--      $scored_monday, $low (ratio)
-- out: category_ticket (mcc, usual_cents): median weekly ticket over the reference weeks, where an
--      amount of the scored week can be far above it; unit_suspect (customer_key, mcc, ticket_cents)
CREATE OR REPLACE TABLE category_ticket AS
WITH largest AS (
    SELECT mcc, max(spend_cents) AS ticket_cents
    FROM usable_row
    WHERE week_start = $scored_monday
    GROUP BY mcc
),
-- A median holds every value it is taken of. It is needed only where half of the usual tickets are so
-- small that the largest one of the scored week can be $low times their median.
in_doubt AS (
    SELECT r.mcc
    FROM rolled_up AS r
    INNER JOIN largest AS l ON l.mcc = r.mcc
    WHERE r.week_index < $scored AND r.spend_cents > 0 AND r.transaction_count > 0
    GROUP BY r.mcc
    HAVING
        2 * count(*) FILTER (WHERE $low * (r.spend_cents / r.transaction_count) <= l.ticket_cents)
        >= count(*)
)
SELECT mcc, median(spend_cents / transaction_count) AS usual_cents
FROM rolled_up
WHERE
    week_index < $scored
    AND spend_cents > 0
    AND transaction_count > 0
    AND mcc IN (SELECT mcc FROM in_doubt)
GROUP BY mcc;

CREATE OR REPLACE TABLE unit_suspect AS
SELECT DISTINCT k.customer_key, d.mcc, CAST(d.spend_cents AS DOUBLE) AS ticket_cents
FROM usable_row AS d
INNER JOIN category_ticket AS t ON t.mcc = d.mcc
INNER JOIN customer AS k ON k.customer_id = d.customer_id
WHERE
    d.week_start = $scored_monday
    AND d.spend_cents >= $low * t.usual_cents;
