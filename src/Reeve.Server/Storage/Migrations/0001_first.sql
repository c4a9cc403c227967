-- Times are Unix milliseconds (UTC), money is integer micro-USD, JSON is UTF-8 text. Every row carries its account.

CREATE TABLE accounts (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, plan TEXT NOT NULL, status TEXT NOT NULL, is_operator INTEGER NOT NULL,
    limits TEXT NOT NULL, metadata TEXT NOT NULL, created_at INTEGER NOT NULL
);

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY, account_id TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, scopes TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE, last_four TEXT NOT NULL, limits TEXT NOT NULL, agent_id TEXT, allowed_origins TEXT,
    created_at INTEGER NOT NULL, last_used_at INTEGER, expires_at INTEGER, revoked_at INTEGER
);
CREATE INDEX api_keys_account ON api_keys (account_id, id);

-- What a key used in a calendar month (UTC): requests are flushed every second, the rest moves with the ledger.
CREATE TABLE key_months (
    key_id TEXT NOT NULL, month TEXT NOT NULL, account_id TEXT NOT NULL, requests INTEGER NOT NULL DEFAULT 0,
    tokens INTEGER NOT NULL DEFAULT 0, charged INTEGER NOT NULL DEFAULT 0, held INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (key_id, month)
) WITHOUT ROWID;
CREATE INDEX key_months_account ON key_months (account_id, month);

CREATE TABLE agents (
    id TEXT PRIMARY KEY, account_id TEXT NOT NULL, slug TEXT NOT NULL, version INTEGER NOT NULL,
    conversation_count INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    UNIQUE (account_id, slug)
);
CREATE INDEX agents_account ON agents (account_id, id);
CREATE TABLE agent_versions (
    agent_id TEXT NOT NULL, version INTEGER NOT NULL, account_id TEXT NOT NULL, config_sha256 TEXT NOT NULL,
    created_at INTEGER NOT NULL, config TEXT NOT NULL, PRIMARY KEY (agent_id, version)
) WITHOUT ROWID;

