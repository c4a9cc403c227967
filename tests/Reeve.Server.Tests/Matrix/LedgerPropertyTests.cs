using CsCheck;
using Microsoft.Extensions.Logging;
using Reeve.Server.Credits;
using Reeve.Server.Http;
using Reeve.Server.Runs;
using Reeve.Server.Storage;

namespace Reeve.Server.Tests.Matrix;

/// <summary>The ledger against a model of three numbers and a list of open holds.</summary>
public sealed class LedgerPropertyTests
{
    private const string Mode = "live";

    private static readonly Gen<LedgerStep[]> Steps = Gen.Select(
        Gen.Int[0, 9], Gen.Int[0, 5], Gen.Long[-2_000, 3_000], Gen.Long[0, 4_000],
        (kind, call, amount, due) => new LedgerStep(kind, call, amount, due)).Array[1, 40];

    [Fact]
    public async Task Ledger_AnySequence_AgreesWithTheModel()
    {
        await using var server = await TestServer.StartAsync(configure: builder => builder.Logging.ClearProviders());
        var ids = server.Service<IdGenerator>();
        await Steps.SampleAsync(
            async steps =>
            {
                var account = ids.New(Id.Account);
                var model = new LedgerModel(server, new Payer(account, Mode, ids.New(Id.Key)), ids.New(Id.Run));
                await server.Database.WriteAsync(session => model.Ledger.Open(session, account, Mode, 0));
                foreach (var step in steps)
                {
                    await model.TakeAsync(step);
                }
            },
            iter: 400, threads: 1);

        // The keys of this test have no runs to compare their months with; all else must agree.
        Assert.DoesNotContain(server.Database.Read(new Verifier().Check),
            violation => !violation.Subject.StartsWith("key_", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Ledger_Rows_CannotBeChangedOrDeleted()
    {
        await using var server = await TestServer.StartAsync(configure: builder => builder.Logging.ClearProviders());
        foreach (var sql in new[]
        {
            "UPDATE ledger_entries SET amount = amount + 1", "DELETE FROM ledger_entries",
            "UPDATE run_events SET epoch = 9", "DELETE FROM run_events", "UPDATE run_events SET payload = x'00'",
        })
        {
            var before = TenantWorld.RowCounts(server);
            if (sql.Contains("ledger", StringComparison.Ordinal))
            {
                await Assert.ThrowsAnyAsync<Exception>(() => server.Database.WriteAsync(session =>
                    session.Execute(sql)));
            }

            Assert.Equal(before, TenantWorld.RowCounts(server));
        }
    }

    private sealed record LedgerStep(int Kind, int Call, long Amount, long Due);

    private sealed class LedgerModel(TestServer server, Payer payer, string runId)
    {
        private readonly Dictionary<int, long> _open = [];
        private readonly HashSet<int> _used = [];
        private long _available;

        internal CreditLedger Ledger { get; } = server.Service<CreditLedger>();

        internal async Task TakeAsync(LedgerStep step)
        {
            var before = Entries();
            var changes = step.Kind switch
            {
                <= 2 => await HoldAsync(step),
                <= 7 => await CloseAsync(step),
                _ => await AdjustAsync(step),
            };
            var (available, held) = server.Database.Read(session => (
                session.Count("SELECT available FROM balances WHERE account_id = $1 AND mode = $2", payer.AccountId,
                    Mode),
                session.Count("SELECT held FROM balances WHERE account_id = $1 AND mode = $2", payer.AccountId, Mode)));
            Assert.Equal((_available, _open.Values.Sum()), (available, held));
            Assert.True(available >= 0 && held >= 0);
            Assert.True(changes || before == Entries(), "A refused step left entries.");
            Assert.Equal(_available, server.Database.Read(session => session.Count(
                "SELECT sum(change) FROM ledger_entries WHERE account_id = $1", payer.AccountId)));
            Assert.Equal(_open.Values.Sum(), server.Database.Read(session => session.Count(
                "SELECT held FROM key_months WHERE key_id = $1", payer.KeyId)));
        }

        private async Task<bool> HoldAsync(LedgerStep step)
        {
            var amount = Math.Abs(step.Amount);
            var fits = amount <= _available && !_used.Contains(step.Call) && amount > 0;
            var done = await TryAsync(session =>
            {
                Ledger.Hold(session, payer, runId, step.Call, amount, server.Time.GetUtcNow());
                return 0;
            });
            Assert.Equal(amount == 0 || fits, done is not null);
            if (fits)
            {
                _available -= amount;
                _open[step.Call] = amount;
                _used.Add(step.Call);
            }

            return fits;
        }

        /// <summary>A second close of a call, and one of a call that was never held, must change nothing.</summary>
        private async Task<bool> CloseAsync(LedgerStep step)
        {
            var isOpen = _open.TryGetValue(step.Call, out var hold);
            var asked = isOpen ? hold : Math.Max(1, Math.Abs(step.Amount));
            var charged = await TryAsync(session => Ledger.Close(session, payer,
                new CallClosing(runId, step.Call, asked, step.Due) { HeldAt = server.Time.GetUtcNow() }));
            if (!isOpen)
            {
                Assert.True(charged is null, $"A close without a hold of call {step.Call} charged {charged}.");
                return false;
            }

            var due = Math.Min(step.Due, hold + Math.Min(hold, _available));
            Assert.Equal(due, charged);
            _available += hold - due;
            _open.Remove(step.Call);
            return true;
        }

        private async Task<bool> AdjustAsync(LedgerStep step)
        {
            if (step.Amount == 0)
            {
                return false;
            }

            var fits = _available + step.Amount >= 0;
            var done = await TryAsync(session => Ledger.Adjust(session, payer.AccountId, Mode, step.Amount,
                null).Balance);
            Assert.Equal(fits ? _available + step.Amount : null, done);
            _available += fits ? step.Amount : 0;
            return fits;
        }

        private async Task<long?> TryAsync(Func<DbSession, long> work)
        {
            try
            {
                return await server.Database.WriteAsync(work);
            }
            catch (Exception error) when (error is ApiException or StorageException or InvalidOperationException)
            {
                return null;
            }
        }

        private long Entries() => server.Database.Read(session => session.Count(
            "SELECT count(*) FROM ledger_entries WHERE account_id = $1", payer.AccountId));
    }
}
