-- The terms of a document stand in parts, so that encrypting them takes steps that do not grow with the document; and
-- blocks are counted one by one, so that a search looks only into those that have documents, and room that documents left
-- is used again. The first start after this makes the index anew from the chunks.
DROP TABLE search_indexes;
CREATE TABLE search_indexes (
    number INTEGER PRIMARY KEY, account_id TEXT NOT NULL, agent_id TEXT NOT NULL UNIQUE, chunk_count INTEGER NOT NULL,
    term_count INTEGER NOT NULL, open_block INTEGER NOT NULL, vector_version INTEGER NOT NULL DEFAULT 0,
    vector_removals INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE search_blocks (
    index_number INTEGER NOT NULL, block INTEGER NOT NULL, chunk_count INTEGER NOT NULL,
    PRIMARY KEY (index_number, block)
) WITHOUT ROWID;
DROP TABLE search_documents;
CREATE TABLE search_documents (
    document_number INTEGER PRIMARY KEY, block INTEGER NOT NULL, term_count INTEGER NOT NULL
);
CREATE TABLE search_terms (
    document_number INTEGER NOT NULL, part INTEGER NOT NULL, terms TEXT NOT NULL, PRIMARY KEY (document_number, part)
) WITHOUT ROWID;
DELETE FROM search_postings;
INSERT INTO settings (name, value) SELECT 'search_rebuild', '' WHERE EXISTS (SELECT 1 FROM documents)
ON CONFLICT (name) DO NOTHING;
-- How many files of an account wait is asked with each that comes.
DROP INDEX documents_processing;
CREATE INDEX documents_processing ON documents (account_id, bytes) WHERE status = 'processing';
