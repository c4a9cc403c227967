using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Reeve.Server.Tools;

namespace Reeve.Server.Tests.Runs;

/// <summary>A run that costs its owner again and again, and how often it may.</summary>
public sealed class PoisonedRunTests
{
    private const int OwnersMax = 4; // The first, and three that try again.

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Tool_ThatAlwaysBringsItsOwnerDown_EndsTheRunAfterThreeMoreTries(bool isIdempotent)
    {
        var tool = new FatalTool(isIdempotent);
        var model = new ScriptedChatClient().Reply(ScriptedChatClient.Call("mine-dig", "{}"));
        await using var server = await TestServer.StartAsync(configure: builder =>
        {
            model.AddTo(builder);
            builder.Services.AddSingleton<IBuiltinTool>(tool);
        });
        var agent = await server.NewAgentAsync("\"tools\":[{\"name\":\"mine\",\"type\":\"builtin\"}]");

        var answer = await server.RunAsync(agent);

        Assert.Equal(500, answer.Status);
        Assert.Equal(OwnersMax, tool.Calls);
        Assert.Equal("poisoned", server.Database.Read(session => session.Single(
            "SELECT json_extract(payload, '$.cause') FROM run_events WHERE type = 'run.failed'",
            static row => row.GetString(0))));
        await server.AssertSoundAsync();
    }

    private sealed class FatalTool(bool isIdempotent) : IBuiltinTool
    {
        private int _calls;

        internal int Calls => _calls;

        public string Name => "mine";

        public IReadOnlyList<ToolAction> Actions { get; } =
        [
            new ToolAction("dig", "Digs.", JsonElement.Parse("""{"type":"object"}""")) { IsIdempotent = isIdempotent },
        ];

        public Task<ToolResult> InvokeAsync(
            string action, JsonElement arguments, ToolCallContext context, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _calls);
            throw new InvalidOperationException("It caved in.");
        }
    }
}
