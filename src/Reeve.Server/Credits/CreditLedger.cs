using System.Globalization;
using Reeve.Server.Http;
using Reeve.Server.Storage;

namespace Reeve.Server.Credits;

/// <summary>Sees what is available after each charge and each change by the operator, in their transaction.</summary>
internal delegate void BalanceWatch(
    DbSession session, string accountId, string mode, long available, bool isTopUp);

/// <summary>
/// Double entry in integer micro-USD. Every entry is a transfer between two books, so the books always sum to zero.
/// </summary>
/// <remarks>
/// <code>
///            topup                  hold                          settle
///  grants ──────────▶ customer_available ────▶ customer_held   available ────▶ revenue
///         ◀──────────                    ◀────                 operator_loss ────▶ provider
///          adjustment                release
/// </code>
/// A hold is closed by one <c>release</c> of the whole and one <c>settle</c> of the true cost, in the transaction that
/// also holds the run's events. The unique index on (run, call, type) lets each happen once. All methods run inside a
/// write and throw before they change anything.
/// </remarks>
internal sealed class CreditLedger(IdGenerator ids, TimeProvider time, BalanceWatch? watch = null)
{
    internal const string Available = "customer_available";
    internal const string Held = "customer_held";
    internal const string Revenue = "revenue";
    internal const string Grants = "grants";
    internal const string OperatorLoss = "operator_loss";
    internal const string Provider = "provider";

    /// <summary>From where to where an entry of each type goes.</summary>
    internal static readonly Dictionary<string, (string Debit, string Credit)> Books = new(StringComparer.Ordinal)
    {
        ["topup"] = (Grants, Available),
        ["adjustment"] = (Available, Grants),
        ["hold"] = (Available, Held),
        ["release"] = (Held, Available),
        ["settle"] = (Available, Revenue),
        ["loss"] = (OperatorLoss, Provider),
    };

    /// <summary>
    /// Reserves the estimate of a model call at the time of its event; 402 when balance or budget does not cover it.
    /// </summary>
    internal void Hold(DbSession session, Payer payer, string runId, int call, long amount, DateTimeOffset now)
    {
        if (amount == 0)
        {
            return;
        }

        var month = Month(now);
        CheckBudgets(session, payer, month, amount);
        if (session.ExecuteNumber(
            "UPDATE balances SET available = available - $1, held = held + $1 "
            + "WHERE account_id = $2 AND mode = $3 AND available >= $1 RETURNING available",
            amount, payer.AccountId, payer.Mode) is not { } balance)
        {
            throw new ApiException(ApiErrorCodes.InsufficientFunds,
                "The balance does not cover the estimate that this call would hold.");
        }

        Append(session, payer.AccountId, payer.Mode, new Entry("hold", Available, Held, amount)
        {
            Change = -amount,
            Balance = balance,
            RunId = runId,
            Call = call,
        }, now);
        session.Execute(
            "INSERT INTO key_months (key_id, month, account_id, held) VALUES ($1, $2, $3, $4) "
            + "ON CONFLICT (key_id, month) DO UPDATE SET held = held + excluded.held",
            payer.KeyId, month, payer.AccountId, amount);
    }

