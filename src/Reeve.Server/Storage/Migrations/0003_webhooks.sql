-- Where an account wants to hear of what happens. `secret` is sealed under the key for webhooks; the old one signs too
-- until its time. `sequence` numbers the deliveries of each webhook, `failing_since` is null after a success.
CREATE TABLE webhooks (
    id TEXT PRIMARY KEY, account_id TEXT NOT NULL, url TEXT NOT NULL, events TEXT NOT NULL, description TEXT,
    enabled INTEGER NOT NULL, sequence INTEGER NOT NULL, secret BLOB NOT NULL, old_secret BLOB,
    old_secret_until INTEGER, failing_since INTEGER, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX webhooks_account ON webhooks (account_id, id);

-- The outbox and its log: written in the transaction of what happened, without its content, which is read again when
-- it is sent. `next_at` is null once a delivery is over.
CREATE TABLE webhook_deliveries (
    webhook_id TEXT NOT NULL, event_id TEXT NOT NULL, account_id TEXT NOT NULL, sequence INTEGER NOT NULL,
    type TEXT NOT NULL, subject TEXT NOT NULL, available INTEGER, status TEXT NOT NULL, attempts INTEGER NOT NULL,
    next_at INTEGER, response_status INTEGER, error TEXT, created_at INTEGER NOT NULL, finished_at INTEGER,
    PRIMARY KEY (webhook_id, event_id)
) WITHOUT ROWID;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, next_at) WHERE next_at IS NOT NULL;

-- Accounts that were told of their low balance, until a top-up lifts it again.
CREATE TABLE low_balances (account_id TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
