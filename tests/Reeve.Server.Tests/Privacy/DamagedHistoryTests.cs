using System.Text.Json;
using Reeve.Server.Privacy;
using Reeve.Server.Tests.Process;
using Reeve.Server.Tests.Runs;
using static Reeve.Server.Tests.Runs.ScriptedChatClient;

namespace Reeve.Server.Tests.Privacy;

/// <summary>What is encrypted of a conversation is not as it was written, and a run waits there for its turn.</summary>
public sealed class DamagedHistoryTests
{
    private const string CutRow = "UPDATE runs SET output = substr(output, 1, length(output) - 1) WHERE id = $1";

    private const string CutEvent =
        "UPDATE run_events SET payload = substr(payload, 1, length(payload) - 1) WHERE run_id = $1 AND seq = 1";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task WaitingRun_FailsAndListsShowWhatCanBeRead(bool isLogDamaged)
    {
        var release = new TaskCompletionSource();
        using var model = new ScriptedChatClient().Reply("The zanzibar answer.", Usage(5, 5))
            .Reply(release.Task, "Second.", Usage(5, 5));
        await using var server = await TestServer.StartAsync(
            configure: builder => model.AddTo(builder, Model(), PrivacyMarks.Process), realTime: true);
        var agent = await server.NewAgentAsync("\"privacy_class\":\"confidential\"");
        var first = await server.RunAsync(agent);
        var conversation = first.Json.GetProperty("conversation_id").GetString()!;
        var members = $"\"background\":true,\"on_busy\":\"queue\",\"conversation_id\":\"{conversation}\"";
        var second = await server.RunAsync(agent, members);
        var waiting = await server.RunAsync(agent, members);
        Assert.Equal("queued", waiting.Json.GetProperty("status").GetString());
        await server.Database.WriteAsync(session =>
        {
            session.Execute(CutRow, RunId(first));
            if (isLogDamaged)
            {
                session.Execute("DROP TRIGGER run_events_erase_only"); // None keeps a disk from it.
                session.Execute(CutEvent, RunId(first));
            }
        });

        release.SetResult();
        await Eventually.TrueAsync(async () => await StatusAsync(server, waiting) != "queued");

        var given = (await server.Client.GetAsync($"/v1/runs/{RunId(waiting)}")).Json;
        Assert.Equal(("failed", "internal_error"), (given.GetProperty("status").GetString(),
            given.GetProperty("error").GetProperty("code").GetString()));
        Assert.Contains("damaged", given.GetProperty("error").GetProperty("message").GetString(),
            StringComparison.Ordinal);
        Assert.Equal(2, model.Calls);
        Assert.Equal("completed", await StatusAsync(server, second));

        await AssertListedAsync(server, await server.Client.GetAsync("/v1/runs"), "data", isLogDamaged);
        await AssertListedAsync(server, await server.Client.SendAsync(
            "GET", $"/api/tasks/task_{conversation["conv_".Length..]}/runs", null, ("X-Agent-Id", agent)),
            "runs", isLogDamaged);

        var (_, output, _) = await ReeveProcess.RunAsync(server.Folder, ["doctor", "--data", server.Folder]);
        Assert.Contains($"and were given up ({RunId(waiting)})", output, StringComparison.Ordinal);
    }

    private static async Task AssertListedAsync(TestServer server, TestAnswer list, string member, bool isLogDamaged)
    {
        Assert.True(list.Status == 200, list.Text);
        var runs = list.Json.GetProperty(member).EnumerateArray().ToList();
        Assert.Equal(["", "Second.", isLogDamaged ? "" : "The zanzibar answer."],
            runs.Select(static run => run.GetProperty("output").GetString()));
        Assert.Equal("completed", runs[2].GetProperty("status").GetString());
        var error = runs[2].GetProperty("error");
        Assert.Equal(isLogDamaged, error.ValueKind == JsonValueKind.Object
            && error.GetProperty("message").GetString()!.Contains("damaged", StringComparison.Ordinal));
        Assert.Equal(0, (await server.AccountAsync()).GetProperty("held_usd").GetDecimal());
    }

    private static string RunId(TestAnswer started) => started.Json.GetProperty("run_id").GetString()!;

    private static async Task<string?> StatusAsync(TestServer server, TestAnswer started) =>
        (await server.Client.GetAsync($"/v1/runs/{RunId(started)}")).Json.GetProperty("status").GetString();
}
