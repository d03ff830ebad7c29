-- Limits, approvals, what agents can do, and scheduled jobs.
ALTER TABLE jobs ADD COLUMN needs_approval BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN since BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN run_limit_s BIGINT NOT NULL DEFAULT 0;
-- When the engine ends the present state: the limit of the queue, of the run, or of the time to stop.
ALTER TABLE jobs ADD COLUMN limit_at BIGINT;
-- '' | 'cancel' | 'time_out': the holder was asked to stop, and what the job becomes when it has.
ALTER TABLE jobs ADD COLUMN stop TEXT NOT NULL DEFAULT '';
UPDATE jobs SET since = created_at;
UPDATE jobs SET stop = 'cancel' WHERE cancel_requested = 1;
ALTER TABLE jobs DROP COLUMN cancel_requested;
UPDATE jobs SET run_limit_s = CASE kind WHEN 'build' THEN 7200 ELSE 3600 END;
-- What is live now gets the limits that it would have had, from now on.
UPDATE jobs SET limit_at = CAST(strftime('%s', 'now') AS BIGINT) * 1000 +
    CASE WHEN stop <> '' THEN 60000
         WHEN state = 'running' THEN run_limit_s * 1000
         WHEN kind = 'build' THEN 86400000 ELSE 604800000 END
    WHERE state IN ('queued', 'running') OR stop <> '' AND state = 'leased';
CREATE INDEX jobs_limited ON jobs(limit_at) WHERE limit_at IS NOT NULL;
CREATE INDEX jobs_held_of_install ON jobs(install) WHERE state IN ('leased', 'running') AND install IS NOT NULL;

ALTER TABLE deploys ADD COLUMN priority BIGINT NOT NULL DEFAULT 0;
ALTER TABLE deploys ADD COLUMN require_approval BIGINT NOT NULL DEFAULT 0;

ALTER TABLE agents ADD COLUMN job_kinds TEXT NOT NULL DEFAULT '';
ALTER TABLE agents ADD COLUMN draining BIGINT NOT NULL DEFAULT 0;
-- Asked to make a new key; the new one until its first use.
ALTER TABLE agents ADD COLUMN rotate_key BIGINT NOT NULL DEFAULT 0;
ALTER TABLE agents ADD COLUMN next_key TEXT NOT NULL DEFAULT '';

ALTER TABLE install_components ADD COLUMN health TEXT NOT NULL DEFAULT '';
ALTER TABLE install_components ADD COLUMN drift TEXT NOT NULL DEFAULT '';

CREATE TABLE schedules (
    install TEXT NOT NULL REFERENCES installs(id),
    kind    TEXT NOT NULL,
    every_s BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    PRIMARY KEY (install, kind)
);
CREATE INDEX schedules_due ON schedules(next_at);
