using Reeve.Reliability.Load;
using Reeve.Server.Runs;
using Reeve.Server.Tests;

namespace Reeve.Reliability.Ledger;

/// <summary>
/// The same race through the door of a real server: runs that all want to begin at once, on a balance that covers few
/// of them at a time.
/// </summary>
internal static class RacingRuns
{
    private const int RunsAtOnce = 200;

    /// <summary>What every run of the mock provider costs: 40 tokens at 3 and 20 at 15 USD a million.</summary>
    private const long RunMicroUsd = 420;

    private const decimal BalanceUsd = 0.65m;

    internal static async Task<Score> RunAsync(Trial trial)
    {
        var rounds = trial.Count(1, 10, 100);
        await using var provider = await MockProvider.StartAsync();
        await using var slot = new ServerSlot();
        provider.Configure(slot.Folder);
        await slot.StartAsync();
        var agent = await slot.NewAgentAsync();
        using var client = new TestClient(slot.Process.Url, TestServer.AdminKey);
        var account = (await client.GetAsync("/v1/accounts/me")).Json.GetProperty("id").GetString();
        var problems = new List<string>();
        var (admitted, refused) = (0L, 0L);
        for (var round = 0; round < rounds; round++)
        {
            var before = await SetAsync(slot, client, account!, BalanceUsd);
            var calls = provider.Calls;
            var statuses = await Task.WhenAll(Enumerable.Range(0, RunsAtOnce).Select(async index =>
            {
                using var request = Dialect.Mesh.Run(slot.Process.Url, agent,
                    new MockPrompt { Pieces = 2, Pause = 5 }.Input($"race {index}"), asStream: false);
                using var answer = await slot.Http.SendAsync(request);
                return (int)answer.StatusCode;
            }));
            var ok = statuses.Count(static status => status == 200);
            (admitted, refused) = (admitted + ok, refused + statuses.Count(static status => status == 402));
            if (statuses.Any(static status => status is not (200 or 402)))
            {
                problems.Add($"round {round}: statuses {string.Join(", ", statuses.Distinct())}");
            }

            if (provider.Calls - calls != ok)
            {
                problems.Add($"round {round}: {ok} runs were admitted, {provider.Calls - calls} calls made");
            }

            var (available, held) = Balance(slot);
            if (available != before - (ok * RunMicroUsd) || held != 0)
            {
                problems.Add($"round {round}: {before} and {ok} runs left {available}, and {held} held");
            }
        }

        if (admitted == 0 || refused == 0)
        {
            problems.Add($"it was no race: {admitted} runs were admitted and {refused} refused");
        }

        problems.AddRange(slot.Read(new Verifier().Check).Select(static violation => violation.ToString()));
        return new Score(admitted + refused,
            FormattableString.Invariant($"{admitted:N0} racing runs admitted, {refused:N0} answered 402"), problems);
    }

    /// <summary>Sets the balance by an adjustment; answers it in micro-USD.</summary>
    private static async Task<long> SetAsync(ServerSlot slot, TestClient client, string account, decimal usd)
    {
        var change = FormattableString.Invariant($"{usd - (Balance(slot).Available / 1_000_000m)}");
        var answer = await client.PostAsync($"/v1/accounts/{account}/credits", $$"""{"amount_usd":{{change}}}""");
        return answer.Status == 201 ? Balance(slot).Available : throw new InvalidOperationException(answer.Text);
    }

    private static (long Available, long Held) Balance(ServerSlot slot) => slot.Read(static session => (
        session.Count("SELECT available FROM balances WHERE mode = 'live'"),
        session.Count("SELECT held FROM balances WHERE mode = 'live'")));
}
