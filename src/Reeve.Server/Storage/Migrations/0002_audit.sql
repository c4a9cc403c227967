-- The keys with which the server signs (use = 'sig') and to which prompts are sealed ('enc'). A private key derives from
-- the master key and secret; a retired key has no secret, so nobody makes its private key again. mac is by a key that
-- derives from the master key too: rows that somebody else wrote are told.
CREATE TABLE signing_keys (
    kid TEXT PRIMARY KEY, use TEXT NOT NULL, public_key BLOB NOT NULL, secret BLOB, created_at INTEGER NOT NULL,
    retired_at INTEGER, mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- What changed trust, one chain an account: no content, so nothing in it is ever erased.
-- hash = SHA-256(hash of seq - 1, account, seq, at, type, key, subject, detail).
CREATE TABLE audit_entries (
    account_id TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, type TEXT NOT NULL, key_id TEXT,
    subject TEXT NOT NULL, detail TEXT NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (account_id, seq)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER audit_entries_no_update BEFORE UPDATE ON audit_entries
BEGIN SELECT RAISE(ABORT, 'audit_entries is append-only'); END;
CREATE TRIGGER audit_entries_no_delete BEFORE DELETE ON audit_entries
BEGIN SELECT RAISE(ABORT, 'audit_entries is append-only'); END;

-- Signed statements of how a chain stood: {"type":"audit.checkpoint","account_id","seq","head",...}.
CREATE TABLE audit_checkpoints (
    account_id TEXT NOT NULL, seq INTEGER NOT NULL, document TEXT NOT NULL, PRIMARY KEY (account_id, seq)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER audit_checkpoints_no_update BEFORE UPDATE ON audit_checkpoints
BEGIN SELECT RAISE(ABORT, 'audit_checkpoints is append-only'); END;
CREATE TRIGGER audit_checkpoints_no_delete BEFORE DELETE ON audit_checkpoints
BEGIN SELECT RAISE(ABORT, 'audit_checkpoints is append-only'); END;
