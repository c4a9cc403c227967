using System.Diagnostics;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;
using Reeve.Reliability.Simulation;
using Reeve.Server;
using Reeve.Server.Credits;
using Reeve.Server.Http;
using Reeve.Server.Runs;
using Reeve.Server.Storage;
using Reeve.Server.Tests;

namespace Reeve.Reliability.Ledger;

/// <summary>
/// R5: holds, closes and top-ups of a few poor accounts race for the one writer. What each came to is held against a
/// model that takes them in the order in which the writer did.
/// </summary>
internal static class RacingLedger
{
    private const int OpsPerFile = 500_000;
    private const int OpsPerRound = 20_000;

    /// <summary>Where a temporary file system is, on which no fsync bounds the rate of the largest trial.</summary>
    private const string MemoryFolder = "/dev/shm";

    internal static async Task<Score> RunAsync(Trial trial)
    {
        var ops = trial.Count(3_000, 100_000, 10_000_000);
        var inMemory = trial.Scale == Scale.Bench && Directory.Exists(MemoryFolder);
        var race = new LedgerRace(trial.Seed);
        for (var left = ops; left > 0; left -= OpsPerFile)
        {
            var folder = inMemory ? Path.Combine(MemoryFolder, $"reeve-ledger-{Environment.ProcessId}") : null;
            await race.RunAsync(Math.Min(OpsPerFile, left), OpsPerRound, folder);
            trial.Log($"{race.Ops:N0} operations, {race.Problems.Count} violations");
        }

        var runs = await RacingRuns.RunAsync(trial);
        return new Score(race.Ops + runs.Trials, string.Concat(
            FormattableString.Invariant($"{race.Figures}, {race.Ops / race.Elapsed.TotalSeconds:N0} a second "),
            inMemory ? "in memory, with no disk to wait for; " : "on disk; ", runs.Figures),
            [.. race.Problems, .. runs.Problems]);
    }
}

/// <summary>Many tasks on a few accounts of a real database.</summary>
internal sealed class LedgerRace(ulong seed)
{
    private const int Accounts = 6;
    private const int Racers = 128;
    private const int ProblemsMax = 100;

    /// <summary>The fifth account's key and the sixth account may spend no more a month.</summary>
    private const long KeyBudgetMicroUsd = 30_000;
    private const long AccountBudgetMicroUsd = 60_000;

    private readonly List<string> _problems = [];
    private readonly SortedDictionary<string, long> _outcomes = new(StringComparer.Ordinal);
    private long _order;
    private ulong _rounds;

    internal IReadOnlyList<string> Problems => _problems;

    internal long Ops { get; private set; }

    internal TimeSpan Elapsed { get; private set; }

    internal string Figures => string.Join(", ", _outcomes.Select(static one =>
        FormattableString.Invariant($"{one.Value:N0} {one.Key}")));

