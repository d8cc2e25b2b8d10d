-- Builds of projections: the one that readers see, one that is being made, those kept for a return.

CREATE TABLE projection_builds (
    projection text NOT NULL,
    version integer NOT NULL,
    build integer NOT NULL,
    store text NOT NULL,
    state text NOT NULL CHECK (state IN ('building', 'live', 'kept')),
    made_at timestamptz NOT NULL DEFAULT now(),
    switched_at timestamptz,
    PRIMARY KEY (projection, version, build)
);
CREATE UNIQUE INDEX projection_builds_live ON projection_builds (projection) WHERE state = 'live';
CREATE UNIQUE INDEX projection_builds_building ON projection_builds (projection)
    WHERE state = 'building';

CREATE TABLE projection_pauses (
    projection text PRIMARY KEY,
    paused_at timestamptz NOT NULL DEFAULT now()
);

-- What the readers of a store are to obey: `epoch` rises with each change of what they run.
CREATE TABLE projection_orders (
    store text PRIMARY KEY,
    epoch bigint NOT NULL DEFAULT 0,
    holder text,
    held_until timestamptz
);

CREATE TABLE projection_readers (
    reader text NOT NULL,
    instance uuid NOT NULL,
    store text NOT NULL,
    epoch bigint NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (reader, instance)
);