    /// <summary>
    /// Closes the hold of a call. What is due above the hold comes from the available balance, at most as much again as
    /// the hold; the rest is the operator's loss. Answers what was charged.
    /// </summary>
    internal long Close(DbSession session, Payer payer, CallClosing closing)
    {
        RequireHold(session, closing);
        var now = time.GetUtcNow();
        var due = closing.Due;
        if (due > closing.Hold)
        {
            var available = ReadAvailable(session, payer.AccountId, payer.Mode);
            due = closing.Hold + Math.Min(due - closing.Hold, Math.Min(closing.Hold, available));
            due = Math.Min(due, Math.Max(closing.Cap, closing.Hold));
        }

        if (closing.Hold > 0)
        {
            var balance = session.ExecuteNumber(
                "UPDATE balances SET available = available + $1, held = held - $2 "
                + "WHERE account_id = $3 AND mode = $4 RETURNING available",
                closing.Hold - due, closing.Hold, payer.AccountId, payer.Mode)!.Value;
            Append(session, payer.AccountId, payer.Mode, new Entry("release", Held, Available, closing.Hold)
            {
                Change = closing.Hold,
                Balance = balance + due,
                RunId = closing.RunId,
                Call = closing.Call,
                ReceiptId = closing.ReceiptId,
            }, now);
            if (due > 0)
            {
                Append(session, payer.AccountId, payer.Mode, new Entry("settle", Available, Revenue, due)
                {
                    Change = -due,
                    Balance = balance,
                    RunId = closing.RunId,
                    Call = closing.Call,
                    ReceiptId = closing.ReceiptId,
                }, now);
                watch?.Invoke(session, payer.AccountId, payer.Mode, balance, isTopUp: false);
            }
        }

        BookLoss(session, payer, closing, closing.Due - due + closing.Lost, now);
        CountMonth(session, payer, closing, due, now);
        return due;
    }

    /// <summary>The first balance of an account.</summary>
    internal void Open(DbSession session, string accountId, string mode, long microUsd)
    {
        session.Execute(
            "INSERT INTO balances (account_id, mode, available, held) VALUES ($1, $2, 0, 0)", accountId, mode);
        if (microUsd > 0)
        {
            Adjust(session, accountId, mode, microUsd, "Starting balance");
        }
    }

    /// <summary>Adds to a balance, or takes from it down to what is available (409 below that).</summary>
    internal LedgerEntry Adjust(DbSession session, string accountId, string mode, long microUsd, string? note)
    {
        if (session.ExecuteNumber(
            "UPDATE balances SET available = available + $1 WHERE account_id = $2 AND mode = $3 "
            + "AND available + $1 >= 0 RETURNING available",
            microUsd, accountId, mode) is not { } balance)
        {
            throw new ApiException(ApiErrorCodes.Conflict,
                "The balance can be lowered by what is available at most.", "amount_usd");
        }

        var entry = microUsd > 0
            ? new Entry("topup", Grants, Available, microUsd)
            : new Entry("adjustment", Available, Grants, -microUsd);
        watch?.Invoke(session, accountId, mode, balance, isTopUp: microUsd > 0);
        return Append(session, accountId, mode,
            entry with { Change = microUsd, Balance = balance, Note = note }, time.GetUtcNow());
    }

    /// <summary>Micro-USD that can be held or spent.</summary>
    internal static long ReadAvailable(DbSession session, string accountId, string mode) =>
        session.Count("SELECT available FROM balances WHERE account_id = $1 AND mode = $2", accountId, mode);

    internal static string Month(DateTimeOffset now) =>
        now.UtcDateTime.ToString("yyyy-MM", CultureInfo.InvariantCulture);

    private static void CheckBudgets(DbSession session, Payer payer, string month, long amount)
    {
        if (payer.KeyBudget is { } keyBudget && amount + session.Count(
            "SELECT charged + held FROM key_months WHERE key_id = $1 AND month = $2", payer.KeyId, month) > keyBudget)
        {
            throw new ApiException(ApiErrorCodes.InsufficientFunds,
                "The key's monthly USD limit does not cover the estimate.", "limits.monthlyUsdLimit");
        }

        if (payer.AccountBudget is { } accountBudget && amount + session.Count(
            "SELECT SUM(charged + held) FROM key_months WHERE account_id = $1 AND month = $2",
            payer.AccountId, month) > accountBudget)
        {
            throw new ApiException(ApiErrorCodes.InsufficientFunds,
                "The account's monthly USD limit does not cover the estimate.", "limits.monthlyUsdLimit");
        }
    }

