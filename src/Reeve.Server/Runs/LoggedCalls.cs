namespace Reeve.Server.Runs;

/// <summary>What a model call moved, in micro-USD.</summary>
internal sealed record CallMoney(long Hold, long Release, long Settle, long Loss);

/// <summary>A model call in the log; <c>Finished</c> is null while it is open.</summary>
internal sealed record LoggedCall(
    ModelCallStarted Started, DateTimeOffset StartedAt, ModelCallFinished? Finished, DateTimeOffset FinishedAt)
{
    internal CallMoney Money => Finished is null
        ? new CallMoney(Started.Hold, 0, 0, 0)
        : new CallMoney(Started.Hold, Started.Hold, Finished.Charged, Finished.Lost);
}

/// <summary>A run's calls as its log tells them, for holding them against ledger and usage.</summary>
internal sealed class LoggedCalls
{
    internal Dictionary<int, LoggedCall> ByNumber { get; } = [];

    internal void Apply(RunEvent entry)
    {
        switch (entry.Data)
        {
            case ModelCallStarted started:
                ByNumber[started.Call] = new LoggedCall(started, entry.At, null, default);
                break;
            case ModelCallFinished finished when ByNumber.TryGetValue(finished.Call, out var call):
                ByNumber[finished.Call] = call with { Finished = finished, FinishedAt = entry.At };
                break;
            default:
                break; // The rest moves nothing.
        }
    }
}
