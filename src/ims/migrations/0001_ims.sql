-- The job store. Times are milliseconds since 1970, UTC. States and kinds are the names of model and protocol.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE apps (
    id             TEXT PRIMARY KEY,
    name           TEXT NOT NULL UNIQUE,
    config_version BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL
);
CREATE TABLE app_configs (
    app        TEXT NOT NULL REFERENCES apps(id),
    version    BIGINT NOT NULL,
    config     TEXT NOT NULL,
    toml       TEXT NOT NULL,
    actor      TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (app, version)
);

CREATE TABLE builds (
    id             TEXT PRIMARY KEY,
    app            TEXT NOT NULL,
    component      TEXT NOT NULL,
    config_version BIGINT NOT NULL,
    job            TEXT,
    state          TEXT NOT NULL,
    repository     TEXT NOT NULL,
    digest         TEXT,
    source_repository TEXT,
    source_digest  TEXT,
    error          TEXT NOT NULL DEFAULT '',
    created_at     BIGINT NOT NULL,
    finished_at    BIGINT
);
CREATE INDEX builds_by_component ON builds(app, component, id);

CREATE TABLE releases (
    id             TEXT PRIMARY KEY,
    app            TEXT NOT NULL,
    version        TEXT NOT NULL,
    config_version BIGINT NOT NULL,
    components     TEXT NOT NULL,
    created_at     BIGINT NOT NULL,
    UNIQUE (app, version)
);

CREATE TABLE installs (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    app        TEXT NOT NULL,
    inputs     TEXT NOT NULL,
    agent      TEXT,
    release    TEXT NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL
);
CREATE TABLE install_components (
    install    TEXT NOT NULL REFERENCES installs(id),
    component  TEXT NOT NULL,
    release    TEXT NOT NULL DEFAULT '',
    digest     TEXT,
    state      TEXT NOT NULL,
    detail     TEXT NOT NULL DEFAULT '',
    job        TEXT,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (install, component)
);

CREATE TABLE deploys (
    id          TEXT PRIMARY KEY,
    install     TEXT NOT NULL REFERENCES installs(id),
    kind        TEXT NOT NULL,
    release     TEXT NOT NULL DEFAULT '',
    component   TEXT NOT NULL DEFAULT '',
    state       TEXT NOT NULL,
    error       TEXT NOT NULL DEFAULT '',
    actor       TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    finished_at BIGINT
);
CREATE INDEX deploys_by_install ON deploys(install, id);
CREATE INDEX deploys_live ON deploys(install, id) WHERE state IN ('queued', 'running');

CREATE TABLE jobs (
    id           TEXT PRIMARY KEY,
    kind         TEXT NOT NULL,
    state        TEXT NOT NULL,
    app          TEXT NOT NULL,
    component    TEXT NOT NULL,
    install      TEXT,
    deploy       TEXT,
    build        TEXT,
    priority     BIGINT NOT NULL DEFAULT 0,
    attempt      BIGINT NOT NULL DEFAULT 0,
    max_attempts BIGINT NOT NULL DEFAULT 3,
    epoch        BIGINT NOT NULL DEFAULT 0,
    agent        TEXT,
    session      TEXT,
    deadline     BIGINT,
    not_before   BIGINT NOT NULL DEFAULT 0,
    cancel_requested BIGINT NOT NULL DEFAULT 0,
    spec         TEXT NOT NULL,
    result       TEXT NOT NULL DEFAULT '{}',
    error        TEXT NOT NULL DEFAULT '',
    completion   TEXT NOT NULL DEFAULT '',
    created_at   BIGINT NOT NULL,
    started_at   BIGINT,
    finished_at  BIGINT
);
-- Partial: what is finished costs the live queries nothing.
CREATE INDEX jobs_queued_builds ON jobs(priority DESC, id) WHERE state = 'queued' AND kind = 'build';
CREATE INDEX jobs_queued_installs ON jobs(install, priority DESC, id) WHERE state = 'queued' AND install IS NOT NULL;
CREATE INDEX jobs_paused ON jobs(not_before) WHERE state = 'queued' AND not_before > 0;
CREATE INDEX jobs_held ON jobs(deadline) WHERE state IN ('leased', 'running');
CREATE INDEX jobs_held_by_agent ON jobs(agent) WHERE state IN ('leased', 'running');
CREATE INDEX jobs_by_deploy ON jobs(deploy, id) WHERE deploy IS NOT NULL;
CREATE INDEX jobs_by_install ON jobs(install, id) WHERE install IS NOT NULL;
CREATE TABLE job_dependencies (
    job        TEXT NOT NULL REFERENCES jobs(id),
    depends_on TEXT NOT NULL REFERENCES jobs(id),
    PRIMARY KEY (job, depends_on)
);
CREATE INDEX job_dependents ON job_dependencies(depends_on);
-- Who held which lease: a late write is told that its lease is lost, and history knows every attempt.
CREATE TABLE job_attempts (
    job        TEXT NOT NULL REFERENCES jobs(id),
    epoch      BIGINT NOT NULL,
    attempt    BIGINT NOT NULL,
    agent      TEXT NOT NULL,
    claimed_at BIGINT NOT NULL,
    PRIMARY KEY (job, epoch)
);
CREATE TABLE job_steps (
    job         TEXT NOT NULL REFERENCES jobs(id),
    attempt     BIGINT NOT NULL,
    seq         BIGINT NOT NULL,
    name        TEXT NOT NULL,
    state       TEXT NOT NULL,
    detail      TEXT NOT NULL,
    started_at  BIGINT NOT NULL,
    finished_at BIGINT,
    PRIMARY KEY (job, attempt, seq)
);

