using Microsoft.Extensions.AI;
using Reeve.Server.Inference;

namespace Reeve.Server.Tests.Runs;

/// <summary>What <c>fast</c> learns of a model's pace from an answer.</summary>
public sealed class PaceTests
{
    private static readonly RouteKey House = new("mesh/house-1", "house-1");
    private static readonly string Answer = string.Concat(Enumerable.Repeat(" word", 40));

    [Fact]
    public async Task AnswerWithoutUsage_TeachesIt() => Assert.Equal(25, await LearnAsync(), 5.0);

    [Fact]
    public async Task TokensThoughtBeforeTheFirstPiece_AreNoneOfIt() => Assert.Equal(25, await LearnAsync(
        new UsageContent(new UsageDetails
        {
            InputTokenCount = 10,
            OutputTokenCount = 1_040,
            ReasoningTokenCount = 1_000,
        })), 1.0);

    /// <summary>Milliseconds a token, of forty that came within a second.</summary>
    private static async Task<double> LearnAsync(params object[] last)
    {
        using var model = new ScriptedChatClient();
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        model.Reply([Answer[..5], (Func<Task>)Pass, Answer[5..], .. last]);

        using var stream = await server.OpenAsync("POST", "/v1/agents/runs?stream=true",
            RunTestExtensions.Body(await server.NewAgentAsync()));
        Assert.Contains("event: run.completed",
            await stream.ReadToEndAsync(RunTestExtensions.Cancellation), StringComparison.Ordinal);

        var health = server.Service<ProviderHealth>();
        return health.AnswerMilliseconds(House, 1)!.Value - health.FirstTokenMilliseconds(House)!.Value;

        Task Pass()
        {
            server.Time.Advance(TimeSpan.FromSeconds(1));
            return Task.CompletedTask;
        }
    }
}
