-- Times are ISO 8601 text in UTC with milliseconds, so that they sort as text.
-- Generated columns repeat what the JSON holds, only to be searched by.

CREATE TABLE sandboxes (
  id TEXT PRIMARY KEY,
  name TEXT UNIQUE,
  spec TEXT NOT NULL,
  origin TEXT NOT NULL,
  labels TEXT NOT NULL,
  generation INTEGER NOT NULL,
  snapshot_key TEXT NOT NULL,
  created_at TEXT NOT NULL,
  state TEXT NOT NULL,
  status TEXT GENERATED ALWAYS AS (json_extract(state, '$.status')) VIRTUAL,
  origin_checkpoint TEXT GENERATED ALWAYS AS (json_extract(origin, '$.checkpoint')) VIRTUAL,
  state_checkpoint TEXT GENERATED ALWAYS AS (json_extract(state, '$.checkpoint')) VIRTUAL
) STRICT;
CREATE INDEX sandboxes_created ON sandboxes (created_at);
CREATE INDEX sandboxes_origin_checkpoint ON sandboxes (origin_checkpoint);
CREATE INDEX sandboxes_state_checkpoint ON sandboxes (state_checkpoint);

CREATE TABLE checkpoints (
  id TEXT PRIMARY KEY,
  name TEXT UNIQUE,
  kind TEXT NOT NULL,
  sandbox TEXT NOT NULL,
  parent TEXT,
  base TEXT REFERENCES checkpoints (id),
  spec TEXT NOT NULL,
  generation INTEGER NOT NULL,
  snapshot_key TEXT NOT NULL,
  memory_bytes INTEGER NOT NULL,
  layer_bytes INTEGER NOT NULL,
  freeze_ms REAL NOT NULL,
  created_at TEXT NOT NULL
) STRICT;
CREATE INDEX checkpoints_created ON checkpoints (created_at);
CREATE INDEX checkpoints_base ON checkpoints (base);

CREATE TABLE templates (
  name TEXT PRIMARY KEY,
  spec TEXT NOT NULL,
  created_at TEXT NOT NULL,
  state TEXT NOT NULL,
  checkpoint TEXT GENERATED ALWAYS AS (json_extract(state, '$.checkpoint')) VIRTUAL
) STRICT;

-- The journal: a row stands from before the first effect until after the last.
CREATE TABLE operations (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  sandbox TEXT,
  template TEXT,
  checkpoint TEXT,
  args TEXT NOT NULL,
  step TEXT NOT NULL,
  started_at TEXT NOT NULL
) STRICT;

CREATE TABLE events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at TEXT NOT NULL,
  type TEXT NOT NULL,
  sandbox TEXT,
  attributes TEXT NOT NULL
) STRICT;
CREATE INDEX events_sandbox ON events (sandbox, id);
