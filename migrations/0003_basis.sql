-- What the outcome rests on, and whether the record contradicts it (0 or 1). Null while the episode is open, and of those
-- that ended before this was kept: their outcome is taken as the agent's claim.
ALTER TABLE episode ADD COLUMN basis TEXT;
ALTER TABLE episode ADD COLUMN disputed INTEGER;
