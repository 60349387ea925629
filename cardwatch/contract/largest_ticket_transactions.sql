-- The largest transaction of the scored week in each merchant category.
-- in:  usable_row (view), $scored_monday
-- out: largest_ticket (mcc, ticket_cents)
CREATE OR REPLACE TABLE largest_ticket AS
SELECT mcc, max(spend_cents) AS ticket_cents
FROM usable_row
WHERE week_start = $scored_monday
GROUP BY mcc;
