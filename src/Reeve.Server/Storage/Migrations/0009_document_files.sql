-- What a document was sent as, while its text is not read yet or could not be.
CREATE TABLE document_files (document_id TEXT PRIMARY KEY, account_id TEXT NOT NULL, bytes BLOB NOT NULL);
CREATE INDEX documents_processing ON documents (number) WHERE status = 'processing';
