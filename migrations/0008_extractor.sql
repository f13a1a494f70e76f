-- The extractors of the user that everything was learned with beside the program's own; empty for none.
ALTER TABLE learning ADD COLUMN extractors TEXT NOT NULL DEFAULT '';
