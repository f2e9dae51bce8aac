-- When what is applied ends, beside what tells when it is looked at: a daemon with nothing else to do
-- wakes for it. It is part of the row's sum where there is one; older rows have none.
ALTER TABLE record ADD COLUMN ends INTEGER;
