-- What garbage collection, quotas and scrub need. The sums are kept by triggers, so that no writer can forget them.
ALTER TABLE repositories ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0; -- of its links and manifests
ALTER TABLE repositories ADD COLUMN quota_bytes INTEGER NOT NULL DEFAULT 0; -- 0: none of its own
ALTER TABLE repositories ADD COLUMN immutable_tags INTEGER NOT NULL DEFAULT 0;

-- When it was last pushed, mounted, or found there by somebody who may push: a push is many requests, and what it
-- relies on must not be collected between two of them.
ALTER TABLE links ADD COLUMN touched_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE manifests ADD COLUMN touched_at INTEGER NOT NULL DEFAULT 0;
UPDATE links SET touched_at = CAST(strftime('%s', 'now') AS INTEGER) * 1000;
UPDATE manifests SET touched_at = CAST(strftime('%s', 'now') AS INTEGER) * 1000;
CREATE INDEX links_by_digest ON links (digest);
CREATE INDEX manifest_refs_by_child ON manifest_refs (child, repository);

-- The file of a blob. The row goes with the file, not with the last link.
CREATE TABLE blobs (
    digest TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    links INTEGER NOT NULL,
    stamp TEXT NOT NULL DEFAULT '', -- of the file whose bytes were right: another one is read before it is served
    doomed INTEGER NOT NULL DEFAULT 0, -- committed as having no link: may go, unless a link came since
    quarantined_at INTEGER -- its file was damaged and is set aside
);
INSERT INTO blobs (digest, size, links) SELECT digest, MAX(size), COUNT(*) FROM links GROUP BY digest;
CREATE INDEX blobs_unlinked ON blobs (digest) WHERE links = 0;
CREATE INDEX blobs_quarantined ON blobs (digest) WHERE quarantined_at IS NOT NULL;

CREATE TABLE totals (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    blob_bytes INTEGER NOT NULL, -- each blob once, until its file is gone
    manifest_bytes INTEGER NOT NULL
);
INSERT INTO totals (id, blob_bytes, manifest_bytes)
    SELECT 1, (SELECT COALESCE(SUM(size), 0) FROM blobs), (SELECT COALESCE(SUM(size), 0) FROM manifests);
UPDATE repositories SET bytes =
    (SELECT COALESCE(SUM(size), 0) FROM links WHERE repository = repositories.name) +
    (SELECT COALESCE(SUM(size), 0) FROM manifests WHERE repository = repositories.name);

CREATE TRIGGER link_added AFTER INSERT ON links BEGIN
    INSERT INTO blobs (digest, size, links) VALUES (NEW.digest, NEW.size, 1)
        ON CONFLICT (digest) DO UPDATE SET links = blobs.links + 1, doomed = 0;
    UPDATE repositories SET bytes = bytes + NEW.size WHERE name = NEW.repository;
END;
CREATE TRIGGER link_removed AFTER DELETE ON links BEGIN
    UPDATE blobs SET links = links - 1 WHERE digest = OLD.digest;
    UPDATE repositories SET bytes = bytes - OLD.size WHERE name = OLD.repository;
END;
CREATE TRIGGER blob_added AFTER INSERT ON blobs BEGIN
    UPDATE totals SET blob_bytes = blob_bytes + NEW.size;
END;
CREATE TRIGGER blob_removed AFTER DELETE ON blobs BEGIN
    UPDATE totals SET blob_bytes = blob_bytes - OLD.size;
END;
CREATE TRIGGER manifest_added AFTER INSERT ON manifests BEGIN
    UPDATE repositories SET bytes = bytes + NEW.size WHERE name = NEW.repository;
    UPDATE totals SET manifest_bytes = manifest_bytes + NEW.size;
END;
CREATE TRIGGER manifest_removed AFTER DELETE ON manifests BEGIN
    UPDATE repositories SET bytes = bytes - OLD.size WHERE name = OLD.repository;
    UPDATE totals SET manifest_bytes = manifest_bytes - OLD.size;
END;
