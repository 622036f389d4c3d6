-- Memory that a checkpoint has in files of earlier ones.
ALTER TABLE checkpoints ADD COLUMN inherited_bytes INTEGER NOT NULL DEFAULT 0;
