using System.Collections.Concurrent;
using Reeve.Server.Credits;

namespace Reeve.Reliability.Ledger;

internal enum LedgerOpKind
{
    Hold,
    Close,
    Adjust,
}

/// <summary>One operation on an account; what it came to is filled in by who takes it.</summary>
internal sealed record LedgerOp(
    LedgerOpKind Kind, LedgerModel Model, string RunId, int Call, long Amount, long Due)
{
    /// <summary>Its place among all operations, as the writer took them.</summary>
    internal long Order { get; set; }

    /// <summary>Empty when it was done, else the code of the error.</summary>
    internal string Outcome { get; set; } = "never taken";

    /// <summary>What a close charged or what balance an adjustment left, in micro-USD.</summary>
    internal long Value { get; set; }

    /// <summary>The same close with another due amount.</summary>
    internal LedgerOp Again(long due) => this with { Due = due };

    public override string ToString() => $"{Kind} {RunId} {Call} of {Amount}, due {Due}";
}

/// <summary>
/// An account as two numbers and a list of open holds; <paramref name="used"/> has the calls of all accounts that ever
/// held something.
/// </summary>
internal sealed class LedgerModel(Payer payer, HashSet<(string RunId, int Call)> used)
{
    private readonly Dictionary<(string, int), long> _open = [];
    private long _charged;

    internal Payer Payer => payer;

    internal long Available { get; private set; }

    internal long Held { get; private set; }

    /// <summary>Holds that the balance covered and a monthly budget of the payer did not.</summary>
    internal long OverBudget { get; private set; }

    /// <summary>Holds that racers know of and may close.</summary>
    internal ConcurrentBag<LedgerOp> ToClose { get; } = [];

    /// <summary>What an operation must come to now: the error's code or none, and the value.</summary>
    internal (string Outcome, long Value) Take(LedgerOp op) => op.Kind switch
    {
        LedgerOpKind.Hold => Hold(op),
        LedgerOpKind.Close => Close(op),
        _ => Adjust(op),
    };

    private (string, long) Hold(LedgerOp op)
    {
        var budget = Math.Min(payer.KeyBudget ?? long.MaxValue, payer.AccountBudget ?? long.MaxValue);
        if (op.Amount > Available || _charged + Held + op.Amount > budget)
        {
            OverBudget += op.Amount <= Available ? 1 : 0;
            return ("insufficient_funds", 0);
        }

        if (!used.Add((op.RunId, op.Call)))
        {
            return ("refused", 0);
        }

        _open.Add((op.RunId, op.Call), op.Amount);
        (Available, Held) = (Available - op.Amount, Held + op.Amount);
        return ("", 0);
    }

    // A close may charge up to twice the hold, as far as the balance covers it.
    private (string, long) Close(LedgerOp op)
    {
        if (!_open.Remove((op.RunId, op.Call), out var hold))
        {
            return ("refused", 0);
        }

        var due = Math.Min(op.Due, hold + Math.Min(hold, Available));
        (Available, Held, _charged) = (Available + hold - due, Held - hold, _charged + due);
        return ("", due);
    }

    private (string, long) Adjust(LedgerOp op)
    {
        if (Available + op.Amount < 0)
        {
            return ("conflict", 0);
        }

        Available += op.Amount;
        return ("", Available);
    }
}
