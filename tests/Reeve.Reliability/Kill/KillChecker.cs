using System.Data.Common;
using System.Text;
using System.Text.Json;
using Reeve.Reliability.Load;
using Reeve.Server.Runs;
using Reeve.Server.Storage;

namespace Reeve.Reliability.Kill;

/// <summary>
/// Holds what clients know against a server that has come to rest: I1 and I4 from outside, the ledger's sums, and
/// whatever the verifier knows.
/// </summary>
internal sealed class KillChecker(ServerSlot slot, KillJournal journal, MockProvider provider)
{
    /// <summary>A run is given up that brought down its first owner and three more.</summary>
    private const int RecoveriesOfPoisoned = 4;

    private static readonly TimeSpan RecoveryMax = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(20);

    private readonly HashSet<string> _checkedRuns = new(StringComparer.Ordinal);
    private int _checkedStreams;

    /// <summary>Seconds from "ready" until no run was open any more, the longest that was seen.</summary>
    internal double SecondsToRestMax { get; private set; }

    /// <summary>
    /// Waits until every run has ended and checks. Runs and streams that were checked before are checked again
    /// only when <paramref name="everything"/> is asked for.
    /// </summary>
    internal async Task CheckAsync(bool everything)
    {
        await RestAsync();
        foreach (var run in journal.Runs.Keys.Where(run => everything || !_checkedRuns.Contains(run)).ToList())
        {
            await CheckRunAsync(run);
            _checkedRuns.Add(run);
        }

        foreach (var stream in journal.Streams.Skip(everything ? 0 : _checkedStreams).ToList())
        {
            await CheckStreamAsync(stream);
        }

        _checkedStreams = journal.Streams.Count;
        foreach (var document in journal.Documents.Keys)
        {
            if ((await GetAsync($"/v1/documents/{document}")).Status != 200)
            {
                journal.Report(KillFault.Lost, $"document {document} was acknowledged and is not there");
            }
        }

        slot.Read(session =>
        {
            CheckMoney(session);
            CheckRuns(session);
            return 0;
        });
        foreach (var violation in slot.Read(new Verifier(slot.Master).Check))
        {
            journal.Report(violation.Invariant is "I5" or "I6" or "I7" ? KillFault.Money : KillFault.Wrong,
                violation.ToString());
        }
    }

    private async Task RestAsync()
    {
        var begun = TimeProvider.System.GetTimestamp();
        for (var open = Open(); open.Count > 0; open = Open())
        {
            if (TimeProvider.System.GetElapsedTime(begun) > RecoveryMax)
            {
                open.ForEach(run => journal.Report(KillFault.Stuck, $"{run} 30 s after the last client left"));
                return;
            }

            await Task.Delay(Look, TimeProvider.System);
        }

        SecondsToRestMax = Math.Max(
            SecondsToRestMax, TimeProvider.System.GetElapsedTime(slot.ReadyAt).TotalSeconds);
    }

    private List<string> Open() => slot.Read(static session => session.List(
        "SELECT id || ' ' || status FROM runs WHERE finished_at IS NULL", static row => row.GetString(0)));

    private async Task CheckRunAsync(string run)
    {
        var (status, body) = await GetAsync($"/v1/runs/{run}");
        if (status != 200)
        {
            journal.Report(KillFault.Lost, $"{run} was acknowledged and is not there: {status} {body}");
            return;
        }

        using var json = JsonDocument.Parse(body);
        journal.Acknowledge(run, status: json.RootElement.GetProperty("status").GetString());
    }

    private async Task CheckStreamAsync(StreamClient stream)
    {
        if (stream.Problem is { } problem)
        {
            journal.Report(KillFault.Changed, $"{stream.RunId}: {problem}");
        }

        var seen = stream.Bytes;
        var replay = await stream.ReplayAsync(slot.Process.Url) ?? [];
        if (!replay.AsSpan().StartsWith(seen))
        {
            var at = replay.AsSpan().CommonPrefixLength(seen);
            journal.Report(KillFault.Changed, $"{stream.RunId}: from byte {at} on a reader saw "
                + $"{Excerpt(seen, at)}, and the replay is {Excerpt(replay, at)}");
        }
        else if (stream.IsEnded && seen.Length < replay.Length)
        {
            journal.Report(KillFault.Changed, $"{stream.RunId}: the stream ended for a reader who had not seen "
                + Excerpt(replay, seen.Length));
        }
    }

