-- What one purchase usually costs in each merchant category.
-- in:  fit_cell, seen_category
-- out: category_norm (mcc, log_ticket, log_ticket_spread, users): median and scaled median absolute
--      deviation of ln(spend per transaction), from the customers of the fitting sample in weeks
--      $first to $last. A category with fewer than $users_needed users gets the portfolio's norm.
CREATE OR REPLACE TEMP TABLE ticket AS
SELECT
    customer_key,
    mcc,
    ln(greatest(abs(spend_cents), 1) / 100.0 / transaction_count) AS log_ticket
FROM fit_cell
WHERE week_index BETWEEN $first AND $last;

CREATE OR REPLACE TEMP TABLE portfolio_norm AS
SELECT
    m.middle AS log_ticket,
    1.4826 * median(abs(t.log_ticket - m.middle)) AS log_ticket_spread
FROM ticket AS t
CROSS JOIN (SELECT median(log_ticket) AS middle FROM ticket) AS m
GROUP BY m.middle;

CREATE OR REPLACE TABLE category_norm AS
WITH middle AS (
    SELECT mcc, median(log_ticket) AS log_ticket, count(DISTINCT customer_key) AS users
    FROM ticket
    GROUP BY mcc
),
spread AS (
    SELECT t.mcc, 1.4826 * median(abs(t.log_ticket - m.log_ticket)) AS log_ticket_spread
    FROM ticket AS t
    INNER JOIN middle AS m ON m.mcc = t.mcc
    GROUP BY t.mcc
)
SELECT
    seen.mcc,
    CASE WHEN m.users >= $users_needed THEN m.log_ticket ELSE p.log_ticket END AS log_ticket,
    greatest(
        CASE WHEN m.users >= $users_needed THEN s.log_ticket_spread ELSE p.log_ticket_spread END,
        0.25
    ) AS log_ticket_spread,
    coalesce(m.users, 0) AS users
FROM seen_category AS seen
LEFT JOIN middle AS m ON m.mcc = seen.mcc
LEFT JOIN spread AS s ON s.mcc = seen.mcc
CROSS JOIN portfolio_norm AS p
ORDER BY seen.mcc;
