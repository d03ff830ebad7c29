-- A blob's bytes are stored once; a repository has it only through a link, made when it was pushed or mounted there.
CREATE TABLE repositories (
    name TEXT PRIMARY KEY
);

CREATE TABLE links (
    repository TEXT NOT NULL REFERENCES repositories (name),
    digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (repository, digest)
);

CREATE TABLE manifests (
    repository TEXT NOT NULL REFERENCES repositories (name),
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    body BLOB NOT NULL,
    artifact_type TEXT, -- what the referrers API shows: of the manifest, or else its config's media type
    annotations TEXT NOT NULL, -- a JSON object
    subject TEXT,
    PRIMARY KEY (repository, digest)
);
CREATE INDEX manifests_by_subject ON manifests (repository, subject) WHERE subject IS NOT NULL;

CREATE TABLE tags (
    repository TEXT NOT NULL,
    tag TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (repository, tag),
    FOREIGN KEY (repository, digest) REFERENCES manifests (repository, digest)
);
CREATE INDEX tags_by_digest ON tags (repository, digest);

-- What a manifest needs: the edges that a restricted grant and the garbage collector follow.
CREATE TABLE manifest_refs (
    repository TEXT NOT NULL,
    parent TEXT NOT NULL,
    child TEXT NOT NULL,
    is_manifest INTEGER NOT NULL,
    PRIMARY KEY (repository, parent, child, is_manifest),
    FOREIGN KEY (repository, parent) REFERENCES manifests (repository, digest) ON DELETE CASCADE
);
