-- Rows that break a rule of their own, as delivered.
-- in:  delivered_row (view), $scored (index of the scored week)
-- out: set_aside, extended; equal rows are counted in row_copies, week_index is NULL where unknown
INSERT INTO set_aside
SELECT
    problem,
    CASE WHEN week_index BETWEEN 0 AND $scored THEN week_index END,
    week_value,
    customer_id,
    CAST(mcc_given AS VARCHAR),
    CAST(amount_given AS VARCHAR),
    CAST(count_given AS VARCHAR),
    detail,
    source,
    count(*)
FROM delivered_row
WHERE problem IS NOT NULL
GROUP BY ALL;
