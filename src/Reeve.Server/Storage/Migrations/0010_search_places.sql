-- Postings hold the places of terms, and what a document adds to the index lies together: a row a block and term. The
-- first start after this makes the index anew from the chunks.
DROP TABLE search_postings;
CREATE TABLE search_postings (
    index_number INTEGER NOT NULL, block INTEGER NOT NULL, term TEXT NOT NULL, postings BLOB NOT NULL,
    PRIMARY KEY (index_number, block, term)
) WITHOUT ROWID;
DELETE FROM search_documents;
DELETE FROM search_indexes;
INSERT INTO settings (name, value) SELECT 'search_rebuild', '' WHERE EXISTS (SELECT 1 FROM documents);
