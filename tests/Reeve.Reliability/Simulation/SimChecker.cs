using Reeve.Server.Runs;
using Reeve.Server.Storage;

namespace Reeve.Reliability.Simulation;

/// <summary>
/// Holds the end of a history against what everybody was told: the server's own checker, the clients' logs, and what
/// was done outside.
/// </summary>
internal sealed class SimChecker(SimWorld world)
{
    /// <summary>A run is given up that brought down its first owner and three more.</summary>
    private const int RecoveriesOfPoisoned = 4;

    private readonly List<string> _problems = [];

    internal IReadOnlyList<string> Check(DbSession session)
    {
        // A lock on the folder keeps a second process out. Where a history lets a replaced one write nevertheless, to
        // see it refused, what it had asked for before has ids of another order than the balances that they show.
        _problems.AddRange(new Verifier(SimNode.Master).Check(session)
            .Where(one => !world.HadTwoWriters || one.Invariant != "I5" || !IsOfTheOrder(one))
            .Select(static one => $"{one.Invariant} {one.Subject}: {one.Problem}"));
        if (world.HadTwoWriters)
        {
            CheckBalancesInAnyOrder(session);
        }

        Expect(session.Count("SELECT count(*) FROM sim_stale") == 0, "I9",
            "an owner that had lost the run wrote to it");
        Expect(session.Count("SELECT sum(held) FROM balances") == 0, "I6", "credits are held and nothing runs");
        CheckTopUps(session);
        CheckDocuments(session);
        CheckEffects(session);
        CheckHedges(session);
        CheckOutputs(session);
        CheckGivenUp(session);
        foreach (var run in world.Runs)
        {
            CheckRun(session, run);
        }

        return _problems;
    }

    private static bool IsOfTheOrder(Violation one) => one.Subject.StartsWith("evt_", StringComparison.Ordinal)
        && (one.Problem.StartsWith("it takes the available balance", StringComparison.Ordinal)
            || one.Problem.StartsWith("it says the balance is", StringComparison.Ordinal));

    /// <summary>
    /// Each entry leads from the balance that it found to the one that it shows. There is an order in which each finds
    /// what the one before it shows only if every balance is left as often as it is come to, save the first and last.
    /// </summary>
    private void CheckBalancesInAnyOrder(DbSession session)
    {
        var surplus = new Dictionary<(string Book, long Balance), int>();
        foreach (var (book, change, balance) in session.List(
            "SELECT account_id || ' ' || mode, change, balance FROM ledger_entries",
            static row => (row.GetString(0), row.GetInt64(1), row.GetInt64(2))))
        {
            Expect(balance >= 0 && balance - change >= 0, "I5", $"{book} goes from {balance - change} to {balance}");
            Add(book, balance - change, -1);
            Add(book, balance, 1);
        }

        foreach (var (book, available) in session.List("SELECT account_id || ' ' || mode, available FROM balances",
            static row => (row.GetString(0), row.GetInt64(1))))
        {
            Add(book, 0, 1);
            Add(book, available, -1);
        }

        foreach (var ((book, balance), more) in surplus.Where(static one => one.Value != 0))
        {
            Expect(false, "I5", $"the balance {balance} of {book} is come to {more} times more often than left");
        }

        void Add(string book, long balance, int count) =>
            surplus[(book, balance)] = surplus.GetValueOrDefault((book, balance)) + count;
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

    // Of a call and its hedge one at most is ever charged. What deleted conversations say of it is gone.
    private void CheckHedges(DbSession session)
    {
        const string Hedges = "FROM run_events e JOIN model_calls h ON h.run_id = e.run_id "
            + "AND h.call = json_extract(CAST(e.payload AS TEXT), '$.call') "
            + "WHERE e.type = 'model_call.started' AND json_extract(CAST(e.payload AS TEXT), '$.hedge') = 1";
        world.Hedges = session.Count("SELECT count(*) " + Hedges);
        Expect(world.Hedges == 0 || world.MayHedge, "I7", "a call was hedged and nobody wanted that");
        Expect(session.Count("SELECT count(*) " + Hedges + " AND h.upstream > 0 AND EXISTS (SELECT 1 "
            + "FROM model_calls f WHERE f.run_id = h.run_id AND f.call = h.call - 1 AND f.upstream > 0)") == 0, "I7",
            "a call and its hedge were both charged");
    }

    // An output is the answers of its steps, which an empty line parts, whatever was begun and broken off before.
    private void CheckOutputs(DbSession session)
    {
        foreach (var (id, output) in session.List(
            "SELECT id, output FROM runs WHERE status = 'completed' AND erased_at IS NULL",
            static row => (row.GetString(0), row.GetString(1))))
        {
            Expect(output.Split("\n\n").All(world.Effects.Answers.Contains), "I4",
                $"no model ever said the output of {id}: {output}");
        }
    }

    private void CheckGivenUp(DbSession session)
    {
        foreach (var (id, recoveries) in session.List(
            "SELECT run_id, (SELECT count(*) FROM run_events r WHERE r.run_id = f.run_id AND r.type = 'run.recovered') "
            + "FROM run_events f WHERE type = 'run.failed' AND CAST(payload AS TEXT) LIKE '%poisoned%'",
            static row => (row.GetString(0), row.GetInt64(1))))
        {
            Expect(recoveries >= RecoveriesOfPoisoned, "I13", $"{id} was given up after {recoveries} recoveries");
        }
    }

    private void CheckRun(DbSession session, SimRun run)
    {
        // Without a key it was sent once.
        var count = session.Count("SELECT count(*) FROM runs WHERE input = $1", InputOf(run));
        Expect(count <= 1, "I1", $"\"{InputOf(run)}\" with the key {run.Request.IdempotencyKey} made {count} runs");
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
        Expect(status is not null && count == 1, "I1", $"{runId} was acknowledged and is gone");
        Expect(status is null || RunStatuses.IsTerminal(status), "I13", $"{runId} is {status}");
        Expect(run.ToldStatus is null || run.ToldStatus == status, "I4",
            $"{runId} was {run.ToldStatus} for a client and is {status}");
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