CREATE TABLE agents (
    id          TEXT PRIMARY KEY,
    kind        TEXT NOT NULL,
    install     TEXT,
    public_key  TEXT NOT NULL,
    version     TEXT NOT NULL,
    hostname    TEXT NOT NULL,
    revoked     BIGINT NOT NULL DEFAULT 0,
    enrolled_at BIGINT NOT NULL,
    last_seen   BIGINT
);
-- A session id that is not here is new, and takes over; one that is here and superseded stays so.
CREATE TABLE agent_sessions (
    id         TEXT PRIMARY KEY,
    agent      TEXT NOT NULL REFERENCES agents(id),
    started_at BIGINT NOT NULL,
    superseded BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX agent_sessions_live ON agent_sessions(agent) WHERE superseded = 0;

-- Tokens are stored as SHA-256 of 256 random bits.
CREATE TABLE enroll_tokens (
    hash       TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    install    TEXT,
    expires_at BIGINT NOT NULL,
    used_by    TEXT
);
CREATE TABLE user_tokens (
    id         TEXT PRIMARY KEY,
    hash       TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    role       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked    BIGINT NOT NULL DEFAULT 0
);
CREATE TABLE pull_tokens (
    id          TEXT PRIMARY KEY,
    hash        TEXT NOT NULL UNIQUE,
    job         TEXT NOT NULL REFERENCES jobs(id),
    epoch       BIGINT NOT NULL,
    repository  TEXT NOT NULL,
    digest      TEXT NOT NULL,
    expires_at  BIGINT NOT NULL,
    redeemed_at BIGINT,
    redeemed_from TEXT NOT NULL DEFAULT ''
);
CREATE INDEX pull_tokens_by_job ON pull_tokens(job);
-- jti of client assertions, kept until they expire, against replay.
CREATE TABLE assertions (jti TEXT PRIMARY KEY, expires_at BIGINT NOT NULL);
CREATE INDEX assertions_by_expiry ON assertions(expires_at);

CREATE TABLE events (
    seq       INTEGER PRIMARY KEY,
    at        BIGINT NOT NULL,
    kind      TEXT NOT NULL,
    app       TEXT NOT NULL DEFAULT '',
    install   TEXT NOT NULL DEFAULT '',
    component TEXT NOT NULL DEFAULT '',
    job       TEXT,
    deploy    TEXT,
    detail    TEXT NOT NULL DEFAULT ''
);
CREATE TABLE audit (
    seq     INTEGER PRIMARY KEY,
    at      BIGINT NOT NULL,
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail  TEXT NOT NULL
);
CREATE INDEX audit_refused ON audit(seq) WHERE action = 'pull_token.refused';