CREATE TABLE conversations (
    id TEXT PRIMARY KEY, account_id TEXT NOT NULL, agent_id TEXT NOT NULL, title TEXT NOT NULL, status TEXT NOT NULL,
    user_id TEXT, user TEXT, metadata TEXT NOT NULL, forked_from_conversation TEXT, forked_from_message TEXT,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX conversations_account ON conversations (account_id, id);
CREATE INDEX conversations_agent ON conversations (agent_id, id);
CREATE INDEX conversations_user ON conversations (account_id, user_id, id) WHERE user_id IS NOT NULL;

-- Messages that a fork brought along; a conversation's own messages are those of its runs. in_context = 0: not shown to
-- the model again (the run had failed).
CREATE TABLE copied_messages (
    conversation_id TEXT NOT NULL, position INTEGER NOT NULL, account_id TEXT NOT NULL, id TEXT NOT NULL,
    role TEXT NOT NULL, status TEXT NOT NULL, privacy_class TEXT NOT NULL, in_context INTEGER NOT NULL,
    created_at INTEGER NOT NULL, content TEXT NOT NULL, sources TEXT NOT NULL, PRIMARY KEY (conversation_id, position)
) WITHOUT ROWID;

-- The head of a run: what admission fixed, and a copy of what the log says, for lists and sums. The long columns stand
-- last, so that sums do not read through them.
CREATE TABLE runs (
    id TEXT PRIMARY KEY, account_id TEXT NOT NULL, agent_id TEXT, agent_version INTEGER, conversation_id TEXT,
    ordinal INTEGER NOT NULL, kind TEXT NOT NULL, mode TEXT NOT NULL, status TEXT NOT NULL, epoch INTEGER NOT NULL,
    privacy_class TEXT NOT NULL, charged INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL, started_at INTEGER,
    finished_at INTEGER, cancel_requested_at INTEGER, erased_at INTEGER, key_id TEXT NOT NULL,
    request_id TEXT NOT NULL, user_message_id TEXT NOT NULL, message_id TEXT NOT NULL, receipt_id TEXT NOT NULL,
    error_code TEXT, user_id TEXT, user TEXT, metadata TEXT NOT NULL, input TEXT, output TEXT,
    outcome TEXT
);
CREATE INDEX runs_account ON runs (account_id, id);
CREATE UNIQUE INDEX runs_conversation ON runs (conversation_id, ordinal) WHERE conversation_id IS NOT NULL;
CREATE UNIQUE INDEX runs_one_active ON runs (conversation_id)
    WHERE conversation_id IS NOT NULL AND status IN ('running', 'requires_action');
CREATE INDEX runs_queued ON runs (conversation_id) WHERE status = 'queued';
CREATE INDEX runs_agent_alone ON runs (agent_id) WHERE agent_id IS NOT NULL AND conversation_id IS NULL;

-- The only truth. hash = SHA-256(hash of seq - 1, run id, seq, epoch, type, at, payload_sha256).
CREATE TABLE run_events (
    run_id TEXT NOT NULL, seq INTEGER NOT NULL, account_id TEXT NOT NULL, epoch INTEGER NOT NULL, type TEXT NOT NULL,
    at INTEGER NOT NULL, payload BLOB, payload_sha256 BLOB NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (run_id, seq)
) WITHOUT ROWID;
CREATE TRIGGER run_events_no_delete BEFORE DELETE ON run_events
BEGIN SELECT RAISE(ABORT, 'run_events is append-only'); END;
CREATE TRIGGER run_events_erase_only BEFORE UPDATE ON run_events
WHEN NEW.payload IS NOT NULL OR NEW.run_id IS NOT OLD.run_id OR NEW.seq IS NOT OLD.seq
    OR NEW.account_id IS NOT OLD.account_id OR NEW.epoch IS NOT OLD.epoch OR NEW.type IS NOT OLD.type
    OR NEW.at IS NOT OLD.at OR NEW.payload_sha256 IS NOT OLD.payload_sha256 OR NEW.hash IS NOT OLD.hash
BEGIN SELECT RAISE(ABORT, 'run_events is append-only; only its payload can be erased'); END;

CREATE TABLE idempotency_records (
    account_id TEXT NOT NULL, route TEXT NOT NULL, key TEXT NOT NULL, fingerprint BLOB NOT NULL, run_id TEXT NOT NULL,
    created_at INTEGER NOT NULL, PRIMARY KEY (account_id, route, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_records_age ON idempotency_records (created_at);

-- Money. Cached sums of ledger_entries, one row an account and mode; `reeve verify` recomputes them.
CREATE TABLE balances (
    account_id TEXT NOT NULL, mode TEXT NOT NULL, available INTEGER NOT NULL CHECK (available >= 0),
    held INTEGER NOT NULL CHECK (held >= 0), PRIMARY KEY (account_id, mode)
) WITHOUT ROWID;

-- Each entry is a transfer between two of grants, customer_available, customer_held, revenue, operator_loss, provider.
CREATE TABLE ledger_entries (
    id TEXT PRIMARY KEY, account_id TEXT NOT NULL, mode TEXT NOT NULL, type TEXT NOT NULL, debit TEXT NOT NULL,
    credit TEXT NOT NULL, amount INTEGER NOT NULL CHECK (amount > 0), change INTEGER NOT NULL, balance INTEGER NOT NULL,
    run_id TEXT, call INTEGER, receipt_id TEXT, note TEXT, created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX ledger_entries_call ON ledger_entries (run_id, call, type) WHERE run_id IS NOT NULL;
CREATE INDEX ledger_entries_account ON ledger_entries (account_id, id);
CREATE TRIGGER ledger_entries_no_update BEFORE UPDATE ON ledger_entries
BEGIN SELECT RAISE(ABORT, 'ledger_entries is append-only'); END;
CREATE TRIGGER ledger_entries_no_delete BEFORE DELETE ON ledger_entries
BEGIN SELECT RAISE(ABORT, 'ledger_entries is append-only'); END;

-- One row a model call that ended: what GET /v1/usage sums.
CREATE TABLE model_calls (
    run_id TEXT NOT NULL, call INTEGER NOT NULL, account_id TEXT NOT NULL, agent_id TEXT, key_id TEXT NOT NULL,
    user_id TEXT, mode TEXT NOT NULL, model TEXT NOT NULL, provider TEXT NOT NULL, input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL, upstream INTEGER NOT NULL, margin INTEGER NOT NULL, lost INTEGER NOT NULL,
    at INTEGER NOT NULL, PRIMARY KEY (run_id, call)
) WITHOUT ROWID;
CREATE INDEX model_calls_account ON model_calls (account_id, at);

CREATE TABLE receipts (
    id TEXT PRIMARY KEY, account_id TEXT NOT NULL, run_id TEXT NOT NULL, document TEXT NOT NULL,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE documents (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, account_id TEXT NOT NULL, agent_id TEXT NOT NULL,
    name TEXT NOT NULL, mime_type TEXT NOT NULL, bytes INTEGER NOT NULL, sha256 TEXT NOT NULL, status TEXT NOT NULL,
    error_code TEXT, error_message TEXT, chunk_count INTEGER NOT NULL, privacy_class TEXT NOT NULL,
    metadata TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, UNIQUE (agent_id, sha256)
);
CREATE INDEX documents_agent ON documents (account_id, agent_id, id);

-- The chunks of a document tile its text, so the text is kept nowhere else.
CREATE TABLE chunks (
    id TEXT NOT NULL UNIQUE, document_id TEXT NOT NULL, account_id TEXT NOT NULL, position INTEGER NOT NULL,
    start INTEGER NOT NULL, stop INTEGER NOT NULL, page INTEGER, headings TEXT NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (document_id, position)
);

-- The inverted index, one an agent: no search reads the terms or the statistics of another. Not FTS5: its statistics are
-- those of the whole table, and PostgreSQL does not have it. A row of postings serves a block of documents that together
-- have some 256 chunks; new documents join the open block. `terms` names the rows that a document is in, to erase it.
CREATE TABLE search_indexes (
    number INTEGER PRIMARY KEY, account_id TEXT NOT NULL, agent_id TEXT NOT NULL UNIQUE, chunk_count INTEGER NOT NULL,
    term_count INTEGER NOT NULL, open_block INTEGER NOT NULL, open_chunk_count INTEGER NOT NULL
);
CREATE TABLE search_postings (
    index_number INTEGER NOT NULL, term TEXT NOT NULL, block INTEGER NOT NULL, postings BLOB NOT NULL,
    PRIMARY KEY (index_number, term, block)
) WITHOUT ROWID;
CREATE TABLE search_documents (
    document_number INTEGER PRIMARY KEY, block INTEGER NOT NULL, term_count INTEGER NOT NULL, terms TEXT NOT NULL
);

CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
