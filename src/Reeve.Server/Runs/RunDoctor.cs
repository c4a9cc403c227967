using Microsoft.Data.Sqlite;
using Reeve.Server.Storage;

namespace Reeve.Server.Runs;

/// <summary>The checks of <c>reeve doctor</c> on runs, their holds and their logs.</summary>
internal static class RunDoctor
{
    /// <summary>
    /// No model call of an owner that lives takes so long: providers are cut off when they fall silent.
    /// </summary>
    internal static readonly TimeSpan HoldAgeMax = TimeSpan.FromHours(1);

    private const int ShownMax = 3;

    /// <summary>Older ones somebody has seen.</summary>
    private static readonly TimeSpan PoisonedSince = TimeSpan.FromDays(7);

    internal static void Check(Diagnosis diagnosis, string folder, bool isServed, DateTimeOffset now)
    {
        try
        {
            Database.ReadOnce(DataFolder.DatabaseIn(folder), session =>
            {
                CheckOpen(diagnosis, session, isServed);
                CheckHolds(diagnosis, session, isServed, now);
                CheckPoisoned(diagnosis, session, now);
                CheckLogs(diagnosis, session);
                return true;
            });
        }
        catch (SqliteException error)
        {
            diagnosis.Problem("logs", $"They cannot be read: {error.Message}.", DatabaseDoctor.GoBack);
        }
    }

    private static void CheckOpen(Diagnosis diagnosis, DbSession session, bool isServed)
    {
        var open = session.Count("SELECT count(*) FROM runs WHERE finished_at IS NULL");
        if (open > 0 && !isServed)
        {
            diagnosis.Warn("open runs", $"{Runs(open)} open and no server is running.",
                "Start the server: it goes on with them.");
        }
        else
        {
            diagnosis.Ok("open runs", open == 0 ? "None." : $"{Runs(open)} open.");
        }
    }

    // Holds of runs that ended are for the verifier, and without a server those of open runs wait for the next start.
    private static void CheckHolds(Diagnosis diagnosis, DbSession session, bool isServed, DateTimeOffset now)
    {
        var held = session.List(
            "SELECT h.run_id, h.created_at FROM ledger_entries h JOIN runs r ON r.id = h.run_id "
            + "WHERE h.type = 'hold' AND r.finished_at IS NULL AND NOT EXISTS (SELECT 1 FROM ledger_entries e "
            + "WHERE e.run_id = h.run_id AND e.call = h.call AND e.type = 'release') ORDER BY h.id",
            static row => (RunId: row.GetString(0), At: row.Time(1)));
        var old = held.FindAll(hold => now - hold.At > HoldAgeMax);
        if (isServed && old.Count > 0)
        {
            diagnosis.Problem("holds", $"{old.Count} of {held.Count} open holds are older than an hour "
                + $"({Some(old.ConvertAll(static hold => hold.RunId))}).",
                "Cancel their runs with POST /v1/runs/RUN/cancel; if that does not help, restart the server.");
        }
        else
        {
            diagnosis.Ok("holds", held.Count == 0 ? "None is open." : $"{held.Count} open, each of an open run.");
        }
    }

    private static void CheckPoisoned(Diagnosis diagnosis, DbSession session, DateTimeOffset now)
    {
        // Only a run that was given up has this code, and the event that says why may be encrypted.
        var poisoned = session.List(
            "SELECT id FROM runs WHERE finished_at >= $1 AND error_code = 'internal_error' ORDER BY id DESC",
            static row => row.GetString(0), (now - PoisonedSince).ToUnixTimeMilliseconds());
        if (poisoned.Count == 0)
        {
            diagnosis.Ok("poisoned runs", "None in the last 7 days.");
        }
        else
        {
            diagnosis.Warn("poisoned runs", $"{poisoned.Count} in the last 7 days brought the server down again and "
                + $"again, or had nothing to go on from that could be read, and were given up ({Some(poisoned)}).",
                "Look in the log for what the server said of them before, and report it; `reeve verify` names what is "
                + "damaged.");
        }
    }

    private static void CheckLogs(Diagnosis diagnosis, DbSession session)
    {
        var verifier = new Verifier();
        var violations = verifier.Check(session);
        var (runs, events, entries) = verifier.Counts;
        if (violations.Count == 0)
        {
            diagnosis.Ok("logs", $"0 violations in {runs} runs, {events} events and {entries} ledger entries.");
            return;
        }

        var first = violations[0];
        diagnosis.Problem("logs", $"{violations.Count} violations, the first: {first.Invariant} {first.Subject}: "
            + $"{first.Problem.ReplaceLineEndings(" ")}.",
            "`reeve verify` lists them. " + DatabaseDoctor.GoBack);
    }

    private static string Runs(long count) => count == 1 ? "1 run is" : $"{count} runs are";

    private static string Some(List<string> ids) =>
        string.Join(", ", ids.Take(ShownMax)) + (ids.Count > ShownMax ? ", ..." : "");
}
