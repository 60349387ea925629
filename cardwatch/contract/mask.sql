-- Replaces texts that hold a card number in what was set aside; customer ids are masked in the quarantine.
-- in:  masked (value, shown): the texts concerned
-- out: set_aside, changed
UPDATE set_aside SET week_value = m.shown FROM masked AS m WHERE week_value = m.value;
UPDATE set_aside SET mcc = m.shown FROM masked AS m WHERE mcc = m.value;
UPDATE set_aside SET amount = m.shown FROM masked AS m WHERE amount = m.value;
UPDATE set_aside
SET transaction_count = m.shown FROM masked AS m WHERE transaction_count = m.value;
UPDATE set_aside SET detail = m.shown FROM masked AS m WHERE detail = m.value;
UPDATE set_aside SET source = m.shown FROM masked AS m WHERE source = m.value;