    private static string Excerpt(byte[] bytes, int at) =>
        Encoding.UTF8.GetString(bytes.AsSpan(at, Math.Min(200, bytes.Length - at)));

    /// <summary>
    /// One run of each question, the model's own words as its answer, and none given up before its time.
    /// </summary>
    private void CheckRuns(DbSession session)
    {
        var runs = session.List("SELECT id, account_id, status, input, output FROM runs", row => (
            Id: row.GetString(0), Status: row.GetString(2), Input: Text(session, row, 3, ContentColumns.RunInput)!,
            Output: Text(session, row, 4, ContentColumns.RunOutput)));
        foreach (var (input, count) in runs.Where(
            static run => !run.Input.StartsWith("flood ", StringComparison.Ordinal))
            .CountBy(static run => run.Input).Where(static one => one.Value > 1))
        {
            journal.Report(KillFault.Money, $"{input} was asked under one key or once, and there are {count} runs");
        }

        foreach (var (run, _, input, output) in runs.Where(static run => run.Status == "completed"))
        {
            if (MockPrompt.Parse(input).PlainAnswer is { } answer && answer != output)
            {
                journal.Report(KillFault.Changed, $"{run}: the model said {answer}, and the output is {output}");
            }
        }

        var failed = session.List(
            "SELECT id, error_code, (SELECT count(*) FROM run_events e WHERE e.run_id = r.id "
            + "AND e.type = 'run.recovered') FROM runs r WHERE status = 'failed'",
            static row => (Id: row.GetString(0), Code: row.GetString(1), Recoveries: row.GetInt64(2)));
        journal.Poisoned = failed.Count;
        foreach (var run in failed.Where(
            static run => run.Code != "internal_error" || run.Recoveries < RecoveriesOfPoisoned))
        {
            journal.Report(KillFault.Wrong, $"{run.Id} failed with {run.Code} after {run.Recoveries} recoveries");
        }
    }

    private static string? Text(DbSession session, DbDataReader row, int index, string column) =>
        session.Text(row, index, new TenantContext(row.GetString(1)), column, row.GetString(0));

    private void CheckMoney(DbSession session)
    {
        var held = session.Count("SELECT sum(held) FROM balances");
        var (settled, charged) = (
            session.Count("SELECT sum(amount) FROM ledger_entries WHERE type = 'settle'"),
            session.Count("SELECT sum(charged) FROM runs"));
        if (held != 0 || settled != charged)
        {
            journal.Report(KillFault.Money,
                $"{held} micro-USD are held by nobody; {settled} were settled, the runs charge {charged}");
        }

        // A request that was cancelled on its way is owed, because nobody knows whether the provider saw it.
        var billed = session.Count(
            "SELECT count(*) FROM ledger_entries e JOIN runs r ON r.id = e.run_id "
            + "WHERE e.type = 'settle' AND r.status <> 'cancelled'");
        if (billed > provider.Calls)
        {
            journal.Report(KillFault.Money, $"{billed} calls were billed, the provider had {provider.Calls}");
        }

        foreach (var key in session.List(
            "SELECT key FROM idempotency_records GROUP BY account_id, key HAVING count(*) > 1",
            static row => row.GetString(0)))
        {
            journal.Report(KillFault.Money, $"key {key} has two records");
        }

        var booked = session.List(
            "SELECT note, count(*) FROM ledger_entries WHERE type = 'topup' GROUP BY note",
            static row => (Note: row.GetString(0), Count: row.GetInt64(1)))
            .ToDictionary(static row => row.Note, static row => row.Count);
        foreach (var (note, (sent, acknowledged)) in journal.TopUps)
        {
            // Without an idempotency key of its own a request whose answer was lost may or may not have counted.
            var count = booked.GetValueOrDefault(note);
            if (count < acknowledged || count > sent)
            {
                journal.Report(count < acknowledged ? KillFault.Lost : KillFault.Money,
                    $"top-up {note} was sent {sent} times, acknowledged {acknowledged} times and booked {count} times");
            }
        }
    }

    private async Task<(int Status, string Body)> GetAsync(string path)
    {
        using var request = Dialect.Request(HttpMethod.Get, slot.Process.Url, path);
        using var answer = await slot.Http.SendAsync(request);
        return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync());
    }
}
