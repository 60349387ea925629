-- How many customers came new to each merchant category, week by week.
-- in:  customer_category, customer_activity, newcomer_week (week_index, bit, lookback)
-- out: category_newcomers (mcc, week_index, newcomers, heavy_newcomers). New: used the category that
--      week, not in the weeks of lookback, and was active in some of them; heavy: spent a large part
--      of a usual week there.
CREATE OR REPLACE TABLE category_newcomers AS
SELECT
    c.mcc,
    w.week_index,
    count(*) AS newcomers,
    count(*) FILTER (WHERE c.weeks_heavy & w.bit <> 0) AS heavy_newcomers
FROM customer_category AS c
INNER JOIN customer_activity AS a ON a.customer_key = c.customer_key
CROSS JOIN newcomer_week AS w
WHERE c.weeks_used & w.bit <> 0
    AND c.weeks_used & w.lookback = 0
    AND a.weeks_active & w.lookback <> 0
GROUP BY c.mcc, w.week_index
ORDER BY c.mcc, w.week_index;
