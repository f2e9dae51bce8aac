-- Small columns and documents lie apart, so that loading all of the small does not read the large.
-- Sums are those of codec.rs. Times are nanoseconds since 1970.

CREATE TABLE state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    instance TEXT NOT NULL,
    boot TEXT NOT NULL,             -- of the machine when the file was last opened
    stamp INTEGER NOT NULL,         -- raised by what changes the index
    notes INTEGER NOT NULL,         -- raised by what people write
    quiet TEXT,
    quiet_sum INTEGER
) STRICT;

CREATE TABLE lease (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL,
    holder TEXT,                    -- JSON; none: it is free
    until INTEGER
) STRICT;

CREATE TABLE document (
    n INTEGER PRIMARY KEY,
    body TEXT NOT NULL,
    sum INTEGER NOT NULL
) STRICT;

CREATE TABLE desired (
    id TEXT PRIMARY KEY,
    source TEXT NOT NULL,
    path TEXT NOT NULL,
    blob BLOB NOT NULL,
    key BLOB NOT NULL,
    fingerprint BLOB NOT NULL,
    refs TEXT,                      -- ids, apart by spaces
    valid INTEGER NOT NULL,
    template TEXT,                  -- name@version
    sum INTEGER NOT NULL,           -- over the columns above
    document INTEGER NOT NULL,
    artifacts BLOB NOT NULL         -- digests, one after the other
) STRICT, WITHOUT ROWID;

CREATE TABLE record (
    id TEXT PRIMARY KEY,
    settled BLOB,
    source TEXT NOT NULL,
    refs TEXT,
    checked INTEGER,
    sum INTEGER NOT NULL,
    document INTEGER NOT NULL,
    artifacts BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE status (
    id TEXT PRIMARY KEY,
    digest BLOB,                    -- none: the status is gone, and its file is still published
    published BLOB,
    document INTEGER,
    artifacts BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX status_unpublished ON status (id) WHERE digest IS NOT published;

CREATE TABLE artifact (
    digest BLOB PRIMARY KEY,
    body TEXT NOT NULL,
    sum INTEGER NOT NULL
) STRICT;

CREATE TABLE journal (
    token TEXT PRIMARY KEY,
    request TEXT NOT NULL,
    provider TEXT NOT NULL,
    target TEXT NOT NULL,
    phase TEXT NOT NULL,
    artifact BLOB,
    body TEXT NOT NULL,
    sum INTEGER NOT NULL
) STRICT;

-- One effect at a time on each target.
CREATE UNIQUE INDEX journal_target ON journal (provider, target);
CREATE INDEX journal_request ON journal (request);

CREATE TABLE attempt (
    n INTEGER PRIMARY KEY,
    token TEXT NOT NULL,
    request TEXT NOT NULL,
    component TEXT NOT NULL,
    action TEXT NOT NULL,
    step TEXT NOT NULL,
    plan TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    since INTEGER NOT NULL
) STRICT;

CREATE TABLE retry (
    request TEXT NOT NULL,
    component TEXT NOT NULL,
    body TEXT NOT NULL,
    sum INTEGER NOT NULL,
    PRIMARY KEY (request, component)
) STRICT;

CREATE TABLE hold (
    request TEXT NOT NULL,
    n INTEGER NOT NULL,
    body TEXT NOT NULL,
    sum INTEGER NOT NULL,
    PRIMARY KEY (request, n)
) STRICT;

CREATE TABLE source (
    name TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    sum INTEGER NOT NULL
) STRICT;

CREATE TABLE template (
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    body TEXT NOT NULL,
    sum INTEGER NOT NULL,
    PRIMARY KEY (name, version)
) STRICT;

CREATE TABLE approval (
    digest BLOB NOT NULL,
    person TEXT NOT NULL,
    body TEXT NOT NULL,
    sum INTEGER NOT NULL,
    PRIMARY KEY (digest, person)
) STRICT;

CREATE TABLE event (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    request TEXT,
    body TEXT NOT NULL,
    sum INTEGER NOT NULL
) STRICT;

CREATE INDEX event_request ON event (request, n) WHERE request IS NOT NULL;

CREATE TABLE value (
    key TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    sum INTEGER NOT NULL
) STRICT;
