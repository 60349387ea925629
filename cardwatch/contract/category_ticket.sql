-- What a ticket usually is in a merchant category, where one of the scored week can be far above it.
-- in:  rolled_up, largest_ticket, $scored (index of the scored week), $low (ratio)
-- out: category_ticket (mcc, usual_cents): median weekly ticket over the reference weeks
--
-- A median holds every value it is taken of. It is needed only where half of the usual tickets are so
-- small that the largest one of the scored week can be $low times their median.
CREATE OR REPLACE TABLE category_ticket AS
WITH in_doubt AS (
    SELECT r.mcc
    FROM rolled_up AS r
    INNER JOIN largest_ticket AS l ON l.mcc = r.mcc
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