    /// <summary>Races on a new database, which is verified at the end.</summary>
    internal async Task RunAsync(int ops, int opsPerRound, string? folder)
    {
        if (folder is not null)
        {
            Directory.CreateDirectory(folder);
        }

        await using (var server = await TestServer.StartAsync(
            configure: static builder => builder.Logging.ClearProviders(), folder: folder, realTime: true))
        {
            var ids = server.Service<IdGenerator>();
            var ledger = server.Service<CreditLedger>();
            var used = new HashSet<(string, int)>();
            var models = Enumerable.Range(0, Accounts).Select(index =>
                new LedgerModel(new Payer(ids.New(Id.Account), "live", ids.New(Id.Key))
                {
                    KeyBudget = index == 4 ? KeyBudgetMicroUsd : null,
                    AccountBudget = index == 5 ? AccountBudgetMicroUsd : null,
                }, used)).ToList();
            foreach (var model in models)
            {
                await server.Database.WriteAsync(session =>
                    ledger.Open(session, model.Payer.AccountId, model.Payer.Mode, 0));
            }

            for (var left = ops; left > 0; left -= opsPerRound)
            {
                await RaceAsync(server.Database, ledger, ids, models, Math.Min(left, opsPerRound));
                models.ForEach(model => Check(server.Database, model));
            }

            if (models.Where(static model => model.Payer is not { KeyBudget: null, AccountBudget: null })
                .Any(static model => model.OverBudget == 0))
            {
                Report("a monthly budget was never reached");
            }

            foreach (var violation in server.Database.Read(new Verifier().Check))
            {
                Report(violation.ToString());
            }
        }

        if (folder is not null)
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private async Task RaceAsync(
        Database database, CreditLedger ledger, IdGenerator ids, List<LedgerModel> models, int ops)
    {
        var begun = Stopwatch.GetTimestamp();
        _rounds++;
        var done = await Task.WhenAll(Enumerable.Range(0, Racers).Select(racer => Task.Run(async () =>
        {
            var random = new SimRandom((seed * 1_000_003) + (_rounds * 1_009) + (ulong)racer);
            var runId = ids.New(Id.Run);
            var mine = new List<LedgerOp>();
            for (var call = 1; call <= Math.Max(1, ops / Racers); call++)
            {
                var op = Next(random, random.Pick(models), runId, call);
                if (op.Kind == LedgerOpKind.Close && random.Chance(20))
                {
                    // Twice at once: one of them must find the hold closed.
                    var twin = op.Again(random.Below(6_000));
                    mine.Add(twin);
                    await Task.WhenAll(TakeAsync(database, ledger, op), TakeAsync(database, ledger, twin));
                }
                else
                {
                    await TakeAsync(database, ledger, op);
                }

                mine.Add(op);
            }

            return mine;
        })));
        Elapsed += Stopwatch.GetElapsedTime(begun);
        foreach (var op in done.SelectMany(static ops => ops).OrderBy(static op => op.Order))
        {
            Ops++;
            var expected = op.Model.Take(op);
            var kind = $"{op.Kind} {(op.Outcome is { Length: > 0 } error ? error : "done")}";
            _outcomes[kind] = _outcomes.GetValueOrDefault(kind) + 1;
            if (expected != (op.Outcome, op.Value))
            {
                Report($"{op} came to {op.Outcome} {op.Value}, the model says {expected}");
            }
        }
    }

    private static LedgerOp Next(SimRandom random, LedgerModel model, string runId, int call)
    {
        switch (random.Below(10))
        {
            case < 4:
                // Some take a number again that has been used.
                return new LedgerOp(LedgerOpKind.Hold, model, runId,
                    random.Chance(95) ? call : Math.Max(1, call - random.Below(5)), 1 + random.Below(3_000), 0);
            case < 8 when model.ToClose.TryTake(out var hold):
                return new LedgerOp(
                    LedgerOpKind.Close, model, hold.RunId, hold.Call, hold.Amount, random.Below(6_000));
            default:
                var amount = random.Below(5_000) - 2_300;
                return new LedgerOp(LedgerOpKind.Adjust, model, runId, call, amount == 0 ? 1 : amount, 0);
        }
    }

    private async Task TakeAsync(Database database, CreditLedger ledger, LedgerOp op)
    {
        try
        {
            op.Value = await database.WriteAsync(session =>
            {
                op.Order = ++_order; // A batch that was rolled back is taken again; the last time counts.
                return Take(session, ledger, op);
            });
            op.Outcome = "";
        }
        catch (ApiException error)
        {
            op.Outcome = error.Code.Code;
        }
        catch (Exception error) when (error is StorageException or InvalidOperationException or SqliteException)
        {
            op.Outcome = "refused";
        }

        if (op is { Kind: LedgerOpKind.Hold, Outcome: "" })
        {
            op.Model.ToClose.Add(op);
        }
    }

    private static long Take(DbSession session, CreditLedger ledger, LedgerOp op)
    {
        var payer = op.Model.Payer;
        switch (op.Kind)
        {
            case LedgerOpKind.Hold:
                ledger.Hold(session, payer, op.RunId, op.Call, op.Amount, TimeProvider.System.GetUtcNow());
                return 0;
            case LedgerOpKind.Close:
                return ledger.Close(session, payer, new CallClosing(op.RunId, op.Call, op.Amount, op.Due)
                {
                    HeldAt = TimeProvider.System.GetUtcNow(),
                });
            default:
                return ledger.Adjust(session, payer.AccountId, payer.Mode, op.Amount, null).Balance;
        }
    }

    private void Check(Database database, LedgerModel model)
    {
        var (available, held) = database.Read(session => (
            CreditLedger.ReadAvailable(session, model.Payer.AccountId, model.Payer.Mode),
            session.Count("SELECT held FROM balances WHERE account_id = $1", model.Payer.AccountId)));
        if ((available, held) != (model.Available, model.Held))
        {
            Report($"{model.Payer.AccountId} has {available} and holds {held}, the model {model.Available} "
                + $"and {model.Held}");
        }
    }

    private void Report(string problem)
    {
        if (_problems.Count < ProblemsMax)
        {
            _problems.Add($"round {_rounds}: {problem}");
        }
    }
}
