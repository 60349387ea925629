-- The weeks whose times carry seconds, in which identical transactions are copies of one.
-- in:  usable_row, summed_row (views)
-- out: precise_week (week_index)
CREATE OR REPLACE TABLE precise_week AS
SELECT week_index
FROM usable_row
GROUP BY week_index
HAVING bool_or(has_seconds)
UNION
SELECT week_index
FROM summed_row
WHERE has_seconds;
