-- Keeps one of exact copies and none of conflicting rows; the others are set aside.
-- in:  usable_row (view), customer, rolled_up, repeated_row, codes of reasons
-- out: rolled_up and set_aside, changed; repeated_key (customer_key, customer_id, week_index, mcc,
--      in_conflict, any_disagrees); repeated_delivery: the rows of those keys, as delivered
CREATE OR REPLACE TABLE repeated_key AS
SELECT
    r.customer_key,
    k.customer_id,
    r.week_index,
    r.mcc,
    min(r.spend_cents) <> max(r.spend_cents)
        OR min(r.transaction_count) <> max(r.transaction_count) AS in_conflict,
    bool_or(r.ticket_disagrees) AS any_disagrees
FROM rolled_up AS r
INNER JOIN customer AS k ON k.customer_key = r.customer_key
INNER JOIN (SELECT DISTINCT customer_key, week_index, mcc FROM repeated_row) AS again
    ON again.customer_key = r.customer_key
    AND again.week_index = r.week_index
    AND again.mcc = r.mcc
GROUP BY r.customer_key, k.customer_id, r.week_index, r.mcc;

CREATE OR REPLACE TABLE repeated_delivery AS
SELECT
    d.week_index,
    d.week_value,
    d.customer_id,
    d.mcc AS mcc_number,
    CAST(d.mcc_given AS VARCHAR) AS mcc,
    CAST(d.amount_given AS VARCHAR) AS amount,
    CAST(d.count_given AS VARCHAR) AS transaction_count,
    d.source,
    r.in_conflict
FROM usable_row AS d
INNER JOIN repeated_key AS r
    ON r.customer_id = d.customer_id AND r.week_index = d.week_index AND r.mcc = d.mcc;

INSERT INTO set_aside
SELECT
    $conflict, week_index, week_value, customer_id, mcc, amount, transaction_count, '', source, count(*)
FROM repeated_delivery
WHERE in_conflict
GROUP BY ALL;

INSERT INTO set_aside
SELECT
    $copy, week_index, min(week_value), customer_id, min(mcc), min(amount), min(transaction_count), '',
    min(source), count(*) - 1
FROM repeated_delivery
WHERE NOT in_conflict
GROUP BY customer_id, week_index, mcc_number;

DELETE FROM rolled_up
USING repeated_row AS again
WHERE rolled_up.rowid = again.row_id;

DELETE FROM rolled_up
USING repeated_key AS r
WHERE
    r.in_conflict
    AND r.customer_key = rolled_up.customer_key
    AND r.week_index = rolled_up.week_index
    AND r.mcc = rolled_up.mcc;

-- Which of the copies stays must not depend on the order of the rows.
UPDATE rolled_up
SET ticket_disagrees = true
FROM repeated_key AS r
WHERE
    r.any_disagrees
    AND r.customer_key = rolled_up.customer_key
    AND r.week_index = rolled_up.week_index
    AND r.mcc = rolled_up.mcc;
