using Reeve.Server.Inference;
using Reeve.Server.Runs;
using Reeve.Server.Tests.Runs;

namespace Reeve.Server.Tests.Clients;

/// <summary>
/// Every protocol against a stand-in that others wrote, entering where users enter: what it answers well, and each way
/// in which it fails, as JSON and as a stream.
/// </summary>
public sealed class ProviderMatrixTests(ProviderServer providers) : IClassFixture<ProviderServer>
{
    /// <summary>The stand-in writes zeros as the usage of this protocol, whatever it is told.</summary>
    private const string Uncounted = "ollama";

    public static TheoryData<string, bool> All
    {
        get
        {
            var data = new TheoryData<string, bool>();
            foreach (var kind in ProviderServer.Kinds)
            {
                data.Add(kind, false);
                data.Add(kind, true);
            }

            return data;
        }
    }

    /// <summary>What to say to the stand-in, the fault, and the seconds to wait.</summary>
    public static TheoryData<string, bool, string, string, int> Failures
    {
        get
        {
            var data = new TheoryData<string, bool, string, string, int>();
            foreach (var (kind, streamed) in All.Select(static row => row.Data))
            {
                data.Add(kind, streamed, "fail with 500", nameof(ProviderFault.Overloaded), 5);
                data.Add(kind, streamed, "fail with 401", nameof(ProviderFault.Refused), 5);
                data.Add(kind, streamed, "fail with 429", nameof(ProviderFault.RateLimited), 7);
                data.Add(kind, streamed, "drop the request", nameof(ProviderFault.Overloaded), 5);
                data.Add(kind, streamed, "limit the rate", nameof(ProviderFault.RateLimited), 1);
                data.Add(kind, streamed, "send malformed JSON", nameof(ProviderFault.Malformed), 5);
                data.Add(kind, streamed, "cut the connection", nameof(ProviderFault.Unreachable), 5);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task Run_Answer_IsWholeAndChargedOnce(string kind, bool streamed)
    {
        var run = await providers.RunAsync(kind, "Hi", streamed);

        Assert.Equal("Hello from the mock 🦊, Grüße und 東京.", run.Output);
        Assert.Contains("run.completed", streamed ? run.Text : "run.completed", StringComparison.Ordinal);
        Assert.Equal("completed", (await run.ObjectAsync()).GetProperty("status").GetString());
        Assert.True(!streamed || run.Events.OfType<MessageDelta>().Count() > 3, run.Text);
        var call = Assert.Single(run.Calls);
        if (kind == Uncounted)
        {
            Assert.True(call is { Estimated: true, InputTokens: > 0, OutputTokens: > 0 });
        }
        else
        {
            Assert.Equal((40, 20, false), (call.InputTokens, call.OutputTokens, call.Estimated));
        }

        Assert.Equal([(call.InputTokens * 3) + (call.OutputTokens * 15)], await run.SettledAsync());
        await providers.Server.AssertSoundAsync();
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task Run_ToolsAtOnce_AreCalledAndAnsweredInOrder(string kind, bool streamed)
    {
        var run = await providers.RunAsync(kind, "use the tools", streamed);

        Assert.Equal("The clock says so.", run.Output);
        Assert.Equal(
            ["""{"time_zone":"Europe/Oslo"}""", """{"time_zone":"Asia/Tokyo"}"""],
            run.Events.OfType<ToolCallStarted>().Select(call => call.Params.GetRawText()));
        Assert.All(run.Events.OfType<ToolCallFinished>(), result => Assert.False(result.IsError));
        Assert.Equal(kind == Uncounted, run.Calls.All(call => call.Estimated));
        Assert.True(kind == Uncounted || run.Calls.Sum(call => call.InputTokens + call.OutputTokens) == 130);
        Assert.Equal(
            run.Calls.Select(call => (call.InputTokens * 3) + (call.OutputTokens * 15)).Order(),
            (await run.SettledAsync()).Order());
        await providers.Server.AssertSoundAsync();
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task Run_NoUsageReported_IsCountedAndMarked(string kind, bool streamed)
    {
        var run = await providers.RunAsync(kind, "do not count", streamed);

        Assert.Equal("Nobody counted this.", run.Output);
        var call = Assert.Single(run.Calls);
        Assert.True(call.Estimated);
        Assert.Equal(TokenCounter.Count("Nobody counted this."), call.OutputTokens);
        Assert.True(call.InputTokens >= TokenCounter.Count("do not count"));
        Assert.Equal([(call.InputTokens * 3) + (call.OutputTokens * 15)], await run.SettledAsync());
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task Run_ThoughtsOfTheModel_AreNoPartOfTheAnswer(string kind, bool streamed)
    {
        var run = await providers.RunAsync(kind, "think first", streamed);

        Assert.Equal("Forty-two.", run.Output);
        Assert.DoesNotContain("Secret thoughts", run.Text, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task Run_OutputSchema_IsAskedForAndFitted(string kind, bool streamed)
    {
        // Anthropic's forced tool is not what the stand-in answers with, so there the words beside a tool are tested.
        var run = await providers.RunAsync(
            kind, "answer with JSON", streamed,
            """
            "output_schema":{"type":"object","properties":{"answer":{"type":"string"}},"required":["answer"]}
            """,
            withTools: kind == "anthropic");

        Assert.Equal("""{"answer":"yes"}""", run.Output);
        Assert.Equal("completed", (await run.ObjectAsync()).GetProperty("status").GetString());
    }

    [Theory]
    [MemberData(nameof(Failures))]
    public async Task Run_ProviderFails_EndsOnceWithItsCodeAndChargesNothing(
        string kind, bool streamed, string input, string fault, int seconds)
    {
        var run = await providers.RunAsync(kind, input, streamed);

        Assert.Equal("failed", (await run.ObjectAsync()).GetProperty("status").GetString());
        var failed = Assert.Single(run.Events, data => data is RunFailed or RunCompleted or RunCancelled);
        Assert.Equal((fault, seconds), (((RunFailed)failed).Cause, ((RunFailed)failed).RetryAfterSeconds));
        Assert.Equal((0L, 0L), (run.Calls[0].InputTokens, run.Calls[0].Charged));
        Assert.Empty(await run.SettledAsync());
        Assert.DoesNotContain("secret words", run.Text, StringComparison.Ordinal);
        if (streamed)
        {
            Assert.Equal(1, run.Text.Split("event: run.failed\n").Length - 1);
            Assert.Contains("\"code\":\"provider_unavailable\"", run.Text, StringComparison.Ordinal);
        }
        else
        {
            Assert.Equal((503, "provider_unavailable"), (run.Answer!.Status, run.Answer.ErrorCode));
            Assert.Equal($"{seconds}", run.Answer.Header("Retry-After"));
        }

        await providers.Server.AssertSoundAsync();
    }

    [Theory]
    [InlineData("openai")]
    [InlineData("responses")]
    [InlineData("anthropic")]
    [InlineData("gemini")]
    [InlineData("ollama")]
    public async Task Run_StreamCutInTheMiddle_FailsAndChargesWhatWasSaidOnce(string kind)
    {
        var run = await providers.RunAsync(kind, "cut the stream", streamed: true);

        Assert.Equal("failed", (await run.ObjectAsync()).GetProperty("status").GetString());
        Assert.Single(run.Events, data => data is RunFailed or RunCompleted or RunCancelled);
        Assert.Equal(1, run.Text.Split("event: run.failed\n").Length - 1);
        var call = Assert.Single(run.Calls);
        Assert.Equal(("failed", nameof(ProviderFault.Unreachable)), (call.Outcome, call.Fault));
        Assert.StartsWith(run.Output, "It begins well, and then it ends in the middle of everything.",
            StringComparison.Ordinal);
        Assert.NotEmpty(run.Output);
        Assert.True(call.Estimated);
        Assert.Equal([(call.InputTokens * 3) + (call.OutputTokens * 15)], await run.SettledAsync());
        await providers.Server.AssertSoundAsync();
    }

    [Fact]
    public async Task Embeddings_OfTwoTexts_AreThoseOfTheStandInAndChargedOnce()
    {
        var answer = await EmbedAsync("""["a cat","a cat"]""");

        Assert.True(answer.Status == 200, answer.Text);
        Assert.Equal(
            ["[0.6,-0.8,0]", "[0.6,-0.8,0]"],
            answer.Json.GetProperty("data").EnumerateArray().Select(static one =>
                one.GetProperty("embedding").GetRawText()));
        var tokens = answer.Json.GetProperty("usage").GetProperty("prompt_tokens").GetInt64();
        Assert.True(tokens > 0);
        Assert.Equal(20 * tokens, answer.Json.GetProperty("usage").GetProperty("cost").GetDecimal() * 1_000_000);
        await providers.Server.AssertSoundAsync();
    }

    [Theory]
    [InlineData("fail to embed")]
    [InlineData("embed nonsense")]
    [InlineData("cut the embedding")]
    public async Task Embeddings_ProviderFails_ChargesNothing(string input)
    {
        var answer = await EmbedAsync($"\"{input}\"");

        Assert.Equal((503, "provider_unavailable"), (answer.Status, answer.ErrorCode));
        Assert.Equal("0.000000", answer.Header("x-mesh-total-usd"));
        Assert.DoesNotContain("secret words", answer.Text, StringComparison.Ordinal);
        await providers.Server.AssertSoundAsync();
    }

    private Task<TestAnswer> EmbedAsync(string input) =>
        providers.Server.Client.PostAsync("/v1/embeddings", $$"""{"model":"mesh/embeddings","input":{{input}}}""");
}
