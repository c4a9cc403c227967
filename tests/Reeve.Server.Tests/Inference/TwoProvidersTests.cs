using Microsoft.AspNetCore.Http;
using Reeve.Server.Inference;
using Reeve.Server.Tests.Runs;

namespace Reeve.Server.Tests.Inference;

/// <summary>Two providers of other price, quality and latency: who is asked, why, what a death changes.</summary>
public sealed class TwoProvidersTests
{
    private static readonly TimeSpan Slow = TimeSpan.FromMilliseconds(900);
    private static readonly TimeSpan Quick = TimeSpan.FromMilliseconds(100);

    private TestServer _server = null!;
    private volatile bool _cheapIsDead;

    [Fact]
    public async Task Tiers_PickAsDocumentedAndSayWhy_AndADeadProviderIsLeftAndComesBack()
    {
        await using var cheap = await LoopbackProvider.StartAsync((context, _) => AnswerAsync(context, "cheap", Slow));
        await using var dear = await LoopbackProvider.StartAsync((context, _) => AnswerAsync(context, "dear", Quick));
        await using var server = _server = await TestServer.StartAsync(options => options with
        {
            Inference = new InferenceOptions
            {
                Providers =
                [
                    Provider("cheap", cheap.Address, quality: 55, inputUsd: 1),
                    Provider("dear", dear.Address, quality: 90, inputUsd: 10),
                ],
            },
        });

        Assert.Equal(("cheap", "cheapest"), await AskAsync("cheapest"));
        Assert.Equal(("dear", "best"), await AskAsync("best"));
        Assert.Equal(("cheap", "auto"), await AskAsync("auto"));
        Assert.Equal(("dear", "fast"), await AskAsync("fast"));
        Assert.Equal(("cheap", "direct"), await AskAsync("cheap/m"));
        Assert.Equal("cheap healthy, dear healthy", await HealthAsync());

        _cheapIsDead = true;
        Assert.Equal(("dear", "cheapest"), await AskAsync("cheapest"));
        Assert.Equal(("dear", "cheapest"), await AskAsync("cheapest"));
        Assert.Equal("cheap degraded, dear healthy", await HealthAsync());
        for (var i = 0; i < 5; i++)
        {
            var answer = await server.RunAsync(await server.NewAgentAsync("\"model\":\"cheap/m\""));
            Assert.Equal((503, "provider_unavailable"), (answer.Status, answer.ErrorCode));
        }

        var asked = cheap.Bodies.Count;
        Assert.Equal("cheap open, dear healthy", await HealthAsync());
        Assert.Equal(("dear", "cheapest"), await AskAsync("cheapest"));
        Assert.Equal(asked, cheap.Bodies.Count);

        _cheapIsDead = false;
        server.Time.Advance(TimeSpan.FromMinutes(2));
        Assert.Equal(("cheap", "cheapest"), await AskAsync("cheapest"));
        Assert.Equal("cheap healthy, dear healthy", await HealthAsync());
        await server.AssertSoundAsync();
    }

    /// <summary>Who answered, and the tier; the run object must say why.</summary>
    private async Task<(string? Answer, string? Tier)> AskAsync(string model)
    {
        var agent = await _server.NewAgentAsync($"\"model\":\"{model}\"");
        using var stream = await _server.OpenAsync(
            "POST", "/v1/agents/runs?stream=true", RunTestExtensions.Body(agent));
        await stream.ReadToEndAsync(TestContext.Current.CancellationToken);
        var run = (await _server.Client.GetAsync("/v1/runs?limit=1")).Json.GetProperty("data")[0];
        Assert.EndsWith(".", run.GetProperty("route_reason").GetString(), StringComparison.Ordinal);
        return (run.GetProperty("output").GetString(), run.GetProperty("route").GetProperty("tier").GetString());
    }

    private async Task<string> HealthAsync()
    {
        var answer = await _server.Client.GetAsync("/v1/providers/health");
        return string.Join(", ", answer.Json.GetProperty("data").EnumerateArray().Select(static one =>
            $"{one.GetProperty("provider").GetString()} {one.GetProperty("status").GetString()}"));
    }

    private async Task AnswerAsync(HttpContext context, string name, TimeSpan latency)
    {
        if (name == "cheap" && _cheapIsDead)
        {
            context.Abort();
            return;
        }

        _server.Time.Advance(latency);
        context.Response.ContentType = "text/event-stream";
        await context.Response.WriteAsync($$$"""
            data: {"choices":[{"index":0,"delta":{"content":"{{{name}}}"},"finish_reason":"stop"}]}

            data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12}}

            data: [DONE]


            """);
    }

    private static ProviderOptions Provider(string name, Uri address, int quality, decimal inputUsd) => new()
    {
        Name = name,
        Kind = ProviderKinds.OpenAI,
        BaseUrl = new Uri(address, "v1"),
        Models =
        [
            ScriptedChatClient.Model($"{name}/m", inputUsd, 5 * inputUsd) with
            {
                Provider = name,
                Upstream = "m",
                Quality = quality,
            },
        ],
    };
}
