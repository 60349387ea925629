-- What purchases usually cost in the reference weeks, and how widely each category is used.
-- in:  cell
-- out: market (mcc, cells, purchases, log_sum): rows and rows with positive spend, and the sum of
--      ln(cents per transaction) over the latter, in whole millionths, exact in any order.
CREATE OR REPLACE TABLE market AS
SELECT
    mcc,
    count(*) AS cells,
    count(*) FILTER (WHERE spend_cents > 0) AS purchases,
    CAST(coalesce(sum(
        CASE
            WHEN spend_cents > 0 THEN round(ln(spend_cents / transaction_count) * 1000000)
        END
    ), 0) AS BIGINT) AS log_sum
FROM cell
WHERE week_index < $scored AND transaction_count > 0
GROUP BY mcc
ORDER BY mcc;
