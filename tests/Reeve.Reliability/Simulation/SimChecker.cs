using Reeve.Server.Runs;
using Reeve.Server.Storage;

namespace Reeve.Reliability.Simulation;

/// <summary>
/// Holds the end of a history against what everybody was told: the server's own checker, the clients' logs, and what
/// was done outside.
/// </summary>
internal sealed class SimChecker(SimWorld world)
{
    private readonly List<string> _problems = [];

    internal IReadOnlyList<string> Check(DbSession session)
    {
        // A lock on the folder keeps a second process out. Where a history lets a replaced one write nevertheless, to
        // see it refused, what it had asked for before has ids of another order than the balances that they show.
        _problems.AddRange(new Verifier().Check(session)
            .Where(one => !world.HadTwoWriters || one.Invariant != "I5" || !one.Subject.StartsWith("evt_",
                StringComparison.Ordinal))
            .Select(static one => $"{one.Invariant} {one.Subject}: {one.Problem}"));
        Expect(session.Count("SELECT count(*) FROM sim_stale") == 0, "I9",
            "an owner that had lost the run wrote to it");
        Expect(session.Count("SELECT sum(held) FROM balances") == 0, "I6", "credits are held and nothing runs");
        CheckTopUps(session);
        CheckDocuments(session);
        CheckEffects(session);
        foreach (var run in world.Runs)
        {
            CheckRun(session, run);
        }

        return _problems;
    }

    private void CheckTopUps(DbSession session)
    {
        var made = session.Count("SELECT count(*) FROM ledger_entries WHERE note LIKE 'topup %'");
        Expect(made >= world.TopUpsAcknowledged && made <= world.TopUpsSent, "I1",
            $"{world.TopUpsAcknowledged} top-ups were acknowledged, {world.TopUpsSent} sent, {made} are there");
    }

    private void CheckDocuments(DbSession session)
    {
        foreach (var id in world.Documents)
        {
            Expect(session.Exists("SELECT 1 FROM documents WHERE id = $1 AND status = 'ready'", id), "I1",
                $"{id} was acknowledged and is gone");
        }

        foreach (var (conversation, isAcknowledged) in world.Deleted)
        {
            Expect(!isAcknowledged || !session.Exists("SELECT 1 FROM conversations WHERE id = $1", conversation),
                "I1", $"{conversation} was deleted and is there");
            Expect(!isAcknowledged || !session.Exists(
                "SELECT 1 FROM run_events e JOIN runs r ON r.id = e.run_id "
                + "WHERE r.conversation_id = $1 AND e.payload IS NOT NULL", conversation),
                "I1", $"{conversation} was deleted and its words are there");
        }
    }

    private void CheckEffects(DbSession session)
    {
        foreach (var (call, times) in world.Effects.Payments)
        {
            Expect(times == 1, "I8", $"{call} paid {times} times");
        }

        var billed = session.Count("SELECT count(*) FROM model_calls WHERE upstream > 0");
        Expect(billed <= world.Effects.ModelCalls, "I7",
            $"{billed} model calls are billed, {world.Effects.ModelCalls} were made");
    }

    private void CheckRun(DbSession session, SimRun run)
    {
        if (run.Request.IdempotencyKey is { } key)
        {
            var count = session.Count("SELECT count(*) FROM runs WHERE input = $1", InputOf(run));
            Expect(count <= 1, "I1", $"the request with {key} made {count} runs");
        }

        if (run.RunId is not { } runId)
        {
            return;
        }

        if (run.ConversationId is { } conversation && world.Deleted.ContainsKey(conversation))
        {
            return;
        }

        var status = session.Single(
            "SELECT status FROM runs WHERE id = $1", static row => row.GetString(0), runId);
        Expect(status is not null, "I1", $"{runId} was acknowledged and is gone");
        Expect(status is null || RunStatuses.IsTerminal(status), "I13", $"{runId} is {status}");
        Expect(!run.IsCancelAcknowledged || status is not RunStatuses.Running, "I13",
            $"{runId} was cancelled and runs");
    }

    private static string InputOf(SimRun run)
    {
        var body = run.Request.Body;
        var start = body.IndexOf("question", StringComparison.Ordinal);
        return body[start..body.IndexOf('"', start)];
    }

    private void Expect(bool holds, string invariant, string problem)
    {
        if (!holds)
        {
            _problems.Add($"{invariant} {problem}");
        }
    }
}
