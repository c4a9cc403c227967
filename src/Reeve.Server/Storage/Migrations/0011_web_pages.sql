-- Where a document was fetched from, and when it is fetched again.
ALTER TABLE documents ADD COLUMN url TEXT;
ALTER TABLE documents ADD COLUMN refresh_seconds INTEGER;
ALTER TABLE documents ADD COLUMN etag TEXT;
ALTER TABLE documents ADD COLUMN last_modified TEXT;
ALTER TABLE documents ADD COLUMN fetched_at INTEGER;
ALTER TABLE documents ADD COLUMN fetch_at INTEGER;
CREATE INDEX documents_to_fetch ON documents (fetch_at) WHERE fetch_at IS NOT NULL;
CREATE INDEX documents_of_pages ON documents (agent_id, url) WHERE url IS NOT NULL;
