using System.Text;
using Microsoft.Extensions.AI;
using Reeve.Server.Inference;
using Reeve.Server.Inference.Providers.OpenAI;
using Reeve.Server.Privacy;
using Reeve.Server.Tests.Runs;
using static Reeve.Server.Tests.Runs.ScriptedChatClient;

namespace Reeve.Server.Tests.Privacy;

/// <summary>A provider that keeps nothing gets no personal data; the caller sees none of it missing.</summary>
public sealed class ProtectedRunTests : IDisposable
{
    private static readonly PrivacyMarks ZeroRetention = new(true, false, false);

    private readonly ScriptedChatClient _model = new();

    public void Dispose() => _model.Dispose();

    [Fact]
    public async Task Run_SendsPlaceholdersAndAnswersWithTheData()
    {
        _model.Reply("Dear [NA", "ME_1], we wrote to [EMAIL", "_1] and [EMAIL_7].");
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync(
            "\"privacy_class\":\"protected\",\"instructions\":\"You help {{user.name}} of desk@house.example.\"");

        var answer = await server.RunAsync(agent,
            "\"input\":\"I am ann@x.io, call +47 22 33 44 55.\",\"user\":{\"id\":\"u\",\"name\":\"Ann Lee\"}");

        Assert.True(answer.Status == 200, answer.Text);
        Assert.Equal("Dear Ann Lee, we wrote to desk@house.example and [EMAIL_7].",
            answer.Json.GetProperty("output").GetString());
        var sent = Sent();
        Assert.Equal("You help [NAME_1] of [EMAIL_1].|I am [EMAIL_2], call [PHONE_1].", sent);
    }

