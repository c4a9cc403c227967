using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text;
using System.Text.Json;
using OpenAI;
using OpenAI.Chat;
using OpenAI.Embeddings;
using Reeve.Server.Inference;
using Reeve.Server.Tests.Runs;
using static Reeve.Server.Tests.Runs.ScriptedChatClient;
using ChatMessage = OpenAI.Chat.ChatMessage;

namespace Reeve.Server.Tests.Clients;

/// <summary>OpenAI's own .NET library (package <c>OpenAI</c>, MIT) against a server of ours.</summary>
public sealed class OpenAILibraryTests : IDisposable
{
    private static readonly ChatTool Weather = ChatTool.CreateFunctionTool(
        "get_weather", "The weather.",
        BinaryData.FromString("""{"type":"object","properties":{"city":{"type":"string"}}}"""));

    private readonly ScriptedChatClient _model = new();
    private readonly ScriptedEmbeddings _embeddings = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _model.Dispose();
        _embeddings.Dispose();
    }

    [Fact]
    public async Task Chat_WholeAndStreamed_IsReadWithItsUsage()
    {
        _model.Reply("Hello ", "there.", Usage(10, 3)).Reply("One ", "two.", Usage(10, 3));
        await using var server = await StartAsync();
        var chat = Client(server).GetChatClient("mesh/house-1");

        ChatCompletion whole = await chat.CompleteChatAsync(
            [new SystemChatMessage("Be brief."), new UserChatMessage("Hi")],
            new ChatCompletionOptions { MaxOutputTokenCount = 50, Temperature = 0.5f }, Cancellation);
        Assert.Equal(
            ("Hello there.", ChatFinishReason.Stop, 10, 3, 13),
            (whole.Content[0].Text, whole.FinishReason, whole.Usage.InputTokenCount, whole.Usage.OutputTokenCount,
                whole.Usage.TotalTokenCount));
        Assert.Equal("mesh/house-1", whole.Model);

        var text = new StringBuilder();
        var tokens = 0;
        await foreach (var update in chat.CompleteChatStreamingAsync([new UserChatMessage("Hi")], null, Cancellation))
        {
            text.AppendJoin("", update.ContentUpdate.Select(static part => part.Text));
            tokens = update.Usage?.TotalTokenCount ?? tokens;
        }

        Assert.Equal(("One two.", 13), (text.ToString(), tokens));
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Chat_Tools_AreAskedForAndAnswered()
    {
        _model.Reply(Call("get_weather", """{"city":"Oslo"}""")).Reply("There is sun in Oslo.")
            .Reply(Call("get_weather", """{"city":"Bergen"}"""));
        await using var server = await StartAsync();
        var chat = Client(server).GetChatClient("mesh/house-1");
        var options = new ChatCompletionOptions
        {
            Tools = { Weather },
            ToolChoice = ChatToolChoice.CreateRequiredChoice(),
        };
        List<ChatMessage> messages = [new UserChatMessage("Is there sun?")];

        ChatCompletion asked = await chat.CompleteChatAsync(messages, options, Cancellation);
        var call = Assert.Single(asked.ToolCalls);
        Assert.Equal(
            (ChatFinishReason.ToolCalls, "get_weather", """{"city":"Oslo"}"""),
            (asked.FinishReason, call.FunctionName, call.FunctionArguments.ToString()));
        messages.Add(new AssistantChatMessage(asked));
        messages.Add(new ToolChatMessage(call.Id, "sun"));
        ChatCompletion answered = await chat.CompleteChatAsync(
            messages, new ChatCompletionOptions { Tools = { Weather } }, Cancellation);
        Assert.Equal("There is sun in Oslo.", answered.Content[0].Text);

        var name = "";
        var arguments = new StringBuilder();
        await foreach (var update in chat.CompleteChatStreamingAsync(messages, options, Cancellation))
        {
            foreach (var part in update.ToolCallUpdates)
            {
                name += part.FunctionName;
                arguments.Append(part.FunctionArgumentsUpdate);
            }
        }

        Assert.Equal(("get_weather", """{"city":"Bergen"}"""), (name, arguments.ToString()));
    }

    [Fact]
    public async Task Chat_SchemaAndImage_ReachTheModel()
    {
        _model.Reply("""{"answer":"yes"}""");
        await using var server = await StartAsync();
        var chat = Client(server).GetChatClient("mesh/house-1");

        ChatCompletion made = await chat.CompleteChatAsync(
            [
                new UserChatMessage(
                    ChatMessageContentPart.CreateTextPart("Is it red?"),
                    ChatMessageContentPart.CreateImagePart(BinaryData.FromBytes(new byte[] { 1, 2, 3 }), "image/png")),
            ],
            new ChatCompletionOptions
            {
                ResponseFormat = ChatResponseFormat.CreateJsonSchemaFormat("answer", BinaryData.FromString(
                    """
                    {"type":"object","properties":{"answer":{"type":"string"}},"required":["answer"],
                    "additionalProperties":false}
                    """), jsonSchemaIsStrict: true),
            },
            Cancellation);

        Assert.Equal("yes", JsonElement.Parse(made.Content[0].Text).GetProperty("answer").GetString());
        var image = Assert.IsType<Microsoft.Extensions.AI.DataContent>(Assert.Single(_model.Prompts)[0].Contents[1]);
        Assert.Equal(("image/png", 3), (image.MediaType, image.Data.Length));
        Assert.IsType<Microsoft.Extensions.AI.ChatResponseFormatJson>(Assert.Single(_model.Options)!.ResponseFormat);
    }

    [Fact]
    public async Task Embeddings_OneAndMany_AreTheVectorsOfTheTexts()
    {
        await using var server = await StartAsync();
        var client = Client(server).GetEmbeddingClient("mesh/house-e");

        OpenAIEmbedding one = await client.GenerateEmbeddingAsync("cat", null, Cancellation);
        Assert.Equal(ScriptedEmbeddings.Vector("cat"), one.ToFloats().ToArray());

        OpenAIEmbeddingCollection many = await client.GenerateEmbeddingsAsync(
            ["cat", "Grüße"], new EmbeddingGenerationOptions { Dimensions = 2 }, Cancellation);
        Assert.Equal(
            [ScriptedEmbeddings.Vector("cat", 2), ScriptedEmbeddings.Vector("Grüße", 2)],
            many.Select(static vector => vector.ToFloats().ToArray()));
        Assert.Equal((5, 5, "mesh/house-e"), (many.Usage.InputTokenCount, many.Usage.TotalTokenCount, many.Model));
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Errors_AreThrownWithTheirStatus()
    {
        _model.Reply("Half", new ProviderException(ProviderFault.Unreachable, "gone"));
        await using var server = await StartAsync();
        var client = Client(server);

        var unknown = await Assert.ThrowsAsync<ClientResultException>(() =>
            client.GetChatClient("mesh/none").CompleteChatAsync([new UserChatMessage("Hi")], null, Cancellation));
        Assert.Equal(404, unknown.Status);
        Assert.Contains("not_found", unknown.Message, StringComparison.Ordinal);
        var tokens = await Assert.ThrowsAsync<ClientResultException>(() =>
            client.GetEmbeddingClient("mesh/house-e").GenerateEmbeddingsAsync([new[] { 1, 2, 3 }.AsMemory()], null,
                Cancellation));
        Assert.Equal(400, tokens.Status);
        Assert.Contains("tokens are not taken", tokens.Message, StringComparison.Ordinal);
        Assert.Empty(_embeddings.Asked);
    }

    private static OpenAIClient Client(TestServer server) => new(
        new ApiKeyCredential(TestServer.AdminKey), new OpenAIClientOptions
        {
            Endpoint = new Uri(server.Url, "v1"),
            RetryPolicy = new ClientRetryPolicy(0),
        });

    private Task<TestServer> StartAsync() => TestServer.StartAsync(configure: builder =>
    {
        _model.AddTo(builder, Model() with { Capabilities = new HashSet<string>(Capabilities.Words) });
        _embeddings.AddTo(builder);
    });
}
