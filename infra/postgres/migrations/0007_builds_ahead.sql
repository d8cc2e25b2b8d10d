-- Why a build is not run any more: it claims to have applied what the log does not hold.
ALTER TABLE projection_builds ADD COLUMN ahead text;
