-- What the write path keeps beside the log: a cache of folds, claims, keys, idempotency.

CREATE TABLE state_positions (
    domain text NOT NULL,
    partition integer NOT NULL,
    events_next bigint NOT NULL,
    outcomes_next bigint NOT NULL,
    last_event bigint NOT NULL,
    PRIMARY KEY (domain, partition)
);

CREATE TABLE aggregate_states (
    stream text PRIMARY KEY,
    domain text NOT NULL,
    version integer NOT NULL,
    body bytea NOT NULL
);

CREATE TABLE command_outcomes (
    command_id uuid PRIMARY KEY,
    domain text NOT NULL,
    body bytea NOT NULL
);

-- A value that one aggregate at most may hold; `digest` is keyed, so the table tells nothing.
CREATE TABLE claims (
    kind text NOT NULL,
    digest bytea NOT NULL,
    command_id uuid NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, digest)
);

-- A person's key, wrapped by the master key; null once it was destroyed.
CREATE TABLE person_keys (
    person_id uuid PRIMARY KEY,
    wrapped_key bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    destroyed_at timestamptz
);

CREATE TABLE idempotency_keys (
    command_id uuid PRIMARY KEY,
    fingerprint text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished boolean NOT NULL DEFAULT false
);
