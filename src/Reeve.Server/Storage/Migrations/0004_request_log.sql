-- Records of requests without content: the newest of each account, kept for some days. `latency` is milliseconds.
CREATE TABLE request_log (
    account_id TEXT NOT NULL, request_id TEXT NOT NULL, key_id TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL,
    status INTEGER NOT NULL, code TEXT, run_id TEXT, latency INTEGER NOT NULL, created_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, request_id)
) WITHOUT ROWID;
