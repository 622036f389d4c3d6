-- Warm slots: restored sandboxes that nobody owns yet, and how many of them a template keeps.
ALTER TABLE sandboxes ADD COLUMN is_slot INTEGER NOT NULL DEFAULT 0;
ALTER TABLE templates ADD COLUMN slots TEXT NOT NULL DEFAULT '{"min":0,"max":0}';
