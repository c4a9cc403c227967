-- What chunks mean, as vectors of the one model that `retrieval.embeddings` names; of another one, a start empties the
-- table. A key is the number of a document and, in 24 low bits, the position of a chunk. Versions tell what is kept in
-- memory which documents have changed since.
CREATE TABLE chunk_vectors (key INTEGER PRIMARY KEY, vector BLOB NOT NULL);
ALTER TABLE documents ADD COLUMN is_embedded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE documents ADD COLUMN vector_version INTEGER;
ALTER TABLE search_indexes ADD COLUMN vector_version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE search_indexes ADD COLUMN vector_removals INTEGER NOT NULL DEFAULT 0;
CREATE INDEX documents_to_embed ON documents (privacy_class, number) WHERE status = 'ready' AND is_embedded = 0;
CREATE INDEX documents_of_vectors ON documents (agent_id, vector_version) WHERE vector_version IS NOT NULL;
