using System.Text.Json;
using Reeve.Server.Inference;
using static Reeve.Server.Tests.Runs.ScriptedChatClient;

namespace Reeve.Server.Tests.Runs;

public sealed class RunTests
{
    [Fact]
    public async Task Run_AnsweredByAModel_ShowsTheDocumentedBodyAndExactMoney()
    {
        var model = new ScriptedChatClient().Reply("It promises ", "privacy.", Usage(1420, 24));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync();

        var answer = await server.RunAsync(agent);

        Assert.Equal(200, answer.Status);
        var run = answer.Json;
        Assert.Equal(
            ["id", "agent_id", "conversation_id", "output", "sources", "usage", "route", "run_id", "status",
             "tool_calls", "credits_used", "receipt_id"],
            run.EnumerateObject().Select(member => member.Name));
        Assert.Equal("It promises privacy.", run.GetProperty("output").GetString());
        Assert.Equal("""{"input_tokens":1420,"output_tokens":24}""", run.GetProperty("usage").GetRawText());
        Assert.Equal("""{"tier":"direct","model":"mesh/house-1"}""", run.GetProperty("route").GetRawText());
        Assert.Equal("4.62", run.GetProperty("credits_used").GetRawText());
        Assert.Equal("0.004620", answer.Header("x-mesh-upstream-cost-usd"));
        Assert.Equal("0.000000", answer.Header("x-mesh-margin-usd"));
        Assert.Equal("0.004620", answer.Header("x-mesh-total-usd"));
        Assert.Equal(run.GetProperty("receipt_id").GetString(), answer.Header("x-mesh-receipt-id"));
        Assert.Equal(9.99538m, (await server.AccountAsync()).GetProperty("balanceUsd").GetDecimal());
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Ledger_AfterARun_HoldsReleasesAndSettles()
    {
        var model = new ScriptedChatClient().Reply("Yes.", Usage(10, 10));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync("\"max_output_tokens\":100");

        await server.RunAsync(agent);

        var entries = (await server.LedgerAsync("mode=live")).EnumerateArray()
            .Select(entry => (entry.GetProperty("type").GetString(), entry.GetProperty("amount_usd").GetDecimal()))
            .ToList();
        var hold = -entries[2].Item2;
        Assert.Equal([("settle", -0.00018m), ("release", hold), ("hold", -hold), ("topup", 10m)], entries);
        Assert.InRange(hold, 0.0015m, 0.002m);
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Usage_AboveTheHold_IsChargedUpToAsMuchAgainAndTheRestIsTheOperators()
    {
        var model = new ScriptedChatClient().Reply("Yes.", Usage(1_000_000, 0));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync("\"max_output_tokens\":100");

        var answer = await server.RunAsync(agent);

        Assert.Equal(200, answer.Status);
        var hold = -(await server.LedgerAsync("type=hold"))[0].GetProperty("amount_usd").GetDecimal();
        Assert.Equal(2 * hold * 1000, answer.Json.GetProperty("credits_used").GetDecimal());
        Assert.Equal(10 - (2 * hold), (await server.AccountAsync()).GetProperty("balanceUsd").GetDecimal());
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Balance_ForTenHolds_LetsTenOfAThousandRunsIn()
    {
        var open = new TaskCompletionSource();
        var model = new ScriptedChatClient().Reply(open.Task, "Done.", Usage(10, 10));
        await using var server = await TestServer.StartAsync(
            options => options with { Credits = new CreditOptions { StartingBalanceUsd = 0.6m } },
            builder => model.AddTo(builder), realTime: true);
        var agent = await server.NewAgentAsync("\"max_output_tokens\":3900");

        var calls = Enumerable.Range(0, 1000).Select(_ => server.RunAsync(agent)).ToList();

        // The model is held back: whatever ends before the gate opens is a refusal.
        var pending = calls.ToList();
        while (pending.Count > 10)
        {
            await Task.WhenAny(pending);
            pending.RemoveAll(call => call.IsCompleted);
        }

        var refused = calls.Count(call => call.IsCompleted);
        open.SetResult();
        var answers = await Task.WhenAll(calls);

        Assert.Equal(990, refused);
        Assert.Equal(10, answers.Count(answer => answer.Status == 200));
        Assert.Equal(990, answers.Count(answer => answer is { Status: 402, ErrorCode: "insufficient_funds" }));
        Assert.Equal(10, server.Database.Read(session => session.Count("SELECT count(*) FROM runs")));
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task ToolCall_OfTheModel_IsMadeAndShown()
    {
        var model = new ScriptedChatClient()
            .Reply("Let me look.", Call("time-now", """{"time_zone":"UTC"}"""), Usage(10, 5))
            .Reply("It is late.", Usage(20, 5));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync("\"tools\":[{\"name\":\"time\",\"type\":\"builtin\"}]");

        using var stream = await server.OpenAsync("POST", "/v1/agents/runs?stream=true", RunTestExtensions.Body(agent));
        var text = await stream.ReadToEndAsync(RunTestExtensions.Cancellation);

        Assert.Equal(
            [
                "run.started", "message.delta", "tool.call", "tool.result", "message.delta", "message.delta",
                "run.completed",
            ],
            text.Split('\n').Where(line => line.StartsWith("event: ", StringComparison.Ordinal))
                .Select(line => line[7..]));
        Assert.Contains("""{"delta":"\n\n"}""", text, StringComparison.Ordinal);
        Assert.Contains("""{"id":"call_1","tool":"time","action":"now","params":{"time_zone":"UTC"}}""", text,
            StringComparison.Ordinal);
        Assert.Contains("\"output\":\"Let me look.\\n\\nIt is late.\"", text, StringComparison.Ordinal);
        Assert.Contains("\"usage\":{\"input_tokens\":30,\"output_tokens\":10}", text, StringComparison.Ordinal);
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task MaxSteps_Reached_EndsTheRunAndKeepsItsCost()
    {
        var model = new ScriptedChatClient().Reply(Call("time-now", "{}"), Usage(10, 5));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync(
            "\"tools\":[{\"name\":\"time\",\"type\":\"builtin\"}],\"limits\":{\"max_steps\":3}");

        var answer = await server.RunAsync(agent);

        Assert.Equal((422, "run_limit_exceeded", "limits.max_steps"),
            (answer.Status, answer.ErrorCode, answer.ErrorParam));
        Assert.Equal(3, model.Calls);
        Assert.Equal(3, (await server.LedgerAsync("type=settle")).GetArrayLength());
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Provider_LostBeforeTheFirstText_IsReplacedForFree()
    {
        var bad = new ScriptedChatClient().Reply(new ProviderException(ProviderFault.Overloaded, "busy"));
        var good = new ScriptedChatClient().Reply("Fine.", Usage(10, 10));
        await using var server = await TestServer.StartAsync(configure: builder =>
        {
            bad.AddTo(builder, Model("mesh/a", 1, 1));
            good.AddTo(builder, Model("mesh/b", 2, 2));
        });
        var agent = await server.NewAgentAsync("\"model\":\"auto\"");

        var answer = await server.RunAsync(agent);

        Assert.Equal("Fine.", answer.Json.GetProperty("output").GetString());
        Assert.Equal("""{"tier":"auto","model":"mesh/b"}""", answer.Json.GetProperty("route").GetRawText());
        Assert.Equal(0.04m, answer.Json.GetProperty("credits_used").GetDecimal());
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Provider_ReportsItsCache_IsChargedByThePricesOfEachPart()
    {
        var usage = new Microsoft.Extensions.AI.UsageContent(new()
        {
            InputTokenCount = 1_000,
            CachedInputTokenCount = 600,
            OutputTokenCount = 10,
            AdditionalCounts = new() { [Reeve.Server.Inference.Providers.UsageFigures.CacheWrittenKey] = 300 },
        });
        var model = new ScriptedChatClient().Reply("Cached.", usage);
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(
            builder, Model() with { CachedInputUsdPerMillion = 0.3m, CacheWriteUsdPerMillion = 3.75m }));
        var agent = await server.NewAgentAsync();

        var answer = await server.RunAsync(agent);

        const decimal Cost = (100 * 3) + (600 * 0.3m) + (300 * 3.75m) + (10 * 15);
        Assert.Equal(Cost / 1_000, answer.Json.GetProperty("credits_used").GetDecimal());
        Assert.Equal(1_000, answer.Json.GetProperty("usage").GetProperty("input_tokens").GetInt32());
        var started = Payload("model_call.started");
        Assert.Equal(
            decimal.Ceiling((started.GetProperty("prompt_tokens").GetInt32() * 3.75m)
                + (started.GetProperty("output_tokens_max").GetInt32() * 15m)),
            started.GetProperty("hold").GetInt64());
        var finished = Payload("model_call.finished");
        Assert.Equal(600, finished.GetProperty("cached_input_tokens").GetInt32());
        Assert.Equal(300, finished.GetProperty("cache_write_tokens").GetInt32());
        await server.AssertSoundAsync();

        JsonElement Payload(string type) => JsonElement.Parse(server.Database.Read(session => session.List(
            "SELECT payload FROM run_events WHERE type = $1", static row => (byte[])row.GetValue(0), type))[0]);
    }

    [Fact]
    public async Task Provider_LostAfterText_ResetsTheOutputAndChargesOnce()
    {
        var bad = new ScriptedChatClient().Reply(
            "Half an ans", new ProviderException(ProviderFault.Unreachable, "cut"));
        var good = new ScriptedChatClient().Reply("Whole.", Usage(10, 10));
        await using var server = await TestServer.StartAsync(configure: builder =>
        {
            bad.AddTo(builder, Model("mesh/a", 1, 1));
            good.AddTo(builder, Model("mesh/b", 2, 2));
        });
        var agent = await server.NewAgentAsync("\"model\":\"auto\"");

        using var stream = await server.OpenAsync("POST", "/v1/agents/runs?stream=true", RunTestExtensions.Body(agent));
        var text = await stream.ReadToEndAsync(RunTestExtensions.Cancellation);

        Assert.Contains(
            "event: output.reset\ndata: {\"reason\":\"provider_fallback\"}", text, StringComparison.Ordinal);
        Assert.Contains("\"output\":\"Whole.\"", text, StringComparison.Ordinal);
        Assert.Equal(0.00004m, -(await server.LedgerAsync("type=settle"))[0].GetProperty("amount_usd").GetDecimal());
        Assert.Equal(1, server.Database.Read(session =>
            session.Count("SELECT count(*) FROM ledger_entries WHERE type = 'loss'")));
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Provider_ThatWouldRefuseTheSameAgain_IsNotToBeAskedAgain()
    {
        var model = new ScriptedChatClient().Reply(new ProviderException(ProviderFault.BadRequest, "no such thing"));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));

        var answer = await server.RunAsync(await server.NewAgentAsync());

        Assert.Equal((503, "false"), (answer.Status, answer.Header("x-should-retry")));
    }

    [Fact]
    public async Task Provider_ThatFailsAfterAStepThatCost_IsNotToBeAskedAgain()
    {
        var model = new ScriptedChatClient().Reply(Call("time-now", """{"time_zone":"UTC"}"""), Usage(10, 5))
            .Reply(new ProviderException(ProviderFault.Overloaded, "busy"));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));

        var answer = await server.RunAsync(
            await server.NewAgentAsync("\"tools\":[{\"name\":\"time\",\"type\":\"builtin\"}]"));

        Assert.Equal((503, "false"), (answer.Status, answer.Header("x-should-retry")));
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Provider_WithoutAnother_AnswersProviderUnavailable()
    {
        var model = new ScriptedChatClient().Reply(
            new ProviderException(ProviderFault.RateLimited, "slow down") { RetryAfterSeconds = 7 });
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync();

        var answer = await server.RunAsync(agent);

        Assert.Equal((503, "provider_unavailable"), (answer.Status, answer.ErrorCode));
        Assert.Equal(("7", null), (answer.Header("Retry-After"), answer.Header("x-should-retry")));
        Assert.StartsWith("run_", answer.Json.GetProperty("error").GetProperty("run_id").GetString(),
            StringComparison.Ordinal);
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task OutputSchema_NotFitted_IsTriedOnceMoreAndThenRefused()
    {
        var model = new ScriptedChatClient().Reply("no json", Usage(1, 1)).Reply("""{"answer":"yes"}""", Usage(1, 1))
            .Reply("still none", Usage(1, 1)).Reply("still none", Usage(1, 1));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync();
        const string Schema = """
            "output_schema":{"type":"object","properties":{"answer":{"type":"string"}},"required":["answer"]}
            """;

        var mended = await server.RunAsync(agent, Schema);
        var refused = await server.RunAsync(agent, Schema);

        Assert.Equal("""{"answer":"yes"}""", mended.Json.GetProperty("output").GetString());
        Assert.Equal((422, "output_invalid"), (refused.Status, refused.ErrorCode));
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task MaxCredits_TooLowForTheAnswer_CutsTheOutputLimitAndSaysSo()
    {
        var model = new ScriptedChatClient().Reply("A long ans",
            Microsoft.Extensions.AI.ChatFinishReason.Length, Usage(10, 40));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync();

        var cut = await server.RunAsync(agent, "\"max_credits\":1");
        var tooLow = await server.RunAsync(agent, "\"max_credits\":0.001");

        Assert.Equal((422, "run_limit_exceeded", "max_credits"), (cut.Status, cut.ErrorCode, cut.ErrorParam));
        Assert.InRange(model.Options.First()!.MaxOutputTokens!.Value, 1, 66);
        Assert.Equal((422, "run_limit_exceeded", "max_credits"), (tooLow.Status, tooLow.ErrorCode, tooLow.ErrorParam));
        Assert.Equal(1, server.Database.Read(session => session.Count("SELECT count(*) FROM runs")));
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task TestKey_SpendsNothingAndReachesBuiltInModelsOnly()
    {
        var model = new ScriptedChatClient().Reply("Paid.", Usage(10, 10));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var named = await server.NewAgentAsync();
        var routed = await server.NewAgentAsync("\"model\":\"auto\"");
        using var client = server.ClientFor(await server.NewKeyAsync("\"kind\":\"mesh_test\",\"scopes\":[\"chat\"]"));

        var refused = await client.PostAsync("/v1/agents/runs", RunTestExtensions.Body(named));
        var answered = await client.PostAsync("/v1/agents/runs", RunTestExtensions.Body(routed));

        Assert.Equal((422, "no_permitted_route"), (refused.Status, refused.ErrorCode));
        Assert.Equal("reeve/quote", answered.Json.GetProperty("route").GetProperty("model").GetString());
        Assert.Equal(0, model.Calls);
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task ConfidentialRun_NeverReachesAProvider()
    {
        var model = new ScriptedChatClient().Reply("Leaked.", Usage(10, 10));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync();

        var answer = await server.RunAsync(agent, "\"privacy_class\":\"confidential\"");

        Assert.Equal((422, "no_permitted_route"), (answer.Status, answer.ErrorCode));
        Assert.Equal(0, model.Calls);
        Assert.Equal(0, server.Database.Read(session => session.Count("SELECT count(*) FROM runs")));
    }

    [Fact]
    public async Task Receipt_OfARun_NamesItsLogAndItsCost()
    {
        var model = new ScriptedChatClient().Reply("Yes.", Usage(1000, 10));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var run = (await server.RunAsync(await server.NewAgentAsync())).Json;

        var receipt = (await server.Client.GetAsync($"/v1/runs/{run.GetProperty("run_id").GetString()}/receipt")).Json;
        var same = await server.Client.GetAsync($"/v1/receipts/{run.GetProperty("receipt_id").GetString()}");

        Assert.Equal(receipt.GetRawText(), same.Text);
        Assert.Equal("""{"upstream_usd":0.00315,"margin_usd":0,"total_usd":0.00315}""",
            receipt.GetProperty("cost").GetRawText());
        Assert.Equal(64, receipt.GetProperty("log_head").GetString()!.Length);
    }

    [Fact]
    public async Task Instructions_AreRenderedAndHistoryIsShownToTheModel()
    {
        var model = new ScriptedChatClient().Reply("One.", Usage(1, 1)).Reply("Two.", Usage(1, 1));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync("\"instructions\":\"Serve {{user.name}} on {{metadata.plan}}.\"");

        var first = await server.RunAsync(
            agent, "\"user\":{\"name\":\"Ada\"},\"metadata\":{\"plan\":\"pro\"},\"input\":\"First\"");
        var conversation = first.Json.GetProperty("conversation_id").GetString();
        await server.RunAsync(agent, $"\"conversation_id\":\"{conversation}\",\"input\":\"Second\"");

        Assert.Equal("Serve Ada on pro.", model.Prompts.First()[0].Text);
        Assert.Equal(["Serve  on .", "First", "One.", "Second"], model.Prompts.Last().Select(message => message.Text));
        var messages = (await server.Client.GetAsync($"/v1/conversations/{conversation}/messages")).Json;
        Assert.Equal(4, messages.GetProperty("data").GetArrayLength());
    }
}
