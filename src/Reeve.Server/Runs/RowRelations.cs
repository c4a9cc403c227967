using Reeve.Server.Storage;

namespace Reeve.Server.Runs;

/// <summary>What rows say of each other, beside the log: each statement names those that contradict.</summary>
internal static class RowRelations
{
    private static readonly (string Invariant, string Sql, string Problem)[] All =
    [
        ("I5", "SELECT l.id FROM ledger_entries l JOIN runs r ON r.id = l.run_id "
            + "WHERE l.account_id IS NOT r.account_id OR l.mode IS NOT r.mode "
            + "OR (l.receipt_id IS NOT NULL AND l.receipt_id IS NOT r.receipt_id)",
            "it names another account, mode or receipt than its run"),
        ("I7", "SELECT m.run_id FROM model_calls m LEFT JOIN runs r ON r.id = m.run_id "
            + "WHERE m.account_id IS NOT r.account_id OR m.agent_id IS NOT r.agent_id OR m.key_id IS NOT r.key_id "
            + "OR m.mode IS NOT r.mode OR (m.user_id IS NOT r.user_id AND r.erased_at IS NULL)",
            "its usage names another account, agent, key, mode or user"),
        ("I11", "SELECT d.event_id FROM webhook_deliveries d LEFT JOIN webhooks w ON w.id = d.webhook_id "
            + "WHERE w.account_id IS NOT d.account_id OR d.sequence > w.sequence",
            "it goes to no webhook of its account"),
        ("I11", "SELECT event_id FROM webhook_deliveries WHERE (status = 'pending') <> (next_at IS NOT NULL) "
            + "OR (status = 'pending') <> (finished_at IS NULL)",
            "its delivery is neither due nor over"),
        ("I12", "SELECT t.id FROM receipts t LEFT JOIN runs r ON r.id = t.run_id "
            + "WHERE r.receipt_id IS NOT t.id OR r.account_id IS NOT t.account_id", "it is the receipt of no run"),
        ("I14", "SELECT i.run_id FROM idempotency_records i LEFT JOIN runs r ON r.id = i.run_id "
            + "WHERE r.account_id IS NOT i.account_id", "an Idempotency-Key names a run that its account has not"),
        ("I14", "SELECT v.agent_id FROM agent_versions v LEFT JOIN agents a ON a.id = v.agent_id "
            + "WHERE a.account_id IS NOT v.account_id", "a version belongs to no agent of its account"),
        ("I14", "SELECT a.id FROM agents a WHERE NOT EXISTS "
            + "(SELECT 1 FROM agent_versions v WHERE v.agent_id = a.id AND v.version = a.version)",
            "the agent lacks its version"),
        ("I14", "SELECT d.id FROM documents d LEFT JOIN agents a ON a.id = d.agent_id "
            + "WHERE a.account_id IS NOT d.account_id", "it belongs to no agent of its account"),
        ("I14", "SELECT c.id FROM chunks c LEFT JOIN documents d ON d.id = c.document_id "
            + "WHERE d.account_id IS NOT c.account_id", "it belongs to no document of its account"),
        ("I14", "SELECT s.agent_id FROM search_indexes s LEFT JOIN agents a ON a.id = s.agent_id "
            + "WHERE a.account_id IS NOT s.account_id", "its search index belongs to no agent of its account"),
        ("I14", "SELECT s.agent_id FROM search_indexes s WHERE s.chunk_count IS NOT "
            + "coalesce((SELECT sum(chunk_count) FROM documents d WHERE d.agent_id = s.agent_id), 0) "
            + "OR s.term_count IS NOT coalesce((SELECT sum(e.term_count) FROM search_documents e "
            + "JOIN documents d ON d.number = e.document_number WHERE d.agent_id = s.agent_id), 0)",
            "its search index does not count what its documents have"),
        ("I14", "SELECT s.agent_id FROM search_indexes s WHERE s.chunk_count IS NOT "
            + "coalesce((SELECT sum(b.chunk_count) FROM search_blocks b WHERE b.index_number = s.number), 0)",
            "the blocks of its search index do not count what it does"),
        ("I14", "SELECT s.agent_id FROM search_indexes s JOIN (SELECT d.agent_id, e.block, "
            + "sum(d.chunk_count) AS chunks FROM search_documents e JOIN documents d ON d.number = e.document_number "
            + "GROUP BY d.agent_id, e.block) h "
            + "ON h.agent_id = s.agent_id LEFT JOIN search_blocks b ON b.index_number = s.number "
            + "AND b.block = h.block WHERE b.chunk_count IS NOT h.chunks",
            "a block of its search index does not count what its documents have"),
        ("I14", "SELECT CAST(document_number AS TEXT) FROM search_terms GROUP BY document_number "
            + "HAVING min(part) <> 0 OR max(part) + 1 <> count(*)",
            "a part of the terms of a document of that number is missing"),
        ("I14", "SELECT CAST(s.document_number AS TEXT) FROM search_documents s "
            + "LEFT JOIN documents d ON d.number = s.document_number WHERE d.id IS NULL",
            "a document of that number is indexed and not there"),
        ("I14", "SELECT CAST(v.key AS TEXT) FROM chunk_vectors v LEFT JOIN documents d ON d.number = v.key >> 24 "
            + "LEFT JOIN chunks c ON c.document_id = d.id AND c.position = v.key & 16777215 WHERE c.id IS NULL",
            "a vector is of no chunk"),
        ("I14", "SELECT CAST(v.key AS TEXT) FROM chunk_vectors v JOIN documents d ON d.number = v.key >> 24 "
            + "WHERE typeof(d.name) = 'blob' AND substr(v.vector, 1, 1) <> x'01'",
            "a vector of an encrypted document lies open"),
        ("I14", "SELECT d.id FROM documents d JOIN chunks c ON c.document_id = d.id WHERE d.is_embedded = 1 "
            + "AND NOT EXISTS (SELECT 1 FROM chunk_vectors v WHERE v.key = (d.number << 24) + c.position)",
            "it has its vectors, but not of each chunk"),
    ];

    internal static IEnumerable<Violation> Broken(DbSession session) => All.SelectMany(relation =>
        session.List(relation.Sql, static row => row.StringOrNull(0) ?? "")
            .Select(subject => new Violation(relation.Invariant, subject, relation.Problem)));
}
