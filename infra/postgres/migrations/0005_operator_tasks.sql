-- What operators did at the console: what goes on behind it, and how it ended.

CREATE TABLE operator_tasks (
    id uuid PRIMARY KEY,
    action text NOT NULL,
    subject text NOT NULL,
    actor_id uuid NOT NULL,
    state text NOT NULL CHECK (state IN ('running', 'done', 'failed', 'stopped')),
    told text NOT NULL DEFAULT '',
    stop_wanted boolean NOT NULL DEFAULT false,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
CREATE UNIQUE INDEX operator_tasks_running ON operator_tasks (subject) WHERE state = 'running';
CREATE INDEX operator_tasks_started ON operator_tasks (started_at);
