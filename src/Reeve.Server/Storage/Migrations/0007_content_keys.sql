-- The key of an account under which what its confidential rows say is encrypted, wrapped by a key of the master key.
-- Such a value is a BLOB where an open one is TEXT (docs/architecture.md).
CREATE TABLE content_keys (
    account_id TEXT NOT NULL, version INTEGER NOT NULL, wrapped BLOB NOT NULL, created_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, version)
) WITHOUT ROWID;

CREATE INDEX documents_sealed ON documents (agent_id) WHERE typeof(name) = 'blob';
