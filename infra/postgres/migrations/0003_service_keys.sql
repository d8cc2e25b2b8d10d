-- Keys of services, wrapped by the master key, so that it can be changed and they stay.

CREATE TABLE service_keys (
    name text PRIMARY KEY,
    wrapped_key bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
