-- Small blobs whose files nobody has synced yet: their bytes go to disk with the link (docs/architecture.md, Storage).
CREATE TABLE unsynced_blobs (
    seq INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    bytes BLOB NOT NULL
);
CREATE TRIGGER unsynced_blob_removed AFTER DELETE ON blobs BEGIN
    DELETE FROM unsynced_blobs WHERE digest = OLD.digest;
END;
