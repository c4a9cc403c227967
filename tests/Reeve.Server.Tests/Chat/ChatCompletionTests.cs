using System.Text.Json;
using Microsoft.Extensions.AI;
using Reeve.Server.Inference;
using Reeve.Server.Tests.Runs;
using static Reeve.Server.Tests.Runs.ScriptedChatClient;

namespace Reeve.Server.Tests.Chat;

public sealed class ChatCompletionTests : IDisposable
{
    private const string Path = "/v1/chat/completions";
    private const string Weather = """
        "tools":[{"type":"function","function":{"name":"get_weather","description":"The weather.",
        "parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}]
        """;

    private readonly ScriptedChatClient _model = new();

    public void Dispose() => _model.Dispose();

    [Fact]
    public async Task Completion_HasTheDocumentedShapeAndExactMoney()
    {
        _model.Reply("A short ", "summary.", Usage(210, 5));
        await using var server = await StartAsync();

        var answer = await ChatAsync(
            server, """
            "user":"u_1","temperature":0.5,"max_tokens":50,"stop":"END","seed":7
            """);

        Assert.True(answer.Status == 200, answer.Text);
        var body = answer.Json;
        Assert.StartsWith("chatcmpl-", body.GetProperty("id").GetString(), StringComparison.Ordinal);
        Assert.Equal("chat.completion", body.GetProperty("object").GetString());
        Assert.Equal(TestServer.StartTime.ToUnixTimeSeconds(), body.GetProperty("created").GetInt64());
        Assert.Equal("""[{"index":0,"message":{"role":"assistant","content":"A short summary.","refusal":null},"""
            + "\"finish_reason\":\"stop\",\"logprobs\":null}]", body.GetProperty("choices").GetRawText());
        Assert.Equal("""{"prompt_tokens":210,"completion_tokens":5,"total_tokens":215,"cost":0.000705}""",
            body.GetProperty("usage").GetRawText());
        Assert.Equal("""{"mode":"direct","model":"mesh/house-1","chain":["mesh/house-1"],"""
            + "\"attempts\":[{\"model\":\"mesh/house-1\",\"outcome\":\"completed\",\"code\":null}]}",
            body.GetProperty("routing").GetRawText());
        Assert.Equal("0.000705", answer.Header("x-mesh-total-usd"));
        var options = Assert.Single(_model.Options)!;
        Assert.Equal((50, 0.5f, "END", 7L),
            (options.MaxOutputTokens, options.Temperature, options.StopSequences![0], options.Seed));

        var run = (await server.Client.GetAsync($"/v1/runs/{RunId(body)}")).Json;
        Assert.Equal(("chat", JsonValueKind.Null, JsonValueKind.Null, "Hi", "u_1"), (
            run.GetProperty("kind").GetString(), run.GetProperty("agent_id").ValueKind,
            run.GetProperty("conversation_id").ValueKind, run.GetProperty("input").GetString(),
            run.GetProperty("user").GetProperty("id").GetString()));
        var receipt = (await server.Client.GetAsync($"/v1/runs/{RunId(body)}/receipt")).Json;
        Assert.Equal(JsonValueKind.Null, receipt.GetProperty("agent_id").ValueKind);
        Assert.Equal(answer.Header("x-mesh-receipt-id"), receipt.GetProperty("id").GetString());
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Stream_IsOpenAIsOwn()
    {
        _model.Reply("A short ", "summary.", Usage(210, 5));
        await using var server = await StartAsync();

        var text = await StreamAsync(server, "\"stream_options\":{\"include_usage\":true}");

        var frames = text.TrimEnd('\n').Split("\n\n");
        Assert.All(frames, static frame => Assert.StartsWith("data: ", frame, StringComparison.Ordinal));
        Assert.Equal("data: [DONE]", frames[^1]);
        var chunks = frames[..^1].Select(static frame => JsonElement.Parse(frame["data: ".Length..])).ToList();
        Assert.Single(chunks.Select(static chunk => chunk.GetProperty("id").GetString()).Distinct());
        Assert.Equal(
            ["""{"role":"assistant","content":""}""", """{"content":"A short "}""", """{"content":"summary."}""", "{}"],
            chunks[..^1].Select(static chunk => chunk.GetProperty("choices")[0].GetProperty("delta").GetRawText()));
        Assert.Equal(
            [null, null, null, "stop"],
            chunks[..^1].Select(static one => one.GetProperty("choices")[0].GetProperty("finish_reason").GetString()));
        Assert.Equal("""{"mode":"direct","model":"mesh/house-1","chain":["mesh/house-1"],"""
            + "\"attempts\":[{\"model\":\"mesh/house-1\",\"outcome\":\"started\",\"code\":null}]}",
            chunks[0].GetProperty("routing").GetRawText());
        Assert.Equal(0, chunks[^1].GetProperty("choices").GetArrayLength());
        Assert.Equal(0.000705m, chunks[^1].GetProperty("usage").GetProperty("cost").GetDecimal());
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Tools_AreReturnedAndNeverCalled()
    {
        _model.Reply(Call("get_weather", """{"city":"Oslo"}"""), Call("get_weather", """{"city":"Bergen"}"""));
        await using var server = await StartAsync();

        var answer = await ChatAsync(server, Weather + """, "tool_choice":"required","parallel_tool_calls":true""");

        var choice = answer.Json.GetProperty("choices")[0];
        Assert.Equal("tool_calls", choice.GetProperty("finish_reason").GetString());
        var message = choice.GetProperty("message");
        Assert.Equal(JsonValueKind.Null, message.GetProperty("content").ValueKind);
        var calls = message.GetProperty("tool_calls");
        Assert.Equal(
            """{"name":"get_weather","arguments":"{\"city\":\"Oslo\"}"}""",
            calls[0].GetProperty("function").GetRawText());
        Assert.NotEqual(calls[0].GetProperty("id").GetString(), calls[1].GetProperty("id").GetString());
        var options = Assert.Single(_model.Options)!;
        Assert.Equal((ChatToolMode.RequireAny, true), (options.ToolMode, options.AllowMultipleToolCalls));

        var text = await StreamAsync(server, Weather);
        Assert.Contains("\"tool_calls\":[{\"index\":1,\"id\":\"call_", text, StringComparison.Ordinal);
        Assert.Contains("{\"index\":1,\"function\":{\"arguments\":\"{\\\"city\\\":\\\"Bergen\\\"}\"}}", text,
            StringComparison.Ordinal);
        Assert.Contains("\"delta\":{},\"finish_reason\":\"tool_calls\"", text, StringComparison.Ordinal);
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Messages_OfAllKindsReachTheModelAsTheyAre()
    {
        await using var server = await StartAsync();
        var answer = await server.Client.PostAsync(Path, $$$"""
            {"model":"mesh/house-1",{{{Weather}}},"messages":[
              {"role":"developer","content":"Be brief."},
              {"role":"user","content":[{"type":"text","text":"What is this?"},
                {"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo=","detail":"low"}}]},
              {"role":"assistant","content":null,"tool_calls":[
                {"id":"a","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Oslo\"}"}},
                {"id":"b","type":"function","function":{"name":"get_weather","arguments":""}}]},
              {"role":"tool","tool_call_id":"b","content":"rain"},
              {"role":"tool","tool_call_id":"a","content":[{"type":"text","text":"sun"}]},
              {"role":"user","content":"And now?","name":"ann"}]}
            """);
        Assert.True(answer.Status == 200, answer.Text);

        var prompt = Assert.Single(_model.Prompts);
        Assert.Equal(["system", "user", "assistant", "tool", "user"], prompt.Select(static one => one.Role.Value));
        var image = Assert.IsType<DataContent>(prompt[1].Contents[1]);
        Assert.Equal(("image/png", 8), (image.MediaType, image.Data.Length));
        Assert.Equal(["a", "b"], prompt[2].Contents.Cast<FunctionCallContent>().Select(static one => one.CallId));
        Assert.Equal(
            [("b", "rain"), ("a", "sun")],
            prompt[3].Contents.Cast<FunctionResultContent>().Select(static one => (one.CallId, (string)one.Result!)));
    }

    [Fact]
    public async Task Arguments_ThatAreNoJson_AreTheCallersToReadAsTheyWereWritten()
    {
        const string Cut = "{\"city\":\"Os";
        var call = new FunctionCallContent("p1", "get_weather")
        {
            RawRepresentation = Cut,
            Exception = new JsonException("The arguments are not a JSON object."),
        };
        _model.Reply(call);
        await using var server = await StartAsync();

        var answer = await ChatAsync(server, Weather);
        var text = await StreamAsync(server, Weather);

        var function = answer.Json.GetProperty("choices")[0].GetProperty("message").GetProperty("tool_calls")[0]
            .GetProperty("function");
        Assert.Equal(Cut, function.GetProperty("arguments").GetString());
        Assert.True(answer.Json.GetProperty("usage").GetProperty("completion_tokens").GetInt32() > 1, answer.Text);
        Assert.Contains("{\"arguments\":\"{\\\"city\\\":\\\"Os\"}", text, StringComparison.Ordinal);
        var run = (await server.Client.GetAsync($"/v1/runs/{RunId(answer.Json)}")).Json;
        Assert.Equal("completed", run.GetProperty("status").GetString());
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Usage_WithoutTokensForTextThatCame_IsCounted()
    {
        _model.Reply("A short summary.", Usage(210, 0));
        await using var server = await StartAsync();

        var usage = (await ChatAsync(server, "\"max_tokens\":50")).Json.GetProperty("usage");

        Assert.Equal(210, usage.GetProperty("prompt_tokens").GetInt32());
        Assert.InRange(usage.GetProperty("completion_tokens").GetInt32(), 3, 5);
        Assert.InRange(usage.GetProperty("cost").GetDecimal(), 0.000675m, 0.000705m);
        _model.Reply("", Usage(210, 0));
        usage = (await ChatAsync(server, "\"max_tokens\":50")).Json.GetProperty("usage");
        Assert.Equal((210, 0), (usage.GetProperty("prompt_tokens").GetInt32(),
            usage.GetProperty("completion_tokens").GetInt32()));
        await server.AssertSoundAsync();
    }

    [Theory]
    [InlineData("""{}""", "messages")]
    [InlineData("""{"messages":[]}""", "messages")]
    [InlineData("""{"messages":[{"role":"robot","content":"x"}]}""", "messages[0].role")]
    [InlineData("""{"messages":[{"role":"user"}]}""", "messages[0].content")]
    [InlineData("""{"messages":[{"role":"user","content":7}]}""", "messages[0].content")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"video"}]}]}""", "messages[0].content[0].type")]
    [InlineData("""{"messages":[{"role":"tool","tool_call_id":"x","content":"y"}]}""", "messages[0].tool_call_id")]
    [InlineData("""{"messages":[{"role":"assistant","content":""},{"role":"assistant"}]}""", "messages[1].content")]
    [InlineData("""
        {"messages":[{"role":"assistant","tool_calls":[{"id":"a","type":"function",
        "function":{"name":"f","arguments":"[1]"}}]}]}
        """, "messages[0].tool_calls[0].function.arguments")]
    [InlineData("""
        {"messages":[{"role":"assistant","tool_calls":[{"id":"a","type":"function",
        "function":{"name":"f","arguments":"{}"}}]},{"role":"user","content":"x"}]}
        """, "messages[1].role")]
    [InlineData("""
        {"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}]}
        """, "messages[0].content[0].image_url.url")]
    [InlineData("""
        {"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:text/html;base64,AAAA"}}]}]}
        """, "messages[0].content[0].image_url.url")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"temperature":3}""", "temperature")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"n":2}""", "n")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"functions":[]}""", "functions")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"max_tokens":0}""", "max_tokens")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"max_completion_tokens":9,"max_tokens":"9"}""",
        "max_tokens")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"route":"random"}""", "route")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"privacy":{"modus":"mesh"}}""", "privacy.modus")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"privacy":{"mode":"secret"}}""", "privacy.mode")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"tool_choice":"required"}""", "tool_choice")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"response_format":{"type":"xml"}}""",
        "response_format.type")]
    [InlineData("""{"messages":[{"role":"user","content":"x"}],"stream":"yes"}""", "stream")]
    public async Task Request_ThatIsWrong_NamesThePlaceAndLeavesNothing(string body, string param)
    {
        await using var server = await StartAsync();
        var answer = await server.Client.PostAsync(Path, body);
        Assert.True(answer.Status == 400, answer.Text);
        Assert.Equal(param, answer.ErrorParam);
        Assert.Empty((await server.Client.GetAsync("/v1/runs")).Json.GetProperty("data").EnumerateArray());
    }

    [Theory]
    [InlineData("\"model\":\"mesh/none\"", "model")]
    [InlineData("\"model\":\"agt_06F7557C5CM18FNXB2V5D4V72R\"", "model")]
    [InlineData("\"model\":\"mesh/house-1\",\"models\":[\"mesh/house-1\",\"auto\"]", "models[1]")]
    public async Task Model_ThatIsUnknown_Is404(string members, string param)
    {
        await using var server = await StartAsync();
        var answer = await server.Client.PostAsync(
            Path, $$"""{{{members}},"messages":[{"role":"user","content":"x"}]}""");
        Assert.Equal((404, "not_found", param), (answer.Status, answer.ErrorCode, answer.ErrorParam));
    }

    [Fact]
    public async Task UnknownMembers_ArePassedOver()
    {
        await using var server = await StartAsync();
        Assert.Equal(200, (await ChatAsync(server, "\"logit_bias\":{},\"store\":true,\"anything\":[1]")).Status);
    }

    [Fact]
    public async Task NamedModel_ThatLacksWhatIsNeeded_Is400AndAModePassesItOver()
    {
        await using var server = await TestServer.StartAsync(configure: builder =>
        {
            _model.AddTo(builder, Model() with { Capabilities = new HashSet<string> { "chat", "streaming" } });
            _model.AddTo(builder, Model("mesh/house-2", 9, 9));
        });
        var answer = await ChatAsync(server, Weather);
        Assert.Equal((400, "model"), (answer.Status, answer.ErrorParam));
        answer = await ChatAsync(server, Weather, "cheapest");
        Assert.Equal("mesh/house-2", answer.Json.GetProperty("model").GetString());
        answer = await ChatAsync(server, Weather + ""","models":["mesh/house-2"]""");
        Assert.Equal("mesh/house-2", answer.Json.GetProperty("model").GetString());
    }

    [Fact]
    public async Task Fallback_GoesThroughTheListAndIsChargedOnce()
    {
        var broken = new ScriptedChatClient().Reply(new ProviderException(ProviderFault.Overloaded, "busy"));
        _model.Reply("Here.", Usage(100, 10));
        await using var server = await TestServer.StartAsync(configure: builder =>
        {
            broken.AddTo(builder);
            _model.AddTo(builder, Model("mesh/house-2", 4, 20));
            new ScriptedChatClient().AddTo(builder, Model("mesh/house-3", 1, 1));
        });

        var answer = await ChatAsync(
            server, "\"models\":[\"mesh/house-2\",\"mesh/house-3\"],\"route\":\"fallback\"");

        Assert.Equal("""{"mode":"fallback","model":"mesh/house-2","""
            + "\"chain\":[\"mesh/house-1\",\"mesh/house-2\",\"mesh/house-3\"],"
            + "\"attempts\":[{\"model\":\"mesh/house-1\",\"outcome\":\"failed\",\"code\":\"provider_unavailable\"},"
            + """{"model":"mesh/house-2","outcome":"completed","code":null}]}""",
            answer.Json.GetProperty("routing").GetRawText());
        Assert.Equal("0.000600", answer.Header("x-mesh-total-usd"));

        var cheapest = await ChatAsync(server, "\"models\":[\"mesh/house-2\",\"mesh/house-3\"],\"route\":\"auto\"");
        Assert.Equal("mesh/house-3", cheapest.Json.GetProperty("model").GetString());
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Stream_WhoseProviderDiesAfterTheFirstText_EndsWithAnErrorAndWithoutDone()
    {
        _model.Reply("Half an ", new ProviderException(ProviderFault.Unreachable, "gone"));
        await using var server = await TestServer.StartAsync(configure: builder =>
        {
            _model.AddTo(builder);
            new ScriptedChatClient().AddTo(builder, Model("mesh/house-2"));
        });

        var text = await StreamAsync(server, "\"models\":[\"mesh/house-2\"]");

        var frames = text.TrimEnd('\n').Split("\n\n");
        Assert.Contains("Half an ", text, StringComparison.Ordinal);
        var error = JsonElement.Parse(frames[^1]["data: ".Length..]).GetProperty("error");
        Assert.Equal("provider_unavailable", error.GetProperty("code").GetString());
        Assert.DoesNotContain("[DONE]", text, StringComparison.Ordinal);
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Stream_WhoseProviderDiesBeforeTheFirstText_FallsBackUnseen()
    {
        _model.Reply(new ProviderException(ProviderFault.Unreachable, "gone"));
        await using var server = await TestServer.StartAsync(configure: builder =>
        {
            _model.AddTo(builder);
            new ScriptedChatClient().Reply("Whole.").AddTo(builder, Model("mesh/house-2"));
        });
        var text = await StreamAsync(server, "\"models\":[\"mesh/house-2\"]");
        Assert.Contains("\"content\":\"Whole.\"", text, StringComparison.Ordinal);
        Assert.Contains("{\"model\":\"mesh/house-1\",\"outcome\":\"failed\"", text, StringComparison.Ordinal);
        Assert.EndsWith("data: [DONE]\n\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_OfACallerWhoLeft_IsCancelled()
    {
        var never = new TaskCompletionSource();
        _model.Reply("Wait", never.Task);
        await using var server = await StartAsync();
        using (var stream = await server.OpenAsync("POST", Path, Body("\"stream\":true")))
        {
            await stream.ReadToAsync("Wait");
        }

        await Eventually.TrueAsync(async () => (await server.Client.GetAsync("/v1/runs?status=cancelled")).Json
            .GetProperty("data").GetArrayLength() == 1);
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Agent_AsTheModel_BringsItsInstructionsAndDocuments()
    {
        _model.Reply("From the text.");
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync("\"instructions\":\"Speak like a pirate.\"");
        await server.Client.PostAsync($"/v1/agents/{agent}/documents",
            """{"name":"ships.md","text":"The mast of the ship is made of oak."}""");

        var answer = await server.Client.PostAsync(Path, $$"""
            {"model":"{{agent}}","messages":[{"role":"user","content":"What is the mast made of?"}]}
            """);

        Assert.True(answer.Status == 200, answer.Text);
        Assert.Equal("agent", answer.Json.GetProperty("routing").GetProperty("mode").GetString());
        var prompt = Assert.Single(_model.Prompts);
        Assert.Contains("pirate", prompt[0].Text, StringComparison.Ordinal);
        Assert.Contains(prompt[^1].Contents, static content => content is SourceContent);
        var run = (await server.Client.GetAsync($"/v1/runs/{RunId(answer.Json)}")).Json;
        Assert.Equal(agent, run.GetProperty("agent_id").GetString());
        Assert.Equal(0, (await server.Client.GetAsync("/v1/conversations")).Json.GetProperty("data").GetArrayLength());
    }

    [Fact]
    public async Task ChatRun_OfACrash_FailsAtTheNextStartAndCostsNothing()
    {
        var folder = TestServer.NewFolder();
        await using (var server = await TestServer.StartAsync(
            configure: builder => _model.AddTo(builder), folder: folder))
        {
            _model.Reply("Wait", new TaskCompletionSource().Task);
            using var stream = await server.OpenAsync("POST", Path, Body("\"stream\":true"));
            await stream.ReadToAsync("Wait");
            var stopping = server.App.StopAsync(TestContext.Current.CancellationToken);
            var rest = await stream.ReadToEndAsync(TestContext.Current.CancellationToken);
            Assert.Contains("\"code\":\"unavailable\"", rest, StringComparison.Ordinal);
            await stopping;
        }

        await using (var server = await TestServer.StartAsync(
            configure: builder => _model.AddTo(builder), folder: folder))
        {
            await Eventually.TrueAsync(async () => (await server.Client.GetAsync("/v1/runs?status=failed")).Json
                .GetProperty("data").GetArrayLength() == 1);
            Assert.Equal(10m, (await server.AccountAsync()).GetProperty("balanceUsd").GetDecimal());
            await server.AssertSoundAsync();
        }

        Directory.Delete(folder, recursive: true);
    }

    private Task<TestServer> StartAsync() => TestServer.StartAsync(configure: builder => _model.AddTo(
        builder, Model() with { Capabilities = new HashSet<string>(Capabilities.Words) }));

    private static Task<TestAnswer> ChatAsync(TestServer server, string members, string model = "mesh/house-1") =>
        server.Client.PostAsync(Path, Body(members, model));

    private static async Task<string> StreamAsync(TestServer server, string members)
    {
        using var stream = await server.OpenAsync("POST", Path, Body("\"stream\":true," + members));
        return await stream.ReadToEndAsync(TestContext.Current.CancellationToken);
    }

    private static string Body(string members, string model = "mesh/house-1") =>
        $$"""{"model":"{{model}}","messages":[{"role":"user","content":"Hi"}],{{members}}}""";

    private static string RunId(JsonElement completion) =>
        completion.GetProperty("id").GetString()!.Replace("chatcmpl-", "run_", StringComparison.Ordinal);
}
