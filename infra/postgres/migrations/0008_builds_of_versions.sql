-- A build of a former version may be in the making, or left there, when a new release makes its own.

DROP INDEX projection_builds_building;
CREATE UNIQUE INDEX projection_builds_building ON projection_builds (projection, version)
    WHERE state = 'building';
