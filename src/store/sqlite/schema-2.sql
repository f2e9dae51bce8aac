-- What happens to parts of a target is kept beside a request's own history, and told once: whoever
-- says it again, after a lost answer or a restart, says it under the same key.
ALTER TABLE event ADD COLUMN key BLOB;

CREATE UNIQUE INDEX event_key ON event (key) WHERE key IS NOT NULL;

-- Two narrow indexes instead of a wide one: each kind is counted and pruned by itself.
DROP INDEX event_request;
CREATE INDEX event_own ON event (request, n) WHERE key IS NULL;
CREATE INDEX event_part ON event (request, n) WHERE key IS NOT NULL;
