-- Times are whole milliseconds since 1970 in UTC. Generated
-- columns repeat what the JSON holds, only to be searched by.

CREATE TABLE teams (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  limits TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE keys (
  id TEXT PRIMARY KEY,
  team TEXT NOT NULL REFERENCES teams (id),
  name TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE,
  mask TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT;
CREATE INDEX keys_team ON keys (team, created_at);

CREATE TABLE nodes (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  address TEXT NOT NULL,
  certificate TEXT NOT NULL,
  joined_at INTEGER NOT NULL,
  is_cordoned INTEGER NOT NULL,
  seen_at INTEGER NOT NULL
) STRICT;

-- used_by is no reference: a token stays used when its node is gone.
CREATE TABLE join_tokens (
  id TEXT PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  used_by TEXT
) STRICT;

CREATE TABLE sandboxes (
  id TEXT PRIMARY KEY,
  team TEXT NOT NULL REFERENCES teams (id),
  node TEXT NOT NULL REFERENCES nodes (id),
  template TEXT NOT NULL,
  alias TEXT,
  state TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  end_at INTEGER NOT NULL,
  timeout_ms INTEGER NOT NULL,
  on_timeout TEXT NOT NULL,
  metadata TEXT NOT NULL,
  access_token TEXT,
  traffic_token TEXT,
  allow_internet_access INTEGER NOT NULL,
  network TEXT,
  cpus REAL NOT NULL,
  memory_bytes INTEGER NOT NULL,
  disk_bytes INTEGER NOT NULL,
  status TEXT GENERATED ALWAYS AS (json_extract(state, '$.status')) VIRTUAL
) STRICT;
CREATE INDEX sandboxes_team ON sandboxes (team, started_at, id);
CREATE INDEX sandboxes_node ON sandboxes (node);

CREATE TABLE templates (
  id TEXT PRIMARY KEY,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;

-- All names that templates go by; place 0 is a template's own, its aliases follow in their order.
CREATE TABLE template_names (
  name TEXT PRIMARY KEY,
  template TEXT NOT NULL REFERENCES templates (id) ON DELETE CASCADE,
  place INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX template_names_template ON template_names (template, place);

CREATE TABLE snapshots (
  id TEXT PRIMARY KEY,
  team TEXT NOT NULL REFERENCES teams (id),
  node TEXT NOT NULL REFERENCES nodes (id),
  checkpoint TEXT NOT NULL,
  sandbox TEXT NOT NULL,
  name TEXT,
  created_at INTEGER NOT NULL,
  cpus REAL NOT NULL,
  memory_bytes INTEGER NOT NULL,
  disk_bytes INTEGER NOT NULL,
  UNIQUE (team, name)
) STRICT;
CREATE INDEX snapshots_team ON snapshots (team, created_at, id);
CREATE INDEX snapshots_node ON snapshots (node);

CREATE TABLE pools (
  template TEXT PRIMARY KEY,
  settings TEXT NOT NULL
) STRICT;

CREATE TABLE requests (
  team TEXT NOT NULL REFERENCES teams (id),
  key TEXT NOT NULL,
  request_hash TEXT NOT NULL,
  sandboxes TEXT NOT NULL,
  answered_at INTEGER NOT NULL,
  PRIMARY KEY (team, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_answered ON requests (answered_at);
