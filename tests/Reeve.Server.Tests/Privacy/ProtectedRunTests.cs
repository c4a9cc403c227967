using System.Text;
using Microsoft.Extensions.AI;
using Reeve.Server.Inference;
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

    private Task<TestServer> StartAsync(PrivacyMarks? marks = null) => TestServer.StartAsync(configure: builder =>
        _model.AddTo(builder, Model() with { Capabilities = new HashSet<string>(Capabilities.Words) },
            marks ?? ZeroRetention));
}
