using System.Text.Json;
using Reeve.Server.Tests.Runs;
using static Reeve.Server.Tests.Runs.ScriptedChatClient;

namespace Reeve.Server.Tests.Chat;

/// <summary>How long what a chat said is kept, with time that the test moves.</summary>
public sealed class ChatRetentionTests : IDisposable
{
    private const string Path = "/v1/chat/completions";
    private const string Canary = "canary";
    private const string Chat = """
        {"model":"mesh/house-1","user":"canary_1","metadata":{"a":"canary"},
        "messages":[{"role":"user","content":"Does the canary sing?"}]}
        """;

    private readonly ScriptedChatClient _model = new ScriptedChatClient().Reply("The canary sings.", Usage(210, 5));

    public void Dispose() => _model.Dispose();

    [Fact]
    public async Task Chat_AfterItsDays_IsErased_AndItsMoneyAndReceiptStay()
    {
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync();
        var talk = await server.RunAsync(agent, "\"input\":\"Does the canary sing?\"");
        var chat = await server.Client.PostAsync(Path, Chat);
        var run = RunId(chat.Json);
        var receipt = await server.Client.GetAsync($"/v1/receipts/{chat.Header("x-mesh-receipt-id")}");
        var balance = (await server.AccountAsync()).GetProperty("balanceUsd").GetDecimal();

        server.Time.Advance(TimeSpan.FromDays(30) - TimeSpan.FromHours(1));
        var young = await server.Client.PostAsync(Path, Chat);
        Assert.Equal(200, (await server.Client.GetAsync($"/v1/runs/{run}")).Status);
        server.Time.Advance(TimeSpan.FromHours(2));

        await Eventually.TrueAsync(async () => (await server.Client.GetAsync($"/v1/runs/{run}")).Status == 404);
        Assert.Equal(0, Canaries(server, run));
        Assert.NotEqual(0, Canaries(server, RunId(young.Json)));
        Assert.NotEqual(0, Canaries(server, talk.Json.GetProperty("run_id").GetString()!));
        Assert.Equal(receipt.Text,
            (await server.Client.GetAsync($"/v1/receipts/{chat.Header("x-mesh-receipt-id")}")).Text);
        Assert.True((await server.Client.GetAsync($"/v1/ledger?run_id={run}")).Json.GetProperty("data")
            .GetArrayLength() > 0);
        Assert.Equal(balance - 0.000705m, (await server.AccountAsync()).GetProperty("balanceUsd").GetDecimal());
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Chats_OfAnEarlierStart_AreErasedAtTheNext_HoweverManyTheyAre()
    {
        var folder = TestServer.NewFolder();
        await using (var server = await StartAsync(folder: folder))
        {
            for (var i = 0; i < 45; i++)
            {
                Assert.Equal(200, (await server.Client.PostAsync(Path, Chat)).Status);
            }
        }

        await using (var server = await StartAsync(folder: folder, startTime: TestServer.StartTime.AddDays(31)))
        {
            await Eventually.TrueAsync(() => server.Database.Read(static session => session.Count(
                "SELECT count(*) FROM runs WHERE erased_at IS NULL")) == 0);
            Assert.Equal(0, server.Database.Read(static session => session.Count(
                "SELECT count(*) FROM run_events WHERE payload IS NOT NULL")));
            await server.AssertSoundAsync();
        }

        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Chat_OfNoDays_IsErasedOnceItHasEndedAndNotBefore()
    {
        var gate = new TaskCompletionSource();
        using var slow = new ScriptedChatClient().Reply("The canary sings.").Reply("The canary ", gate.Task, "sings.");
        await using var server = await TestServer.StartAsync(
            static options => options with { Limits = options.Limits with { ChatDays = 0 } },
            builder => slow.AddTo(builder));
        var ended = RunId((await server.Client.PostAsync(Path, Chat)).Json);
        server.Time.Advance(TimeSpan.FromMinutes(55));
        using var stream = await server.OpenAsync(
            "POST", Path, Chat.Replace("\"user\":", "\"stream\":true,\"user\":", StringComparison.Ordinal));
        await stream.ReadToAsync("The canary ");
        var run = server.Database.Read(static session => session.Single(
            "SELECT max(id) FROM runs", static row => row.GetString(0)))!;

        server.Time.Advance(TimeSpan.FromMinutes(6)); // To the hour at which it looks.
        await Eventually.TrueAsync(() => Canaries(server, ended) == 0);
        Assert.NotEqual(0, Canaries(server, run));
        gate.SetResult();
        Assert.Contains("sings.", await stream.ReadToEndAsync(TestContext.Current.CancellationToken),
            StringComparison.Ordinal);
        server.Time.Advance(TimeSpan.FromHours(1));

        await Eventually.TrueAsync(() => Canaries(server, run) == 0);
        await server.AssertSoundAsync();
    }

    private Task<TestServer> StartAsync(string? folder = null, DateTimeOffset? startTime = null) =>
        TestServer.StartAsync(configure: builder => _model.AddTo(builder), folder: folder, startTime: startTime);

    /// <summary>How many places of a run have the word.</summary>
    private static long Canaries(TestServer server, string run) => server.Database.Read(session => session.Count(
        "SELECT (SELECT count(*) FROM run_events WHERE run_id = $1 AND instr(payload, CAST($2 AS BLOB)) > 0) "
        + "+ (SELECT count(*) FROM runs WHERE id = $1 AND instr(coalesce(input, '') || coalesce(output, '') "
        + "|| coalesce(user, '') || metadata || coalesce(outcome, ''), $2) > 0)", run, Canary));

    private static string RunId(JsonElement completion) =>
        completion.GetProperty("id").GetString()!.Replace("chatcmpl-", "run_", StringComparison.Ordinal);
}
