using System.Text.Json;
using Microsoft.Extensions.Logging;
using Reeve.Server.Inference;
using static Reeve.Server.Tests.Runs.ScriptedChatClient;

namespace Reeve.Server.Tests.Runs;

/// <summary>
/// What a lost race says of a provider: nothing, unless it is silent for as long as a provider may be. <c>mesh/a</c> is
/// cheapest and asked first, <c>mesh/b</c> beside it.
/// </summary>
public sealed class HedgingHealthTests : IDisposable
{
    private static readonly TimeSpan HedgeAfter = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan SilenceMax = new ProviderSettings().Timeout;
    private static readonly TimeSpan Cooldown =
        TimeSpan.FromMilliseconds(new ProviderSettings().CooldownMilliseconds);

    private readonly ScriptedChatClient _a = new();
    private readonly ScriptedChatClient _b = new();
    private TestServer? _server;

    public void Dispose()
    {
        _a.Dispose();
        _b.Dispose();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task DeadFirst_OpensItsCircuitAfterTheUsualNumberOfRaces(bool isStreamed)
    {
        _a.Reply(Never());
        _b.Reply("Quick.", Usage(10, 10));
        await using var server = await StartAsync();
        for (var race = 0; race < ProviderState.FailuresMin; race++)
        {
            Assert.Equal(("a healthy, b healthy", race), (await StatusAsync(), _a.Calls));
            await RaceAsync(isStreamed);
        }

        await PassAsync(SilenceMax);

        await ExpectAsync("a open, b healthy");
        await RaceAsync(isStreamed);
        Assert.Equal(ProviderState.FailuresMin, _a.Calls);
        Assert.Equal("timeout", (await HealthAsync("a")).GetProperty("last_error").GetProperty("code").GetString());
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task FirstThatTriesItsCircuit_AndLoses_OpensOrClosesIt()
    {
        await using var server = await StartAsync();
        await OpenAsync("a", _a);
        _b.Reply("Quick.", Usage(10, 10));
        await PassAsync(Cooldown);
        var asked = _a.Calls;

        _a.Reply(Never());
        await RaceAsync();
        Assert.Equal(asked + 1, _a.Calls);
        await PassAsync(SilenceMax);
        await ExpectAsync("a open, b healthy");

        await PassAsync(Cooldown);
        _a.Reply(Later(seconds: 5), "Slow.", Usage(10, 10));
        await RaceAsync();
        Assert.Equal(("a open, b healthy", asked + 2), (await StatusAsync(), _a.Calls)); // It is not known yet.
        await PassAsync(TimeSpan.FromSeconds(5));
        await ExpectAsync("a healthy, b healthy");
        Assert.Equal(0, (await HealthAsync("a")).GetProperty("error_rate").GetDouble());
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task SecondThatTriesItsCircuit_AndLoses_OpensOrClosesIt()
    {
        await using var server = await StartAsync();
        await OpenAsync("b", _b);
        await PassAsync(Cooldown);

        _a.Reply(Later(seconds: 2), "Slow.", Usage(10, 10));
        _b.Reply(Never());
        await RaceAsync();
        await PassAsync(SilenceMax);
        await ExpectAsync("a healthy, b open");

        await PassAsync(Cooldown);
        _b.Reply(Later(seconds: 5), "Slower.", Usage(10, 10));
        await RaceAsync();
        await PassAsync(TimeSpan.FromSeconds(5));
        await ExpectAsync("a healthy, b healthy");
        await server.AssertSoundAsync();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task SlowerFirst_LosesAndStaysHealthy(bool saysThatItLives)
    {
        // The second one thinks for longer than a provider may be silent, and is not silent.
        _a.Reply(saysThatItLives
            ? [new Microsoft.Extensions.AI.TextReasoningContent("Hm."), Never()]
            : [Later(seconds: 5), "Slow.", Usage(10, 10)]);
        _b.Reply("Quick.", Usage(10, 10));
        await using var server = await StartAsync();
        for (var race = 0; race < 2 * ProviderState.FailuresMin; race++)
        {
            await RaceAsync();
        }

        await PassAsync(SilenceMax);

        await Eventually.TrueAsync(async () => (await HealthAsync("a")).GetProperty("in_flight").GetInt32() == 0);
        Assert.Equal("a healthy, b healthy", await StatusAsync());
        Assert.Equal(0, (await HealthAsync("a")).GetProperty("error_rate").GetDouble());
        Assert.Equal(2 * ProviderState.FailuresMin, _a.Calls);
    }

    private static Task Never() => new TaskCompletionSource().Task;

    private Func<Task> Later(int seconds) => () => Task.Delay(TimeSpan.FromSeconds(seconds), _server!.Time);

    private async Task<TestServer> StartAsync() => _server = await TestServer.StartAsync(
        options => options with { Inference = options.Inference with { HedgeAfter = HedgeAfter } },
        builder =>
        {
            builder.Logging.ClearProviders();
            _a.AddTo(builder, Model("mesh/a", 1, 1));
            _b.AddTo(builder, Model("mesh/b", 2, 2));
        });

    /// <summary>Asks a provider alone, which fails, until its circuit is open.</summary>
    private async Task OpenAsync(string provider, ScriptedChatClient model)
    {
        model.Reply(new ProviderException(ProviderFault.Overloaded, "busy"));
        var agent = await _server!.NewAgentAsync($"\"model\":\"mesh/{provider}\"");
        for (var i = 0; i < ProviderState.FailuresMin; i++)
        {
            Assert.Equal(503, (await _server!.RunAsync(agent)).Status);
        }

        // The last caller has his answer before the provider is let go of.
        await Eventually.TrueAsync(async () =>
            (await HealthAsync(provider)).GetProperty("status").GetString() == "open");
    }

    /// <summary>A run to its end, which takes as long as the quicker of the two.</summary>
    private async Task RaceAsync(bool isStreamed = true)
    {
        var agent = await _server!.NewAgentAsync("\"model\":\"cheapest\"");
        await _server!.PassTimeUntilAsync(Step, async () =>
        {
            if (!isStreamed)
            {
                return (await _server!.RunAsync(agent)).Status;
            }

            using var stream = await _server!.OpenAsync(
                "POST", "/v1/agents/runs?stream=true", RunTestExtensions.Body(agent));
            Assert.Contains("run.completed", await stream.ReadToEndAsync(RunTestExtensions.Cancellation),
                StringComparison.Ordinal);
            return 200;
        });
    }

    /// <summary>
    /// Lets time pass at once. A commit that this falls into looks slow; one more shows that the disk is not, for a
    /// server whose disk is slow refuses work.
    /// </summary>
    private async Task PassAsync(TimeSpan time)
    {
        _server!.Time.Advance(time);
        await _server.Database.ProbeAsync();
    }

    private Task ExpectAsync(string status) => Eventually.TrueAsync(async () => await StatusAsync() == status);

    private async Task<string> StatusAsync() => string.Join(", ", (await ReportsAsync()).Select(static one =>
        $"{one.GetProperty("provider").GetString()} {one.GetProperty("status").GetString()}"));

    private async Task<JsonElement> HealthAsync(string provider) =>
        (await ReportsAsync()).First(one => one.GetProperty("provider").GetString() == provider);

    private async Task<IEnumerable<JsonElement>> ReportsAsync() =>
        (await _server!.Client.GetAsync("/v1/providers/health")).Json.GetProperty("data").EnumerateArray();
}
