-- The largest ticket of the scored week in each merchant category, from weekly rows.
-- in:  rolled_up, $scored (index of the scored week)
-- out: largest_ticket (mcc, ticket_cents)
CREATE OR REPLACE TABLE largest_ticket AS
SELECT mcc, max(spend_cents / transaction_count) AS ticket_cents
FROM rolled_up
WHERE week_index = $scored AND transaction_count > 0
GROUP BY mcc;
