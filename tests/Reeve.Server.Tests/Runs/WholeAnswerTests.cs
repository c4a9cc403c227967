using Microsoft.AspNetCore.Http;
using Reeve.Server.Inference;
using Reeve.Server.Tests.Inference;
using static Reeve.Server.Tests.Runs.ScriptedChatClient;

namespace Reeve.Server.Tests.Runs;

/// <summary>What a provider is asked when nobody follows the answer, and what becomes of a piece of it.</summary>
public sealed class WholeAnswerTests
{
    private const string Answer = """
        {"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Whole."}}]}
        """;

    private const string Stream = """
        data: {"choices":[{"index":0,"delta":{"content":"In "}}]}

        data: {"choices":[{"index":0,"delta":{"content":"pieces."},"finish_reason":"stop"}]}

        data: [DONE]


        """;

    [Theory]
    [InlineData(512, true, "Whole.")]
    [InlineData(513, true, "In pieces.")]
    [InlineData(513, false, "Whole.")]
    public async Task LongAnswer_IsStreamedByAProviderThatCan_AndOnePieceInTheLog(
        int tokensMax, bool canStream, string output)
    {
        var isWhole = tokensMax == 512 || !canStream;
        await using var provider = await LoopbackProvider.StartAsync(async (context, _) =>
        {
            context.Response.ContentType = isWhole ? "application/json" : "text/event-stream";
            await context.Response.WriteAsync(
                isWhole ? Answer : Stream);
        });
        await using var server = await TestServer.StartAsync(options => options with
        {
            Inference = new InferenceOptions
            {
                Providers =
                [
                    new ProviderOptions
                    {
                        Name = "house",
                        Kind = ProviderKinds.OpenAI,
                        BaseUrl = new Uri(provider.Address, "v1"),
                        Models =
                        [
                            Model() with
                            {
                                Provider = "house",
                                Capabilities = new HashSet<string>(
                                    canStream ? [Capabilities.Chat, Capabilities.Streaming] : [Capabilities.Chat]),
                            },
                        ],
                    },
                ],
            },
        });

        var run = await server.RunAsync(await server.NewAgentAsync($"\"max_output_tokens\":{tokensMax}"));

        Assert.Equal((200, output), (run.Status, run.Json.GetProperty("output").GetString()));
        Assert.Equal(
            !isWhole, provider.Bodies[0].TryGetProperty("stream", out var stream) && stream.GetBoolean());
        Assert.Equal(1, server.Database.Read(static session => session.Count(
            "SELECT count(*) FROM run_events WHERE type = 'message.delta'")));
        await server.AssertSoundAsync();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task ProviderThatDiesInAnAnswerNobodyFollows_CostsTheOperatorAndNeverTheCaller(bool isAnotherLeft)
    {
        var first = new ScriptedChatClient().Reply(
            "Half of ", new ProviderException(ProviderFault.Malformed, "It broke."));
        var second = new ScriptedChatClient().Reply("A whole answer.", Usage(100, 10));
        await using var server = await TestServer.StartAsync(configure: builder =>
        {
            first.AddTo(builder);
            if (isAnotherLeft)
            {
                second.AddTo(builder, Model("mesh/house-2", 4, 20));
            }
        });

        var run = await server.RunAsync(await server.NewAgentAsync("\"model\":\"cheapest\""));

        Assert.Equal(isAnotherLeft ? 200 : 503, run.Status);
        var (calls, lost, charged) = server.Database.Read(static session => (
            session.Count("SELECT count(*) FROM model_calls"), session.Count("SELECT sum(lost) FROM model_calls"),
            session.Count("SELECT sum(charged) FROM runs")));
        Assert.Equal((isAnotherLeft ? 2 : 1, true, isAnotherLeft ? 600 : 0), (calls, lost > 0, charged));
        Assert.DoesNotContain("Half", run.Text, StringComparison.Ordinal);
        Assert.Equal(0, server.Database.Read(static session => session.Count(
            "SELECT count(*) FROM run_events WHERE type = 'output.reset'")));
        await server.AssertSoundAsync();
    }
}
