using Reeve.Server.Agents;
using Reeve.Server.Audit;
using Reeve.Server.Storage;

namespace Reeve.Server.Conversations;

/// <summary>
/// The one place that erases what runs hold. Rows, ids, amounts and the hash chain stay; inputs, outputs, users,
/// metadata and event payloads go, and usage is of no user any more. Works in bounded steps, so that a long
/// conversation does not hold up the writer.
/// </summary>
/// <remarks>
/// Idempotency records stay for their 24 hours: they hold a hash and the run's id, by which a replay of an erased run
/// is answered as gone.
/// </remarks>
internal static class Erasure
{
    internal const int RunsPerStep = 200;

    /// <summary>Erases a part of a conversation; the conversation's row goes with the last part.</summary>
    internal static ErasureStep EraseConversation(
        DbSession session, TenantContext tenant, string conversationId, DateTimeOffset at)
    {
        var budget = RunsPerStep;
        return EraseConversation(session, tenant, conversationId, at, ref budget);
    }

    /// <summary>Erases a part of an agent's conversations and of its runs outside any conversation.</summary>
    internal static ErasureStep EraseAgent(DbSession session, TenantContext tenant, string agentId, DateTimeOffset at)
    {
        var budget = RunsPerStep;
        var step = EraseRuns(session, tenant, at, ref budget, session.List(
            "SELECT id FROM runs WHERE agent_id = $1 AND conversation_id IS NULL AND account_id = $2 "
            + "AND erased_at IS NULL AND status NOT IN ('queued', 'running', 'requires_action') LIMIT $3",
            static row => row.GetString(0), agentId, tenant.AccountId, budget));
        while (step == ErasureStep.Finished)
        {
            var conversationId = session.Single(
                "SELECT id FROM conversations WHERE agent_id = $1 AND account_id = $2 ORDER BY id LIMIT 1",
                static row => row.GetString(0), agentId, tenant.AccountId);
            if (conversationId is null)
            {
                return session.Exists("SELECT 1 FROM runs WHERE agent_id = $1 AND conversation_id IS NULL "
                    + "AND account_id = $2 AND status IN ('queued', 'running', 'requires_action') LIMIT 1",
                    agentId, tenant.AccountId) ? ErasureStep.Busy : ErasureStep.Finished;
            }

            budget--; // An empty conversation is work too.
            step = EraseConversation(session, tenant, conversationId, at, ref budget);
        }

        return step;
    }

    private static ErasureStep EraseConversation(
        DbSession session, TenantContext tenant, string conversationId, DateTimeOffset at, ref int budget)
    {
        if (budget <= 0)
        {
            return ErasureStep.Unfinished;
        }

        var step = EraseRuns(session, tenant, at, ref budget, session.List(
            "SELECT id FROM runs WHERE conversation_id = $1 AND account_id = $2 AND erased_at IS NULL "
            + "AND status NOT IN ('queued', 'running', 'requires_action') ORDER BY ordinal LIMIT $3",
            static row => row.GetString(0), conversationId, tenant.AccountId, budget));
        if (step == ErasureStep.Unfinished)
        {
            return step;
        }

        if (session.Exists("SELECT 1 FROM runs WHERE conversation_id = $1 AND account_id = $2 "
            + "AND status IN ('queued', 'running', 'requires_action') LIMIT 1", conversationId, tenant.AccountId))
        {
            return ErasureStep.Busy;
        }

        session.Execute("DELETE FROM copied_messages WHERE conversation_id = $1 AND account_id = $2",
            conversationId, tenant.AccountId);
        session.Execute("UPDATE agents SET conversation_count = conversation_count - 1 WHERE account_id = $2 "
            + "AND id = (SELECT agent_id FROM conversations WHERE id = $1 AND account_id = $2)",
            conversationId, tenant.AccountId);
        session.Execute(
            "DELETE FROM conversations WHERE id = $1 AND account_id = $2", conversationId, tenant.AccountId);
        AuditLog.Append(session, tenant, AuditTypes.ConversationDeleted, conversationId, at);
        return ErasureStep.Finished;
    }

    private static ErasureStep EraseRuns(
        DbSession session, TenantContext tenant, DateTimeOffset at, ref int budget, List<string> runs)
    {
        foreach (var run in runs)
        {
            EraseRun(session, tenant, run, at);
        }

        var wasFull = runs.Count == budget;
        budget -= runs.Count;
        return wasFull ? ErasureStep.Unfinished : ErasureStep.Finished;
    }

    /// <summary>Erases what one run holds, which must have ended.</summary>
    internal static void EraseRun(DbSession session, TenantContext tenant, string runId, DateTimeOffset at)
    {
        session.Execute("UPDATE run_events SET payload = NULL WHERE run_id = $1 AND account_id = $2 "
            + "AND payload IS NOT NULL", runId, tenant.AccountId);
        session.Execute("UPDATE runs SET input = NULL, output = NULL, outcome = NULL, user_id = NULL, user = NULL, "
            + "metadata = '{}', erased_at = $3 WHERE id = $1 AND account_id = $2",
            runId, tenant.AccountId, at.ToUnixTimeMilliseconds());
        session.Execute("UPDATE model_calls SET user_id = NULL WHERE run_id = $1 AND account_id = $2 "
            + "AND user_id IS NOT NULL", runId, tenant.AccountId);
    }
}
