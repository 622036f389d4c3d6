-- A pool that is removed stays until its slots are ended on every node.
ALTER TABLE pools ADD COLUMN removed INTEGER NOT NULL DEFAULT 0;
