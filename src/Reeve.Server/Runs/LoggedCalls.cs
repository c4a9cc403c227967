namespace Reeve.Server.Runs;

/// <summary>What a model call moved, in micro-USD.</summary>
internal sealed record CallMoney(long Hold, long Release, long Settle, long Loss);

internal sealed record LoggedCall(CallMoney Money, bool IsFinished);

/// <summary>The money of a run's calls as its log tells it, for holding it against ledger and usage.</summary>
internal sealed class LoggedCalls
{
    internal Dictionary<int, LoggedCall> ByNumber { get; } = [];

    internal void Apply(RunEventData data)
    {
        switch (data)
        {
            case ModelCallStarted started:
                ByNumber[started.Call] = new LoggedCall(new CallMoney(started.Hold, 0, 0, 0), IsFinished: false);
                break;
            case ModelCallFinished finished when ByNumber.TryGetValue(finished.Call, out var call):
                ByNumber[finished.Call] = new LoggedCall(
                    new CallMoney(call.Money.Hold, call.Money.Hold, finished.Charged, finished.Lost), IsFinished: true);
                break;
            default:
                break; // The rest moves nothing.
        }
    }
}