    [Fact]
    public async Task Stream_RestoresAcrossItsPieces()
    {
        _model.Reply("[", "EMAIL", "_", "1", "]", " and [not one]", "[EMAIL_", Usage(1, 1));
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync("\"privacy_class\":\"protected\"");
        using var stream = await server.OpenAsync("POST", "/v1/agents/runs?stream=true",
            RunTestExtensions.Body(agent, "\"input\":\"I am ann@x.io.\""));
        var text = await stream.ReadToEndAsync(TestContext.Current.CancellationToken);
        Assert.Contains("\"output\":\"ann@x.io and [not one][EMAIL_\"", text, StringComparison.Ordinal);
        Assert.DoesNotContain("EMAIL_1", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ToolArguments_AreRestoredForTheCaller()
    {
        _model.Reply(Call("send_mail", """{"to":"[EMAIL_1]","[EMAIL_1]":1}"""));
        await using var server = await StartAsync();
        var answer = await server.Client.PostAsync("/v1/chat/completions", """
            {"model":"mesh/house-1","privacy":{"class":"protected"},
             "messages":[{"role":"user","content":"Mail ann@x.io."}],
             "tools":[{"type":"function","function":{"name":"send_mail","description":"From boss@x.io"}}]}
            """);
        Assert.True(answer.Status == 200, answer.Text);
        Assert.Equal("""{"to":"ann@x.io","ann@x.io":1}""", answer.Json.GetProperty("choices")[0].GetProperty("message")
            .GetProperty("tool_calls")[0].GetProperty("function").GetProperty("arguments").GetString());
        var tool = Assert.IsType<AIFunctionDeclaration>(
            Assert.Single(_model.Options.Single()!.Tools!), exactMatch: false);
        Assert.Equal("From [EMAIL_2]", tool.Description);
    }

    /// <summary>Whatever a caller may write anywhere in a chat leaves masked, ids and names too.</summary>
    [Fact]
    public async Task Chat_LeavesMaskedInEveryMember()
    {
        _model.Reply("Done.");
        await using var server = await StartAsync();
        var answer = await server.Client.PostAsync("/v1/chat/completions", """
            {"model":"mesh/house-1","privacy":{"class":"protected"},"stop":["c@x.io"],"user":"d@x.io",
             "metadata":{"m":"e@x.io"},
             "messages":[{"role":"user","content":[{"type":"text","text":"I am f@"},{"type":"text","text":"x.io"}]},
              {"role":"assistant","content":null,"tool_calls":[{"id":"g@x.io","type":"function",
               "function":{"name":"h@x.io","arguments":"{\"i@x.io\":{\"card\":4111111111111111}}"}}]},
              {"role":"tool","tool_call_id":"g@x.io","content":"{\"card\":4111111111111111}"}],
             "tools":[{"type":"function","function":{"name":"send","parameters":
              {"type":"object","properties":{"j@x.io":{"const":"k@x.io"}}}}}],
             "response_format":{"type":"json_schema","json_schema":{"name":"l@x.io","description":"m@x.io",
              "schema":{"type":"object","properties":{"n":{"enum":["n@x.io"]}}}}}}
            """);
        Assert.True(answer.Status == 200, answer.Text);
        using var body = OpenAIRequestWriter.Write(
            Model(), _model.Prompts.Single(), _model.Options.Single(), streamed: true, new HashSet<string>());
        var sent = Encoding.UTF8.GetString(body.Span);
        Assert.DoesNotContain("x.io", sent, StringComparison.Ordinal);
        Assert.DoesNotContain("41111", sent, StringComparison.Ordinal);
        Assert.Contains("\"tool_call_id\":\"EMAIL_", sent, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Quote_OfASource_IsThatOfTheDocument()
    {
        await using var server = await StartAsync(citing: true);
        var agent = await server.NewAgentAsync("\"privacy_class\":\"protected\"");
        var document = (await server.Client.PostAsync($"/v1/agents/{agent}/documents",
            """{"name":"Keys","text":"For keys of the harbour write to ann@x.io."}""")).Json
            .GetProperty("id").GetString();
        await Eventually.TrueAsync(async () => (await server.Client.GetAsync($"/v1/documents/{document}")).Json
            .GetProperty("status").GetString() == "ready");
        var chunk = (await server.Client.GetAsync($"/v1/documents/{document}/chunks")).Json.GetProperty("data")[0]
            .GetProperty("id").GetString();
        _model.Reply(new TextContent("So it is.")
        {
            Annotations = [new CitationAnnotation { FileId = chunk, Snippet = "write to [EMAIL_1]" }],
        });

        var answer = await server.RunAsync(agent, "\"input\":\"Who has the keys of the harbour?\"");

        var run = await server.Client.GetAsync($"/v1/runs/{answer.Json.GetProperty("run_id").GetString()}");
        Assert.Equal("write to ann@x.io", run.Json.GetProperty("citations")[0].GetProperty("quote").GetString());
    }

    [Fact]
    public async Task Image_IsNotSent()
    {
        await using var server = await StartAsync();
        var answer = await server.Client.PostAsync("/v1/chat/completions", """
            {"model":"mesh/house-1","privacy_class":"protected","messages":[{"role":"user","content":[
             {"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}]}]}
            """);
        Assert.Equal((422, "no_permitted_route"), (answer.Status, answer.ErrorCode));
        Assert.Equal(0, _model.Calls);
    }

    [Theory]
    [InlineData("protected", false, 422)]
    [InlineData("private_gateway", true, 422)]
    [InlineData("confidential", true, 422)]
    [InlineData("standard", false, 200)]
    public async Task Class_ThatNoProviderPermits_LeavesNothingToAnySocket(string privacyClass, bool keeps, int status)
    {
        await using var server = await StartAsync(keeps ? ZeroRetention : PrivacyMarks.Nothing);
        var agent = await server.NewAgentAsync();
        var answer = await server.RunAsync(agent, $"\"privacy_class\":\"{privacyClass}\"");
        Assert.Equal((status, status == 200 ? 1 : 0), (answer.Status, _model.Calls));
    }

    [Fact]
    public async Task OperatorsOwnModel_GetsTheTextAsItIs()
    {
        await using var server = await StartAsync(new PrivacyMarks(true, true, false));
        var agent = await server.NewAgentAsync("\"privacy_class\":\"protected\"");
        await server.RunAsync(agent, "\"input\":\"I am ann@x.io.\"");
        Assert.Equal("I am ann@x.io.", Sent());
    }

    private string Sent()
    {
        var text = new StringBuilder();
        return text.AppendJoin('|', _model.Prompts.Single().Select(static message => message.Text)).ToString();
    }

    private Task<TestServer> StartAsync(PrivacyMarks? marks = null, bool citing = false) => TestServer.StartAsync(
        configure: builder => _model.AddTo(builder, Model() with
        {
            Capabilities = new HashSet<string>(Capabilities.Words),
            ReportsCitations = citing,
        }, marks ?? ZeroRetention));
}
