using System.Text.Json;

namespace Reeve.Bench;

/// <summary>
/// A fast wrong answer is no result: after the load every run must have been settled once, at exactly its price, and
/// the balance must be what the entries say.
/// </summary>
internal sealed class LedgerCheck(ReeveApi api, TimeProvider time)
{
    private const decimal RunUsd =
        ((MockModels.PromptTokens * ReeveSetup.InputUsdPerMillion)
            + (MockModels.AnswerTokens * ReeveSetup.OutputUsdPerMillion)) / 1_000_000m;

    private static readonly TimeSpan DrainMax = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan DrainPoll = TimeSpan.FromMilliseconds(100);

    /// <summary>
    /// <paramref name="answered"/> runs were answered; at most <paramref name="cutMax"/> more were still under way when
    /// the load generator hung up, and go on without their reader.
    /// </summary>
    internal async Task<LedgerResult> RunAsync(long answered, long cutMax, CancellationToken cancellationToken)
    {
        var account = await DrainedAccountAsync(cancellationToken);
        var balance = account.GetProperty("balanceUsd").GetDecimal();
        var (entries, sum) = await SumSettledAsync(cancellationToken);
        if (balance != ReeveSetup.StartingBalanceUsd + sum)
        {
            throw new BenchException($"The balance is {balance}, but the settled entries sum to {sum}.");
        }

        if (entries < answered || entries > answered + cutMax)
        {
            throw new BenchException(
                $"{answered} runs were answered and at most {cutMax} cut off, but {entries} were settled.");
        }

        return new LedgerResult { Settled = entries, SettledUsd = -sum, BalanceUsd = balance };
    }

    private async Task<JsonElement> DrainedAccountAsync(CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        while (true)
        {
            var account = await api.GetAsync("/v1/accounts/me", cancellationToken);
            var held = account.GetProperty("held_usd").GetDecimal();
            if (held == 0)
            {
                return account;
            }

            if (time.GetElapsedTime(started) > DrainMax)
            {
                throw new BenchException($"{held} USD are still held after the load.");
            }

            await Task.Delay(DrainPoll, time, cancellationToken);
        }
    }

    private async Task<(long Entries, decimal Sum)> SumSettledAsync(CancellationToken cancellationToken)
    {
        var entries = 0L;
        var sum = 0m;
        var after = "";
        while (true)
        {
            var page = await api.GetAsync($"/v1/ledger?type=settle&mode=live&limit=100{after}", cancellationToken);
            foreach (var entry in page.GetProperty("data").EnumerateArray())
            {
                var amount = entry.GetProperty("amount_usd").GetDecimal();
                if (amount != -RunUsd)
                {
                    throw new BenchException(
                        $"{entry.GetProperty("run_id")} was settled at {amount} USD instead of {-RunUsd}.");
                }

                entries++;
                sum += amount;
            }

            if (!page.GetProperty("has_more").GetBoolean())
            {
                return (entries, sum);
            }

            after = $"&after={page.GetProperty("next_cursor").GetString()}";
        }
    }
}
