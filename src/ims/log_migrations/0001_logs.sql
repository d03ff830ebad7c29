-- Job logs live apart from the job tables: append-heavy, large, and never in the way of a claim.
-- `epoch` fences the stream: a piece with an older one is refused.
CREATE TABLE log_streams (
    job   TEXT PRIMARY KEY,
    epoch BIGINT NOT NULL,
    size  BIGINT NOT NULL
);
CREATE TABLE log_pieces (
    job    TEXT NOT NULL,
    start  BIGINT NOT NULL,
    data   BLOB NOT NULL,
    PRIMARY KEY (job, start)
);
