-- Small columns come first, and what is large lies out of line, so that loading all of the small does
-- not read the large. Sums are those of codec.rs. Times are nanoseconds since 1970. Ids are compared
-- byte by byte, as everything else here sorts them.

CREATE TABLE state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    instance TEXT NOT NULL,
    stamp BIGINT NOT NULL,          -- raised by what changes the index
    notes BIGINT NOT NULL,          -- raised by what people write
    quiet TEXT,
    quiet_sum BIGINT
);

-- Whoever writes holds this row: there is one writer at a time.
CREATE TABLE lease (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch BIGINT NOT NULL,
    holder TEXT,                    -- JSON; none: it is free
    until BIGINT
);

CREATE TABLE desired (
    id TEXT COLLATE "C" PRIMARY KEY,
    source TEXT NOT NULL,
    path TEXT NOT NULL,
    blob BYTEA NOT NULL,
    key BYTEA NOT NULL,
    fingerprint BYTEA NOT NULL,
    refs TEXT,                      -- ids, apart by spaces
    valid BOOLEAN NOT NULL,
    template TEXT,                  -- name@version
    sum BIGINT NOT NULL,            -- over the columns above
    body TEXT NOT NULL,
    body_sum BIGINT NOT NULL,
    artifacts BYTEA NOT NULL        -- digests, one after the other
) WITH (toast_tuple_target = 512);

CREATE TABLE record (
    id TEXT COLLATE "C" PRIMARY KEY,
    settled BYTEA,
    source TEXT NOT NULL,
    refs TEXT,
    checked BIGINT,
    ends BIGINT,
    sum BIGINT NOT NULL,
    body TEXT NOT NULL,
    body_sum BIGINT NOT NULL,
    artifacts BYTEA NOT NULL
) WITH (toast_tuple_target = 512);

CREATE TABLE status (
    id TEXT COLLATE "C" PRIMARY KEY,
    digest BYTEA,                   -- none: the status is gone, and its file is still published
    published BYTEA,
    body TEXT,
    body_sum BIGINT,
    artifacts BYTEA NOT NULL
);

CREATE INDEX status_unpublished ON status (id) WHERE digest IS DISTINCT FROM published;

CREATE TABLE artifact (
    digest BYTEA PRIMARY KEY,
    body TEXT NOT NULL,
    sum BIGINT NOT NULL
);

CREATE TABLE journal (
    token TEXT COLLATE "C" PRIMARY KEY,
    request TEXT COLLATE "C" NOT NULL,
    provider TEXT NOT NULL,
    target TEXT NOT NULL,
    phase TEXT NOT NULL,
    artifact BYTEA,
    body TEXT NOT NULL,
    sum BIGINT NOT NULL
);

-- One effect at a time on each target.
CREATE UNIQUE INDEX journal_target ON journal (provider, target);
CREATE INDEX journal_request ON journal (request);

CREATE TABLE attempt (
    n BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token TEXT NOT NULL,
    request TEXT NOT NULL,
    component TEXT NOT NULL,
    action TEXT NOT NULL,
    step TEXT NOT NULL,
    plan TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    since BIGINT NOT NULL
);

CREATE TABLE retry (
    request TEXT COLLATE "C" NOT NULL,
    component TEXT COLLATE "C" NOT NULL,
    body TEXT NOT NULL,
    sum BIGINT NOT NULL,
    PRIMARY KEY (request, component)
);

CREATE TABLE hold (
    request TEXT COLLATE "C" NOT NULL,
    n BIGINT NOT NULL,
    body TEXT NOT NULL,
    sum BIGINT NOT NULL,
    PRIMARY KEY (request, n)
);

CREATE TABLE source (
    name TEXT COLLATE "C" PRIMARY KEY,
    body TEXT NOT NULL,
    sum BIGINT NOT NULL
);

CREATE TABLE template (
    name TEXT COLLATE "C" NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    body TEXT NOT NULL,
    sum BIGINT NOT NULL,
    PRIMARY KEY (name, version)
);

CREATE TABLE approval (
    digest BYTEA NOT NULL,
    person TEXT COLLATE "C" NOT NULL,
    body TEXT NOT NULL,
    sum BIGINT NOT NULL,
    PRIMARY KEY (digest, person)
);

CREATE TABLE event (
    n BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request TEXT COLLATE "C",
    body TEXT NOT NULL,
    sum BIGINT NOT NULL,
    -- What happens to a part of a target is told once: whoever says it again says it under the same key.
    key BYTEA
);

CREATE UNIQUE INDEX event_key ON event (key) WHERE key IS NOT NULL;
-- Each kind is counted and pruned by itself.
CREATE INDEX event_own ON event (request, n) WHERE key IS NULL;
CREATE INDEX event_part ON event (request, n) WHERE key IS NOT NULL;

CREATE TABLE value (
    key TEXT COLLATE "C" PRIMARY KEY,
    body TEXT NOT NULL,
    sum BIGINT NOT NULL
);