    // The sum that is held would also cover a call that holds nothing itself.
    private static void RequireHold(DbSession session, CallClosing closing)
    {
        if (closing.Hold > 0 && session.Count(
            "SELECT amount FROM ledger_entries WHERE run_id = $1 AND call = $2 AND type = 'hold'",
            closing.RunId, closing.Call) != closing.Hold)
        {
            throw new InvalidOperationException(
                $"Call {closing.Call} of {closing.RunId} does not hold the {closing.Hold} micro-USD to be closed.");
        }
    }

    private void BookLoss(DbSession session, Payer payer, CallClosing closing, long loss, DateTimeOffset now)
    {
        if (loss > 0)
        {
            Append(session, payer.AccountId, payer.Mode, new Entry("loss", OperatorLoss, Provider, loss)
            {
                Balance = ReadAvailable(session, payer.AccountId, payer.Mode),
                RunId = closing.RunId,
                Call = closing.Call,
            }, now);
        }
    }

    // The hold leaves the month in which it was taken, the charge counts in the month in which it was made.
    private static void CountMonth(
        DbSession session, Payer payer, CallClosing closing, long charged, DateTimeOffset now)
    {
        var month = Month(now);
        var heldIn = Month(closing.HeldAt);
        var heldHere = heldIn == month ? closing.Hold : 0;
        session.Execute(
            "INSERT INTO key_months (key_id, month, account_id, tokens, charged) VALUES ($1, $2, $3, $4, $5) "
            + "ON CONFLICT (key_id, month) DO UPDATE SET tokens = tokens + excluded.tokens, "
            + "charged = charged + excluded.charged, held = held - $6",
            payer.KeyId, month, payer.AccountId, closing.Tokens, charged, heldHere);
        if (heldHere != closing.Hold)
        {
            session.Execute("UPDATE key_months SET held = held - $1 WHERE key_id = $2 AND month = $3",
                closing.Hold, payer.KeyId, heldIn);
        }
    }

    private LedgerEntry Append(DbSession session, string accountId, string mode, Entry entry, DateTimeOffset now)
    {
        var id = ids.New(Id.Event);
        session.Execute(
            "INSERT INTO ledger_entries (id, account_id, mode, type, debit, credit, amount, change, balance, run_id, "
            + "call, receipt_id, note, created_at) "
            + "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            id, accountId, mode, entry.Type, entry.Debit, entry.Credit, entry.Amount, entry.Change, entry.Balance,
            entry.RunId, entry.Call, entry.ReceiptId, entry.Note, now.ToUnixTimeMilliseconds());
        return new LedgerEntry(
            id, entry.Type, entry.Change, entry.Balance, mode, entry.RunId, entry.ReceiptId, entry.Note, now);
    }

    private sealed record Entry(string Type, string Debit, string Credit, long Amount)
    {
        internal long Change { get; init; }

        internal long Balance { get; init; }

        internal string? RunId { get; init; }

        internal int? Call { get; init; }

        internal string? ReceiptId { get; init; }

        internal string? Note { get; init; }
    }
}

/// <summary>
/// The end of one model call for the ledger. <c>Lost</c> is the cost of an attempt nobody is charged for.
/// </summary>
internal sealed record CallClosing(string RunId, int Call, long Hold, long Due)
{
    internal long Lost { get; init; }

    internal long Tokens { get; init; }

    /// <summary>What is left under the run's <c>max_credits</c>; more is the operator's, whatever was used.</summary>
    internal long Cap { get; init; } = long.MaxValue;

    internal required DateTimeOffset HeldAt { get; init; }

    internal string? ReceiptId { get; init; }
}

/// <summary>An entry as the account sees it: <c>Change</c> is its effect on the available balance.</summary>
internal sealed record LedgerEntry(
    string Id, string Type, long Change, long Balance, string Mode, string? RunId, string? ReceiptId, string? Note,
    DateTimeOffset CreatedAt);
