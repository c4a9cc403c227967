using Reeve.Server.Credits;
using Reeve.Server.Http;
using Reeve.Server.Storage;

namespace Reeve.Server.Tests.Credits;

/// <summary>Each entry of the ledger as it is written, and the bounds of a hold and of a charge.</summary>
public sealed class CreditLedgerTests
{
    private static readonly DateTimeOffset November = TestServer.StartTime;
    private static readonly DateTimeOffset December = new(2026, 12, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public async Task HoldAndClose_WriteTheEntriesOfTheCall()
    {
        await using var books = await Books.OpenAsync(1_000);

        await books.HoldAsync(1, 300);
        var charged = await books.CloseAsync(1, 300, 120, 7);

        Assert.Equal(120, charged);
        Assert.Equal(
            [
                "topup grants>customer_available 1000 +1000 =1000 call  receipt  note Starting balance",
                "hold customer_available>customer_held 300 -300 =700 call 1 receipt  note ",
                "release customer_held>customer_available 300 +300 =1000 call 1 receipt r note ",
                "settle customer_available>revenue 120 -120 =880 call 1 receipt r note ",
                "loss operator_loss>provider 7 +0 =880 call 1 receipt  note ",
            ],
            books.Entries());
        Assert.Equal((880, 0), books.Balance());
        Assert.Equal("2026-11 tokens 9 charged 120 held 0", Assert.Single(books.Months()));
    }

    [Theory]
    [InlineData(300, 300, 0)]
    [InlineData(301, 301, 0)] // One above the hold comes from the balance,
    [InlineData(600, 600, 0)]
    [InlineData(601, 600, 1)] // but at most as much again as the hold.
    public async Task Close_AboveTheHold_TakesAsMuchAgainAtMost(long due, long charged, long lost)
    {
        await using var books = await Books.OpenAsync(1_000);
        await books.HoldAsync(1, 300);

        Assert.Equal(charged, await books.CloseAsync(1, 300, due));
        Assert.Equal(lost, books.Lost());
    }

    [Theory]
    [InlineData(400, 350, 350)] // The cap of the run,
    [InlineData(400, 250, 300)] // which a hold that was let in may pass,
    [InlineData(900, long.MaxValue, 400)] // and what is available.
    public async Task Close_AboveTheHold_StopsAtTheCapAndAtTheBalance(long due, long cap, long charged)
    {
        await using var books = await Books.OpenAsync(400);
        await books.HoldAsync(1, 300);

        Assert.Equal(charged, await books.CloseAsync(1, 300, due, cap: cap));
        Assert.Equal(due - charged, books.Lost());
        Assert.Equal((400 - charged, 0), books.Balance());
    }

    [Fact]
    public async Task Close_WithNothingDue_WritesNoSettle()
    {
        await using var books = await Books.OpenAsync(1_000);
        await books.HoldAsync(1, 300);

        Assert.Equal(0, await books.CloseAsync(1, 300, 0));
        Assert.DoesNotContain(books.Entries(), entry => entry.StartsWith("settle", StringComparison.Ordinal));
        Assert.Equal((1_000, 0), books.Balance());
    }

    [Fact]
    public async Task Call_ThatCostsNothing_HoldsNothingAndCountsItsTokens()
    {
        await using var books = await Books.OpenAsync(0);

        await books.HoldAsync(1, 0);
        await books.CloseAsync(1, 0, 0);

        Assert.Empty(books.Entries());
        Assert.Equal("2026-11 tokens 9 charged 0 held 0", Assert.Single(books.Months()));
    }

    [Fact]
    public async Task Call_OfTheSmallestAmount_IsHeldAndSettled()
    {
        await using var books = await Books.OpenAsync(1);

        await books.HoldAsync(1, 1);
        Assert.Equal((0, 1), books.Balance());
        await Assert.ThrowsAsync<InvalidOperationException>(() => books.CloseAsync(2, 1, 1));
        Assert.Equal(1, await books.CloseAsync(1, 1, 1));

        Assert.Equal((0, 0), books.Balance());
        Assert.Equal(["topup", "hold", "release", "settle"], books.Entries().Select(static one => one.Split(' ')[0]));
    }

    [Fact]
    public async Task Close_OfAnotherAmountThanTheHold_ChangesNothing()
    {
        await using var books = await Books.OpenAsync(1_000);
        await books.HoldAsync(1, 300);

        await Assert.ThrowsAsync<InvalidOperationException>(() => books.CloseAsync(1, 299, 10));
        await Assert.ThrowsAsync<InvalidOperationException>(() => books.CloseAsync(2, 300, 10));
        Assert.Equal((700, 300), books.Balance());
    }

    [Fact]
    public async Task Close_InTheNextMonth_MovesTheHoldOutOfItsMonthAndChargesThisOne()
    {
        await using var books = await Books.OpenAsync(1_000);
        await books.HoldAsync(1, 300);
        await books.HoldAsync(2, 50);
        books.Server.Time.SetUtcNow(December);

        await books.CloseAsync(1, 300, 120);

        Assert.Equal(
            ["2026-11 tokens 0 charged 0 held 50", "2026-12 tokens 9 charged 120 held 0"], books.Months());
        await books.CloseAsync(2, 50, 50);
        Assert.Equal(
            ["2026-11 tokens 0 charged 0 held 0", "2026-12 tokens 18 charged 170 held 0"], books.Months());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Hold_UnderAMonthlyBudget_MayReachItButNotPassIt(bool isOfKey)
    {
        await using var books = await Books.OpenAsync(1_000);
        books.Payer = isOfKey ? books.Payer with { KeyBudget = 200 } : books.Payer with { AccountBudget = 200 };
        await books.HoldAsync(1, 100);
        await books.CloseAsync(1, 100, 40);
        await books.HoldAsync(2, 100);

        var refused = await Assert.ThrowsAsync<ApiException>(() => books.HoldAsync(3, 61));
        await books.HoldAsync(4, 60);

        Assert.Equal((402, "limits.monthlyUsdLimit"), (refused.Code.Status, refused.Param));
        Assert.Contains(isOfKey ? "key" : "account", refused.Message, StringComparison.Ordinal);
        books.Payer = books.Payer with { KeyId = "another" };
        if (isOfKey)
        {
            await books.HoldAsync(5, 1);
        }
        else
        {
            await Assert.ThrowsAsync<ApiException>(() => books.HoldAsync(5, 1));
        }

        books.Server.Time.SetUtcNow(December);
        await books.HoldAsync(6, 200); // A new month.
    }

    [Fact]
    public async Task Hold_OfTheWholeBalance_IsTakenAndOneMoreIsNot()
    {
        await using var books = await Books.OpenAsync(1_000);

        var refused = await Assert.ThrowsAsync<ApiException>(() => books.HoldAsync(1, 1_001));
        await books.HoldAsync(1, 1_000);

        Assert.Equal((402, null), (refused.Code.Status, refused.Param));
        Assert.Equal((0, 1_000), books.Balance());
    }

    private sealed class Books(TestServer server, string account) : IAsyncDisposable
    {
        private const string Mode = "live";
        private const string Run = "run_1";

        internal TestServer Server => server;

        internal Payer Payer { get; set; } = new(account, Mode, "key");

        private CreditLedger Ledger => server.Service<CreditLedger>();

        internal static async Task<Books> OpenAsync(long microUsd)
        {
            var server = await TestServer.StartAsync();
            var books = new Books(server, server.Service<IdGenerator>().New(Id.Account));
            await server.Database.WriteAsync(session =>
                books.Ledger.Open(session, books.Payer.AccountId, Mode, microUsd));
            await server.Database.WriteAsync(session =>
                books.Ledger.Open(session, books.Payer.AccountId, "test", 5_000)); // Never touched here.
            return books;
        }

        internal Task HoldAsync(int call, long amount) => server.Database.WriteAsync(session =>
            Ledger.Hold(session, Payer, Run, call, amount, server.Time.GetUtcNow()));

        internal Task<long> CloseAsync(int call, long hold, long due, long lost = 0, long cap = long.MaxValue) =>
            server.Database.WriteAsync(session => Ledger.Close(session, Payer, new CallClosing(Run, call, hold, due)
            {
                Lost = lost,
                Tokens = 9,
                Cap = cap,
                HeldAt = November,
                ReceiptId = "r",
            }));

        internal List<string> Entries() => server.Database.Read(session => session.List(
            "SELECT type, debit, credit, amount, change, balance, call, receipt_id, note, created_at "
            + "FROM ledger_entries WHERE account_id = $1 AND mode = 'live' ORDER BY id",
            row =>
            {
                Assert.Equal(server.Time.GetUtcNow(), row.Time(9));
                return FormattableString.Invariant($"{row.GetString(0)} {row.GetString(1)}>{row.GetString(2)} ")
                    + FormattableString.Invariant($"{row.GetInt64(3)} {row.GetInt64(4):+0;-0;+0} ={row.GetInt64(5)} ")
                    + $"call {row.LongOrNull(6)} receipt {row.StringOrNull(7)} note {row.StringOrNull(8)}";
            },
            Payer.AccountId));

        internal List<string> Months() => server.Database.Read(session => session.List(
            "SELECT month, tokens, charged, held FROM key_months WHERE account_id = $1 ORDER BY month",
            static row => $"{row.GetString(0)} tokens {row.GetInt64(1)} charged {row.GetInt64(2)} "
                + $"held {row.GetInt64(3)}",
            Payer.AccountId));

        internal (long Available, long Held) Balance()
        {
            Assert.Equal(5_000, server.Database.Read(session =>
                CreditLedger.ReadAvailable(session, Payer.AccountId, "test")));
            return server.Database.Read(session => session.Single(
                "SELECT available, held FROM balances WHERE account_id = $1 AND mode = 'live'",
                static row => (row.GetInt64(0), row.GetInt64(1)), Payer.AccountId));
        }

        internal long Lost() => server.Database.Read(session => session.Count(
            "SELECT sum(amount) FROM ledger_entries WHERE account_id = $1 AND type = 'loss'", Payer.AccountId));

        public ValueTask DisposeAsync() => server.DisposeAsync();
    }
}
