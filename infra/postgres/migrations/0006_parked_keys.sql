-- Keys of which a record could not be digested, by build of a projection that has the rest wait.

CREATE TABLE parked_keys (
    projection text NOT NULL,
    build text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    key text NOT NULL,
    -- The first and the last record that were put aside: nothing from the first on is applied.
    since bigint NOT NULL,
    last bigint NOT NULL,
    -- Somebody decides about its letters: whether any is open must be looked up.
    in_doubt boolean NOT NULL DEFAULT false,
    parked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (projection, build, topic, partition, key)
);
