-- How far each reaction has dealt with the log.

CREATE TABLE reaction_positions (
    reaction text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    position bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (reaction, topic, partition)
);
