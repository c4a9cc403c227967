using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Reeve.Server.Runs;
using static Reeve.Server.Tests.Runs.ScriptedChatClient;

namespace Reeve.Server.Tests.Runs;

/// <summary>
/// What is refused and in which order, what an admitted run is, and what moves between the look and the commit.
/// </summary>
public sealed class RunAdmissionTests : IDisposable
{
    private readonly ScriptedChatClient _model = new();
    private Action? _afterTheLook;

    [Fact]
    public async Task FirstEvent_OfARun_SaysAllThatWasAskedFor()
    {
        await using var server = await StartAsync();
        _model.Reply("Hello.", Usage(1, 1));
        var agent = await server.NewAgentAsync("\"privacy_class\":\"standard\"");
        const string Asked = """
            "user":{"id":"u_42","name":"Ada"},"metadata":{"plan":"pro"},"max_credits":25,"on_disconnect":"cancel",
            "output_schema":{"type":"string"}
            """;

        var answer = await server.RunAsync(agent, Asked);

        var admitted = Admitted(server, answer.Json.GetProperty("error").GetProperty("run_id").GetString()!);
        Assert.Equal((agent, 1, "agent", "direct"), (Text(admitted, "agent_id"),
            admitted.GetProperty("agent_version").GetInt32(), Text(admitted, "kind"), Text(admitted, "tier")));
        Assert.Equal(("live", "standard", "Hi", false), (Text(admitted, "mode"), Text(admitted, "privacy_class"),
            Text(admitted, "input"), admitted.GetProperty("queued").GetBoolean()));
        Assert.Equal("""{"id":"u_42","name":"Ada"}""", admitted.GetProperty("user").GetRawText());
        Assert.Equal("""{"plan":"pro"}""", admitted.GetProperty("metadata").GetRawText());
        var options = admitted.GetProperty("options");
        Assert.Equal((25_000, """{"type":"string"}""", true, true), (options.GetProperty("credits_max").GetInt64(),
            options.GetProperty("output_schema").GetRawText(), options.GetProperty("whole").GetBoolean(),
            options.GetProperty("cancel_on_disconnect").GetBoolean()));
        Assert.Equal(("u_42", answer.Header("x-request-id"), 1), server.Database.Read(static session => session.Single(
            "SELECT user_id, request_id, ordinal FROM runs",
            static row => (row.GetString(0), row.GetString(1), row.GetInt32(2)))));
    }

    [Fact]
    public async Task Conversation_OfItsFirstRun_TakesTitleUserAndMetadataFromIt()
    {
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync();
        server.Time.Advance(TimeSpan.FromSeconds(1));

        var plain = await ConversationOfAsync(server, await server.RunAsync(agent));
        var full = await ConversationOfAsync(server, await server.RunAsync(agent, """
            "input":"When are you open?","user":{"id":"u_42","name":"Ada"},"metadata":{"plan":"pro"}
            """));

        Assert.Equal("{}", plain.GetProperty("metadata").GetRawText());
        Assert.Equal(("When are you open?", "active", agent),
            (Text(full, "title"), Text(full, "status"), Text(full, "agent_id")));
        Assert.Equal(("""{"id":"u_42","name":"Ada"}""", """{"plan":"pro"}"""),
            (full.GetProperty("user").GetRawText(), full.GetProperty("metadata").GetRawText()));
        Assert.Equal("2026-11-20T09:15:04.530Z", Text(full, "created_at"));
        Assert.Equal(TestServer.StartTime.AddSeconds(1).ToUnixTimeMilliseconds(), server.Database.Read(
            static session => session.Count("SELECT min(updated_at) FROM conversations")));
    }

    [Fact]
    public async Task Conversation_MadeEmpty_TakesItsTitleFromItsFirstInput()
    {
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync();
        var made = await server.Client.PostAsync("/v1/conversations", $$"""{"agent":"{{agent}}"}""");
        var members = $"\"conversation_id\":\"{Text(made.Json, "id")}\"";

        await server.RunAsync(agent, members + ",\"input\":\"First\"");
        var second = await server.RunAsync(agent, members + ",\"input\":\"Second\"");

        Assert.Equal("First", Text(await ConversationOfAsync(server, second), "title"));
    }

