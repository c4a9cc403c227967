using System.Text.Json;
using Reeve.Server.Runs;
using Reeve.Server.Tests.Runs;

namespace Reeve.Server.Tests.Clients;

/// <summary>A run that ended: what its caller got, and what the server wrote down.</summary>
internal sealed record RunOutcome(TestServer Server, string RunId, string Text, TestAnswer? Answer)
{
    internal IReadOnlyList<RunEventData> Events { get; } = [.. Server.Database.Read(session => session.List(
        "SELECT type, payload FROM run_events WHERE run_id = $1 ORDER BY seq",
        static row => RunEventCodec.Read(row.GetString(0), (byte[])row.GetValue(1)), RunId)).OfType<RunEventData>()];

    internal IReadOnlyList<ModelCallFinished> Calls => [.. Events.OfType<ModelCallFinished>()];

    internal string Output => string.Concat(Events.OfType<MessageDelta>().Select(static delta => delta.Text));

    internal async Task<JsonElement> ObjectAsync() => (await Server.Client.GetAsync($"/v1/runs/{RunId}")).Json;

    /// <summary>What was taken from the customer, entry by entry, in micro-USD.</summary>
    internal async Task<List<long>> SettledAsync() =>
    [
        .. (await Server.LedgerAsync("type=settle&limit=100")).EnumerateArray()
            .Where(entry => entry.GetProperty("run_id").GetString() == RunId)
            .Select(static entry => (long)(-entry.GetProperty("amount_usd").GetDecimal() * 1_000_000)),
    ];
}
