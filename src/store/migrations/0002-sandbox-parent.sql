-- The checkpoint that the sandbox's memory was last at: taken of it, or gone back to.
ALTER TABLE sandboxes ADD COLUMN parent TEXT;
CREATE INDEX sandboxes_parent ON sandboxes (parent);
