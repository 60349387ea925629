-- What a ticket usually is in a merchant category, where one of the scored week can be far above it.
-- in:  rolled_up, largest_ticket, $scored (index of the scored week), $low (ratio)
-- out: category_ticket (mcc, usual_cents): median weekly ticket over the reference weeks
--
-- It is needed only where half of the usual tickets are so small that the largest one of the scored
-- week can be $low times their median. A median holds every value it is taken of, and not under the
-- engine's memory limit. So the tickets are counted in narrow bands first, and only those around the
-- middle are looked at one by one. Roots are rounded correctly: no larger ticket is in a lower band.
CREATE OR REPLACE TABLE category_ticket AS
WITH usual AS NOT MATERIALIZED (
    SELECT mcc, spend_cents / transaction_count AS cents
    FROM rolled_up
    WHERE week_index < $scored AND spend_cents > 0 AND transaction_count > 0
),
counted AS (
    SELECT
        u.mcc,
        CAST(floor(8 * sqrt(sqrt(u.cents))) AS BIGINT) AS band,
        count(*) AS tickets,
        count(*) FILTER (WHERE $low * u.cents <= l.ticket_cents) AS far_below
    FROM usual AS u
    INNER JOIN largest_ticket AS l ON l.mcc = u.mcc
    GROUP BY u.mcc, CAST(floor(8 * sqrt(sqrt(u.cents))) AS BIGINT)
),
placed AS (
    SELECT
        mcc,
        band,
        tickets,
        sum(tickets) OVER (PARTITION BY mcc ORDER BY band) AS up_to,
        sum(tickets) OVER (PARTITION BY mcc) AS all_tickets,
        sum(far_below) OVER (PARTITION BY mcc) AS all_far_below
    FROM counted
),
middle AS (
    SELECT
        mcc,
        band,
        up_to - tickets AS below,
        (all_tickets + 1) // 2 AS low_place,
        all_tickets // 2 + 1 AS high_place
    FROM placed
    WHERE
        2 * all_far_below >= all_tickets
        AND up_to >= (all_tickets + 1) // 2
        AND up_to - tickets < all_tickets // 2 + 1
),
around AS (
    SELECT u.mcc, m.below, m.low_place, m.high_place, u.cents, count(*) AS tickets
    FROM usual AS u
    INNER JOIN middle AS m
        ON m.mcc = u.mcc AND m.band = CAST(floor(8 * sqrt(sqrt(u.cents))) AS BIGINT)
    GROUP BY u.mcc, m.below, m.low_place, m.high_place, u.cents
),
ordered AS (
    SELECT
        mcc,
        low_place,
        high_place,
        cents,
        tickets,
        below + sum(tickets) OVER (PARTITION BY mcc, below ORDER BY cents) AS up_to
    FROM around
)
SELECT mcc, median(cents) AS usual_cents
FROM ordered
WHERE up_to >= low_place AND up_to - tickets < high_place
GROUP BY mcc;
