-- Gives the accepted rows their final name and shape.
-- in:  rolled_up
-- out: cell (customer_key, week_index, mcc, spend_cents, transaction_count), by customer, category, week
DROP TABLE IF EXISTS cell;
ALTER TABLE rolled_up DROP COLUMN ticket_disagrees;
ALTER TABLE rolled_up DROP COLUMN folded;
ALTER TABLE rolled_up RENAME TO cell;
