-- What an operator changed of a provider while the server ran; it wins over the configuration file.
CREATE TABLE provider_settings (provider TEXT PRIMARY KEY, settings TEXT NOT NULL, updated_at INTEGER NOT NULL)
WITHOUT ROWID;

-- Runs without a conversation that have not ended, for the next start.
CREATE INDEX runs_alone_open ON runs (status)
    WHERE conversation_id IS NULL AND status IN ('running', 'requires_action');
