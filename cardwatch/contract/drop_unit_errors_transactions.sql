-- Sets the transactions with unit errors aside and takes them out of the roll-up.
-- in:  usable_row (view), unit_error, precise_week, $scored (index of the scored week),
--      $scored_monday, code of the reason
-- out: rolled_up and set_aside, changed; unit_purchase: the transactions, copies folded
CREATE OR REPLACE TABLE unit_purchase AS
SELECT
    e.customer_key,
    d.customer_id,
    d.mcc,
    d.spend_cents,
    min(d.week_value) AS week_value,
    min(CAST(d.mcc_given AS VARCHAR)) AS mcc_text,
    min(CAST(d.amount_given AS VARCHAR)) AS amount_text,
    min(d.source) AS source,
    min(e.ratio) AS ratio,
    CASE WHEN $scored IN (SELECT week_index FROM precise_week) THEN 1 ELSE count(*) END AS kept
FROM usable_row AS d
INNER JOIN unit_error AS e
    ON e.customer_id = d.customer_id AND e.mcc = d.mcc AND e.ticket_cents = d.spend_cents
WHERE d.week_start = $scored_monday
GROUP BY e.customer_key, d.customer_id, d.mcc, d.spend_cents, d.moment, d.extra_hash;

INSERT INTO set_aside
SELECT
    $reason, $scored, week_value, customer_id, mcc_text, amount_text, NULL,
    printf('%.0f times the usual ticket', ratio), source, sum(kept)
FROM unit_purchase
GROUP BY ALL;

UPDATE rolled_up
SET
    spend_cents = rolled_up.spend_cents - taken.spend_cents,
    transaction_count = rolled_up.transaction_count - taken.kept
FROM (
    SELECT customer_key, mcc, sum(spend_cents * kept) AS spend_cents, sum(kept) AS kept
    FROM unit_purchase
    GROUP BY customer_key, mcc
) AS taken
WHERE
    rolled_up.week_index = $scored
    AND rolled_up.customer_key = taken.customer_key
    AND rolled_up.mcc = taken.mcc;

DELETE FROM rolled_up
WHERE week_index = $scored AND transaction_count = 0;
