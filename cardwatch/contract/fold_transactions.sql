-- Sets aside the copies of identical transactions that the roll-up left out.
-- in:  usable_row (view), customer, rolled_up, precise_week, code of the reason
-- out: set_aside, extended
INSERT INTO set_aside
SELECT
    $copy, d.week_index, min(d.week_value), d.customer_id, min(CAST(d.mcc_given AS VARCHAR)), min(CAST(d.amount_given AS VARCHAR)), NULL,
    '', min(d.source), count(*) - 1
FROM usable_row AS d
INNER JOIN customer AS k ON k.customer_id = d.customer_id
INNER JOIN precise_week AS p ON p.week_index = d.week_index
INNER JOIN rolled_up AS r
    ON r.customer_key = k.customer_key AND r.week_index = d.week_index AND r.mcc = d.mcc
WHERE r.folded > 0
GROUP BY d.customer_id, d.week_index, d.mcc, d.spend_cents, d.moment, d.extra_hash
HAVING count(*) > 1;
