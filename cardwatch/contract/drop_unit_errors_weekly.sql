-- Sets the rows with unit errors aside.
-- in:  usable_row (view), unit_error, $scored (index of the scored week), $scored_monday,
--      code of the reason
-- out: rolled_up and set_aside, changed
INSERT INTO set_aside
SELECT
    $reason, $scored, min(d.week_value), d.customer_id, min(CAST(d.mcc_given AS VARCHAR)), min(CAST(d.amount_given AS VARCHAR)),
    min(CAST(d.count_given AS VARCHAR)), printf('%.0f times the usual ticket', min(e.ratio)), min(d.source), 1
FROM usable_row AS d
INNER JOIN unit_error AS e ON e.customer_id = d.customer_id AND e.mcc = d.mcc
WHERE d.week_start = $scored_monday
GROUP BY d.customer_id, d.mcc;

DELETE FROM rolled_up
USING unit_error AS e
WHERE
    rolled_up.week_index = $scored
    AND rolled_up.customer_key = e.customer_key
    AND rolled_up.mcc = e.mcc;