    [Theory]
    [InlineData("2", "\"max_credits\":1", 1_000)]
    [InlineData("1", "\"max_credits\":2", 1_000)]
    [InlineData("1.5", "", 1_500)]
    [InlineData(null, "\"max_credits\":2.5", 2_500)]
    [InlineData(null, "", null)]
    public async Task CreditsMax_OfAgentAndRequest_IsTheLower(string? ofAgent, string asked, int? microUsd)
    {
        await using var server = await StartAsync();
        _model.Reply("Hello.", Usage(1, 1));
        var agent = await server.NewAgentAsync(
            ofAgent is null ? "" : $"\"limits\":{{\"max_credits_per_run\":{ofAgent}}}");

        var answer = await server.RunAsync(agent, asked);

        Assert.Equal(200, answer.Status);
        var max = Admitted(server, Text(answer.Json, "run_id")!).GetProperty("options").GetProperty("credits_max");
        Assert.Equal(microUsd, max.ValueKind == JsonValueKind.Null ? null : max.GetInt32());
    }

    [Fact]
    public async Task CreditsMax_OfTheAgent_IsRoundedDownToMoney()
    {
        await using var server = await TestServer.StartAsync(
            static options => options with { Credits = options.Credits with { MicroUsdPerCredit = 1_500 } },
            builder => _model.AddTo(builder));
        var agent = await server.NewAgentAsync("\"limits\":{\"max_credits_per_run\":2.001}");

        var answer = await server.RunAsync(agent);

        Assert.Equal(3_001, Admitted(server, Text(answer.Json, "run_id")!)
            .GetProperty("options").GetProperty("credits_max").GetInt64()); // of 3,001.5 micro-USD
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Route_OfARouterMode_PassesOverWhatTheBalanceDoesNotCover(bool inAConversation)
    {
        await using var server = await TestServer.StartAsync(
            static options => options with { Credits = options.Credits with { StartingBalanceUsd = 0.1m } },
            builder =>
            {
                _model.AddTo(builder, Model("mesh/cheap", 1, 1));
                _model.AddTo(builder, Model("mesh/dear", 1_000, 1_000) with { Quality = 90 });
            });
        var agent = await server.NewAgentAsync("\"model\":\"best\"");
        var made = await server.Client.PostAsync("/v1/conversations", $$"""{"agent":"{{agent}}"}""");

        var answer = await server.RunAsync(
            agent, inAConversation ? $"\"conversation_id\":\"{Text(made.Json, "id")}\"" : "");

        Assert.Equal("""{"tier":"best","model":"mesh/cheap"}""", answer.Json.GetProperty("route").GetRawText());
    }

    /// <summary>The last of the refusals here is that no model is permitted.</summary>
    [Fact]
    public async Task Refusals_ThatALookFinds_ComeBeforeThatOfTheRoute()
    {
        var gate = new TaskCompletionSource();
        _model.Reply("Hello.").Reply(gate.Task, "Hello.");
        await using var server = await StartAsync();
        const string Confidential = "\"privacy_class\":\"confidential\"";
        var (agent, other) = (await server.NewAgentAsync("\"conversation_limit\":2"), await server.NewAgentAsync());
        var ended = Text((await server.RunAsync(agent)).Json, "conversation_id");
        var busy = await server.RunAsync(agent, "\"background\":true");
        await server.Client.PatchAsync($"/v1/conversations/{ended}", """{"status":"ended"}""");
        Task<TestAnswer> RunAsync(string of, string? conversation) =>
            server.RunAsync(of, $"\"conversation_id\":\"{conversation}\",{Confidential}");

        Assert.Equal((404, "not_found", "agent"), Seen(await server.RunAsync("nobody", Confidential)));
        Assert.Equal((404, "not_found", "conversation_id"),
            Seen(await RunAsync(agent, "conv_06F7557C5CM18FNXB2V5D4V72R")));
        Assert.Equal((404, "not_found", "conversation_id"), Seen(await RunAsync(other, ended)));
        Assert.Equal((409, "conversation_ended", "conversation_id"), Seen(await RunAsync(agent, ended)));
        var refused = await RunAsync(agent, Text(busy.Json, "conversation_id"));
        Assert.Equal((409, "conversation_busy", "conversation_id"), Seen(refused));
        Assert.Equal("Another run of this conversation is active.", Text(refused.Json.GetProperty("error"), "message"));
        Assert.Equal((429, "conversation_limit_exceeded", null), Seen(await server.RunAsync(agent, Confidential)));
        Assert.Equal((422, "no_permitted_route", null), Seen(await server.RunAsync(other, Confidential)));
        gate.SetResult();
    }

    [Fact]
    public async Task Refusals_OfAConversation_NameItAndTheRunInItsWay()
    {
        var gate = new TaskCompletionSource();
        _model.Reply(gate.Task, "Hello.");
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync();
        var run = await server.RunAsync(agent, "\"background\":true");
        var waiting = await server.RunAsync(agent, "\"background\":true,\"on_busy\":\"queue\","
            + $"\"conversation_id\":\"{Text(run.Json, "conversation_id")}\"");
        Assert.Equal("queued", Text(waiting.Json, "status"));
        var task = "task_" + Text(run.Json, "conversation_id")![5..];
        Task<TestAnswer> AskAsync() => server.Client.SendAsync("POST", "/api/run",
            $$"""{"query":"Hi","stream":false,"task_id":"{{task}}"}""", ("X-Agent-Id", agent));

        var busy = (await AskAsync()).Json.GetProperty("error");
        Assert.Equal((Text(run.Json, "run_id"), task), (Text(busy, "run_id"), Text(busy, "task_id")));
        gate.SetResult();
        await Eventually.TrueAsync(() => server.Service<Capacity>().Runs.Taken == 0);
        Assert.Equal(200, (await server.Client.PatchAsync(
            $"/v1/conversations/{Text(run.Json, "conversation_id")}", """{"status":"ended"}""")).Status);
        Assert.Equal(task, Text((await AskAsync()).Json.GetProperty("error"), "task_id"));
    }

    [Fact]
    public async Task FirstHold_CoversTheInput()
    {
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync("\"max_output_tokens\":1");
        var input = string.Concat(Enumerable.Repeat("word ", 1_000));

        await server.RunAsync(agent, $"\"input\":\"{input}\"");

        var hold = -(await server.LedgerAsync("type=hold"))[0].GetProperty("amount_usd").GetDecimal();
        Assert.InRange(hold, 0.003m, 0.006m); // 1,000 tokens at 3 USD per million, counted with a reserve.
    }

    [Fact]
    public async Task Interrupt_OfTheOnlyRun_CancelsIt()
    {
        _model.Reply(new TaskCompletionSource().Task).Reply("Now.");
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync();
        var first = await server.RunAsync(agent, "\"background\":true");

        var second = await server.RunAsync(
            agent, $"\"conversation_id\":\"{Text(first.Json, "conversation_id")}\",\"on_busy\":\"interrupt\"");

        Assert.Equal("Now.", Text(second.Json, "output"));
        Assert.Equal("cancelled",
            Text((await server.Client.GetAsync($"/v1/runs/{Text(first.Json, "run_id")}")).Json, "status"));
    }

    [Fact]
    public async Task Server_ThatStops_TakesNoRun()
    {
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync();
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(server.Url.Host, server.Url.Port, RunTestExtensions.Cancellation);
        await using var stream = new NetworkStream(socket);
        using var reader = new StreamReader(stream);
        var body = RunTestExtensions.Body(agent);
        await stream.WriteAsync(Encoding.ASCII.GetBytes("POST /v1/agents/runs HTTP/1.1\r\nHost: x\r\n"
            + $"Authorization: Bearer {TestServer.AdminKey}\r\nContent-Length: {body.Length}\r\n"
            + "Expect: 100-continue\r\nConnection: close\r\n\r\n"), RunTestExtensions.Cancellation);
        Assert.Equal("HTTP/1.1 100 Continue", await reader.ReadLineAsync(RunTestExtensions.Cancellation));

        server.Service<IHostApplicationLifetime>().StopApplication(); // It is past the door, and its body is read.
        await stream.WriteAsync(Encoding.ASCII.GetBytes(body), RunTestExtensions.Cancellation);

        Assert.Contains("HTTP/1.1 503 ", await reader.ReadToEndAsync(RunTestExtensions.Cancellation),
            StringComparison.Ordinal);
        var refused = await server.RunAsync("nobody");
        Assert.Equal((503, "unavailable", "5"), (refused.Status, refused.ErrorCode, refused.Header("Retry-After")));
        Assert.Equal(0, _model.Calls);
    }

    [Fact]
    public async Task Refusals_InTheOtherDialect_SayWhatIsMissing()
    {
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync();
        Task<TestAnswer> AskAsync(string of, string members) => server.Client.SendAsync("POST", "/api/run",
            $$"""{"query":"Hi","stream":false{{members}}}""",
            ("X-Agent-Id", of), ("Idempotency-Key", $"k{members.Length}"));

        Assert.Equal("agent_not_found", (await AskAsync("nobody", "")).ErrorCode);
        Assert.Equal("task_not_found",
            (await AskAsync(agent, ",\"task_id\":\"task_06F7557C5CM18FNXB2V5D4V72R\"")).ErrorCode);
        var task = Text((await AskAsync(agent, "")).Json, "task_id");
        await server.Client.DeleteAsync($"/v1/conversations/{task}");
        Assert.Equal("run_not_found", (await AskAsync(agent, "")).ErrorCode);
    }

    [Fact]
    public async Task IdempotencyKey_OfARunThatFilledItsAgent_IsStillReplayed()
    {
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync("\"conversation_limit\":1");
        var first = await SendAsync(server, agent);

        var replay = await SendAsync(server, agent);

        Assert.Equal((200, first.Text), (replay.Status, replay.Text));
        Assert.Equal((422, "idempotency_mismatch", "Idempotency-Key"), Seen(await server.Client.SendAsync(
            "POST", "/v1/agents/runs", RunTestExtensions.Body(agent, "\"input\":\"?\""), ("Idempotency-Key", "k1"))));
        Assert.Equal(1, _model.Calls);
    }

    [Fact]
    public async Task IdempotencyKey_OfARunThatWasErased_Is404()
    {
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync();
        var run = await SendAsync(server, agent);
        await server.Client.DeleteAsync($"/v1/conversations/{Text(run.Json, "conversation_id")}");

        Assert.Equal((404, "not_found", null), Seen(await SendAsync(server, agent)));
    }

    [Fact]
    public async Task IdempotencyKey_OfARequestThatWasFaster_ReplaysItsRun()
    {
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync();
        TestAnswer? faster = null;
        _afterTheLook = () => faster = SendAsync(server, agent).GetAwaiter().GetResult();

        var answer = await SendAsync(server, agent);

        Assert.Equal((200, faster!.Text), (answer.Status, answer.Text));
        Assert.Equal("true", answer.Header("Idempotent-Replayed"));
        Assert.Equal(1, _model.Calls);
        Assert.Equal(0, server.Service<Capacity>().Runs.Taken);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Agent_ChangedAfterTheLook_CountsOnlyWhereItWasRemembered(bool hasKey)
    {
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync("\"instructions\":\"Old.\"");
        await server.RunAsync(agent);
        _afterTheLook = () => Assert.Equal(200, server.Client.PatchAsync(
            $"/v1/agents/{agent}", """{"instructions":"New."}""").GetAwaiter().GetResult().Status);

        var answer = hasKey ? await SendAsync(server, agent) : await server.RunAsync(agent);

        Assert.Equal(200, answer.Status);
        Assert.Null(_afterTheLook);
        Assert.Equal(hasKey ? "Old." : "New.", _model.Prompts.Last()[0].Text); // A look fixes the version.
        Assert.Equal(0, server.Service<Capacity>().Runs.Taken);
        await server.AssertSoundAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Agent_DeletedAfterTheLook_Is404(bool hasKey)
    {
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync();
        await server.RunAsync(agent);
        _afterTheLook = () => Assert.Equal(
            204, server.Client.DeleteAsync($"/v1/agents/{agent}").GetAwaiter().GetResult().Status);

        var answer = hasKey ? await SendAsync(server, agent) : await server.RunAsync(agent);

        Assert.Equal((404, "not_found", "agent"), Seen(answer));
        Assert.Equal(0, server.Service<Capacity>().Runs.Taken);
        Assert.Equal(1, _model.Calls);
    }

    /// <summary>The agent is remembered, so that nothing was read before the plan.</summary>
    [Fact]
    public async Task ConversationLimit_OfARememberedAgent_IsToldBeforeTheRoute()
    {
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync("\"conversation_limit\":1");
        Assert.Equal(200, (await server.RunAsync(agent)).Status);

        Assert.Equal((429, "conversation_limit_exceeded", null),
            Seen(await server.RunAsync(agent, "\"privacy_class\":\"confidential\"")));
        var second = await server.RunAsync(agent);
        Assert.Equal((429, "conversation_limit_exceeded", null), Seen(second));
        Assert.Equal("false", second.Header("x-should-retry"));
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Conversation_EndedAfterTheLook_IsRefused()
    {
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync();
        var id = Text((await server.RunAsync(agent)).Json, "conversation_id");
        _afterTheLook = () => Assert.Equal(200, server.Client.PatchAsync(
            $"/v1/conversations/{id}", """{"status":"ended"}""").GetAwaiter().GetResult().Status);

        var answer = await server.RunAsync(agent, $"\"conversation_id\":\"{id}\"");

        Assert.Equal((409, "conversation_ended", "conversation_id"), Seen(answer));
        Assert.Equal(1, _model.Calls);
    }

    [Fact]
    public async Task Conversation_ThatWentOnAfterTheLook_IsReadAgain()
    {
        _model.Reply("One.").Reply("Two.").Reply("Three.");
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync("\"instructions\":\"Serve.\"");
        var first = await server.RunAsync(agent, "\"input\":\"1\"");
        var conversation = $"\"conversation_id\":\"{Text(first.Json, "conversation_id")}\"";
        _afterTheLook = () => Assert.Equal(
            200, server.RunAsync(agent, conversation + ",\"input\":\"2\"").GetAwaiter().GetResult().Status);

        var answer = await server.RunAsync(agent, conversation + ",\"input\":\"3\"");

        Assert.Equal("Three.", Text(answer.Json, "output"));
        Assert.Equal(["Serve.", "1", "One.", "2", "Two.", "3"],
            _model.Prompts.Last().Select(static message => message.Text));
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Conversation_ThatBecameFreeAfterTheLook_DoesNotLetTheRunWait()
    {
        var gate = new TaskCompletionSource();
        _model.Reply(gate.Task, "One.").Reply("Two.");
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync();
        var first = await server.RunAsync(agent, "\"background\":true");
        _afterTheLook = () =>
        {
            gate.SetResult();
            Eventually.TrueAsync(() => server.Service<Capacity>().Runs.Taken == 0).GetAwaiter().GetResult();
        };

        var answer = await server.RunAsync(
            agent, $"\"conversation_id\":\"{Text(first.Json, "conversation_id")}\",\"on_busy\":\"queue\"");

        Assert.Equal("Two.", Text(answer.Json, "output"));
        Assert.False(Admitted(server, Text(answer.Json, "run_id")!).GetProperty("queued").GetBoolean());
        await server.AssertSoundAsync();
    }

    /// <summary>Somebody else always comes in between.</summary>
    [Fact]
    public async Task Conversation_ThatMovesWithEveryLook_IsGivenUpAfterTwentyTries()
    {
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync();
        var id = Text((await server.RunAsync(agent)).Json, "conversation_id");
        var looks = 0;
        void Move()
        {
            looks++;
            Assert.Equal(200, server.RunAsync(agent, $"\"conversation_id\":\"{id}\"").GetAwaiter().GetResult().Status);
            _afterTheLook = Move;
        }

        _afterTheLook = Move;
        var answer = await server.RunAsync(agent, $"\"conversation_id\":\"{id}\"");

        Assert.Equal((409, "conversation_busy", "conversation_id"), Seen(answer));
        Assert.Equal((20, 21), (looks, _model.Calls));
    }

    public void Dispose() => _model.Dispose();

    private Task<TestServer> StartAsync() => TestServer.StartAsync(configure: builder =>
    {
        _model.AddTo(builder);
        builder.Services.AddSingleton(new Failpoints(point =>
        {
            if (point == Failpoints.AdmitLooked)
            {
                Interlocked.Exchange(ref _afterTheLook, null)?.Invoke();
            }
        }));
    });

    private static Task<TestAnswer> SendAsync(TestServer server, string agent) => server.Client.SendAsync(
        "POST", "/v1/agents/runs", RunTestExtensions.Body(agent), ("Idempotency-Key", "k1"));

    private static (int Status, string? Code, string? Param) Seen(TestAnswer answer) =>
        (answer.Status, answer.ErrorCode, answer.ErrorParam);

    private static async Task<JsonElement> ConversationOfAsync(TestServer server, TestAnswer run) =>
        (await server.Client.GetAsync($"/v1/conversations/{Text(run.Json, "conversation_id")}")).Json;

    private static JsonElement Admitted(TestServer server, string runId) => JsonElement.Parse(
        server.Database.Read(session => session.Single(
            "SELECT CAST(payload AS TEXT) FROM run_events WHERE run_id = $1 AND seq = 1",
            static row => row.GetString(0), runId))!);

    private static string? Text(JsonElement json, string name) => json.GetProperty(name).GetString();
}
