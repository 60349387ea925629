-- Who has enough history and activity for a case to be planted.
-- in:  cell, customer
-- out: candidate (customer_key, customer_id, usual_count, draw): active in at least $seasoned
--      reference weeks and in every one of the weeks from $recent on that hold data ($recent_weeks),
--      with at least $least transactions and a positive spend in a usual week. draw is the place in
--      a lottery that depends on $lottery and the customer alone.
CREATE OR REPLACE TABLE candidate AS
SELECT
    c.customer_key,
    c.customer_id,
    w.usual_count,
    md5(concat($lottery, c.customer_id)) AS draw
FROM (
    SELECT
        customer_key,
        median(transactions) FILTER (WHERE week_index < $scored) AS usual_count,
        median(cents) FILTER (WHERE week_index < $scored) AS usual_cents,
        count(*) FILTER (WHERE week_index < $scored) AS active_weeks,
        count(*) FILTER (WHERE week_index >= $recent) AS recent_weeks
    FROM (
        SELECT
            customer_key,
            week_index,
            CAST(sum(transaction_count) AS BIGINT) AS transactions,
            CAST(sum(spend_cents) AS BIGINT) AS cents
        FROM cell
        WHERE transaction_count > 0
        GROUP BY customer_key, week_index
    )
    GROUP BY customer_key
) AS w
INNER JOIN customer AS c ON c.customer_key = w.customer_key
WHERE w.active_weeks >= $seasoned
    AND w.recent_weeks = $recent_weeks
    AND w.usual_count >= $least
    AND w.usual_cents > 0
ORDER BY draw, c.customer_id;
