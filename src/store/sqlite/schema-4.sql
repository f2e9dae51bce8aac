-- Raised by what a pass goes by: history and what others keep beside it leave an index that was read
-- as good as it was.
ALTER TABLE state ADD COLUMN basis INTEGER NOT NULL DEFAULT 0;
