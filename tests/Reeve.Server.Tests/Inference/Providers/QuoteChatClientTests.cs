using System.Text.Json;
using Microsoft.Extensions.AI;
using Reeve.Server.Inference;
using Reeve.Server.Inference.Providers.Builtin;
using Reeve.Server.Tests.Retrieval;

namespace Reeve.Server.Tests.Inference.Providers;

public sealed class QuoteChatClientTests : IDisposable
{
    private readonly RetrievalWorld _world = new();
    private readonly QuoteChatClient _client = new();

    public void Dispose()
    {
        _client.Dispose();
        _world.Dispose();
    }

    [Theory]
    [InlineData("What does the privacy spec promise?", "a call runs in the privacy class you ask for, or is refused")]
    [InlineData("What is Reeve?", "Reeve is a server that runs AI agents")]
    [InlineData("What is a hold?", "A hold is the estimate of a model call")]
    [InlineData("How do I resume a broken stream?", "a broken stream is resumed by asking for the events after")]
    [InlineData("Which privacy classes are there?", "`standard`, `protected`, `private_gateway` and `confidential`")]
    [InlineData("Does closing the connection stop a run?", "Closing the connection does not stop a run")]
    [InlineData("Where is the data kept?", "./data")]
    [InlineData("How do I add a model provider?", "OPENAI_API_KEY")]
    [InlineData("What happens after a crash?", "continues the open runs from their log")]
    [InlineData("How large may a file be?", "32 MiB")]
    [InlineData("How long may the input be?", "8,000 characters")]
    [InlineData("What does confidential permit?", "only models that run inside the server process")]
    [InlineData("Is a failed run charged?", "A failed or cancelled run pays for the model calls that were made")]
    [InlineData("What does a receipt contain?", "A receipt contains the account, the agent and its version")]
    [InlineData("How do I start the server?", "`./run`")]
    [InlineData("How much balance does a new server start with?", "10 dollars")]
    [InlineData("What happens when I delete a document?", "erases its text, its passages and their index entries")]
    [InlineData("How long is an idempotency key remembered?", "24 hours")]
    public async Task Answer_QuestionOnTheDemoDocuments_QuotesTheSentence(string question, string quoted)
    {
        await _world.AddDemoAsync();

        var (text, citations) = await AskAsync(question);

        Assert.Contains(quoted.Replace("`", "", StringComparison.Ordinal), text, StringComparison.Ordinal);
        Assert.All(citations, citation => Assert.Contains(citation.Snippet!, text, StringComparison.Ordinal));
        Assert.NotEmpty(citations);
    }

    [Theory]
    [InlineData("What is the capital of France?")]
    [InlineData("Who won the football world cup in 1998?")]
    [InlineData("How do I bake sourdough bread?")]
    [InlineData("What is the boiling point of water?")]
    [InlineData("When was the French Revolution?")]
    [InlineData("Who painted the Mona Lisa?")]
    [InlineData("What is the price of bitcoin today?")]
    [InlineData("How tall is Mount Everest?")]
    [InlineData("Which planet is the largest in the solar system?")]
    [InlineData("What is the weather in Berlin?")]
    [InlineData("How do I train a neural network?")]
    [InlineData("Can you recommend a good restaurant?")]
    [InlineData("What is the airspeed of an unladen swallow?")]
    [InlineData("Translate hello into Spanish.")]
    [InlineData("hi")]
    public async Task Answer_ForeignQuestion_SaysThatTheDocumentsDoNotAnswer(string question)
    {
        await _world.AddDemoAsync();

        var (text, citations) = await AskAsync(question);

        Assert.Contains(text, (string[])[QuoteAnswer.NotAnswered, QuoteAnswer.NoDocuments]);
        Assert.Empty(citations);
    }

    [Fact]
    public async Task Answer_WithoutSources_SaysThatThereAreNone()
    {
        var response = await _client.GetResponseAsync([new ChatMessage(ChatRole.User, "What is Reeve?")],
            cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal("There are no documents to answer from.", response.Text);
        Assert.Null(response.Messages[0].Contents[0].Annotations);
        Assert.Equal(ChatFinishReason.Stop, response.FinishReason);
    }

    [Fact]
    public async Task Answer_LeaningSentence_BringsTheOneBefore()
    {
        var text = (await AskAsync("How heavy is the anvil?", Source("c1", "smith.md",
            "The anvil stands beside the forge. It weighs three hundred heavy pounds. The smith sleeps late."))).Text;

        Assert.Equal("The anvil stands beside the forge. It weighs three hundred heavy pounds. (smith.md)", text);
    }

    [Fact]
    public async Task Answer_TwoDocuments_NamesEach()
    {
        var (text, citations) = await AskAsync("Which museums open on Monday?",
            Source("c1", "north.md", "The maritime museum opens on Monday at nine."),
            Source("c2", "south.md", "The toy museum opens on Monday at noon."),
            Source("c3", "west.md", "Rain falls in the hills."));

        Assert.Equal("The maritime museum opens on Monday at nine. (north.md)\n\n"
            + "The toy museum opens on Monday at noon. (south.md)", text);
        Assert.Equal(["c1", "c2"], citations.Select(citation => citation.FileId));
    }

    [Fact]
    public async Task Answer_FollowUp_IsUnderstoodFromTheTurnBefore()
    {
        var source = Source("c1", "tax.md",
            "The shipping tax in Asia is four percent. The shipping tax in Europe is nine percent. Cats purr.");
        var messages = (ChatMessage[])
        [
            new(ChatRole.User, "What is the shipping tax in Asia?"), new(ChatRole.Assistant, "Four percent."),
            new(ChatRole.System, [source]), new(ChatRole.User, "and in Europe?"),
        ];

        var response = await _client.GetResponseAsync(messages,
            cancellationToken: TestContext.Current.CancellationToken);

        Assert.StartsWith("The shipping tax in Europe is nine percent.", response.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Stream_Answer_IsTheWholeAnswerInPieces()
    {
        await _world.AddDemoAsync();
        var messages = Messages("What does the privacy spec promise?");
        var whole = await _client.GetResponseAsync(messages, cancellationToken: TestContext.Current.CancellationToken);
        var updates = await _client.GetStreamingResponseAsync(messages,
            cancellationToken: TestContext.Current.CancellationToken)
            .ToListAsync(TestContext.Current.CancellationToken);

        Assert.True(updates.Count > 4);
        Assert.Equal(whole.Text, string.Concat(updates.Select(update => update.Text)));
        Assert.Equal(ChatFinishReason.Stop, updates[^1].FinishReason);
        Assert.All(updates.SkipLast(1), update => Assert.Null(update.FinishReason));
        var usage = Assert.IsType<UsageContent>(Assert.Single(updates[^1].Contents)).Details;
        Assert.Equal((whole.Usage!.InputTokenCount, whole.Usage.OutputTokenCount),
            (usage.InputTokenCount, usage.OutputTokenCount));
        Assert.True(usage is { InputTokenCount: > 100, OutputTokenCount: > 10 });

        // Each citation comes with the first piece of its quote.
        var text = "";
        var cited = 0;
        foreach (var content in updates.SelectMany(update => update.Contents).OfType<TextContent>())
        {
            foreach (var citation in content.Annotations?.OfType<CitationAnnotation>() ?? [])
            {
                Assert.StartsWith(citation.Snippet!, whole.Text[text.Length..], StringComparison.Ordinal);
                cited++;
            }

            text += content.Text;
        }

        Assert.Equal(Citations(whole).Count, cited);
    }

    [Fact]
    public async Task Answer_Citation_MarksTheQuoteInTheText()
    {
        await _world.AddDemoAsync();

        var response = await _client.GetResponseAsync(Messages("What is a hold?"),
            cancellationToken: TestContext.Current.CancellationToken);

        Assert.All(Citations(response), citation =>
        {
            var region = Assert.IsType<TextSpanAnnotatedRegion>(Assert.Single(citation.AnnotatedRegions!));
            Assert.Equal(citation.Snippet, response.Text[region.StartIndex!.Value..region.EndIndex!.Value]);
            Assert.StartsWith("chk_", citation.FileId, StringComparison.Ordinal);
        });
    }

    [Fact]
    public async Task Answer_SmallOutputLimit_LeavesQuotesOutWhole()
    {
        await _world.AddDemoAsync();

        var response = await _client.GetResponseAsync(Messages("What is a hold?"),
            new ChatOptions { MaxOutputTokens = 5 }, TestContext.Current.CancellationToken);

        Assert.Equal(ChatFinishReason.Length, response.FinishReason);
        Assert.True(response.Usage!.OutputTokenCount <= 5);
        Assert.Empty(Citations(response));
    }

    [Fact]
    public async Task Call_RequiredTool_IsMadeOnceWithTheQuestion()
    {
        var tool = AIFunctionFactory.CreateDeclaration("knowledge__search", "finds", JsonElement.Parse("""
            {"type":"object","required":["query","kind","count"],"properties":{"query":{"type":"string","maxLength":12},
            "kind":{"enum":["a","b"]},"count":{"type":"integer","minimum":3},"free":{"type":"string"}}}
            """));
        var options = new ChatOptions { Tools = [tool], ToolMode = ChatToolMode.RequireSpecific("knowledge__search") };
        List<ChatMessage> messages = [new(ChatRole.User, "Where does the ferry land?")];

        var first = await _client.GetResponseAsync(messages, options, TestContext.Current.CancellationToken);

        var call = Assert.IsType<FunctionCallContent>(Assert.Single(first.Messages[0].Contents));
        Assert.Equal(ChatFinishReason.ToolCalls, first.FinishReason);
        Assert.Equal(("call_1", "knowledge__search"), (call.CallId, call.Name));
        Assert.Equal("count=3, kind=a, query=Where does t",
            string.Join(", ", call.Arguments!.OrderBy(entry => entry.Key, StringComparer.Ordinal)
                .Select(entry => $"{entry.Key}={entry.Value}")));

        messages.Add(first.Messages[0]);
        messages.Add(new ChatMessage(ChatRole.Tool, [new FunctionResultContent("call_1", JsonElement.Parse("""
            [{"chunkId":"chk_9","documentId":"doc_1","name":"ferry.md",
            "text":"The ferry lands at the old pier.","score":0.5}]
            """))]));
        var second = await _client.GetResponseAsync(messages, options, TestContext.Current.CancellationToken);

        Assert.Equal("The ferry lands at the old pier. (ferry.md)", second.Text);
        Assert.Equal("chk_9", Assert.Single(Citations(second)).FileId);
    }

    [Fact]
    public async Task Call_ToolsLeftToTheModel_AreNeverMade()
    {
        var tool = AIFunctionFactory.CreateDeclaration("x", "y", JsonElement.Parse("""{"type":"object"}"""));

        var response = await _client.GetResponseAsync([new ChatMessage(ChatRole.User, "Call x.")],
            new ChatOptions { Tools = [tool], ToolMode = ChatToolMode.Auto }, TestContext.Current.CancellationToken);

        Assert.DoesNotContain(response.Messages[0].Contents, content => content is FunctionCallContent);
    }

    [Fact]
    public async Task Call_RequiredToolThatIsNotGiven_IsABadRequest()
    {
        var error = await Assert.ThrowsAsync<ProviderException>(() => _client.GetResponseAsync(
            [new ChatMessage(ChatRole.User, "x")], new ChatOptions { ToolMode = ChatToolMode.RequireAny },
            TestContext.Current.CancellationToken));

        Assert.Equal(ProviderFault.BadRequest, error.Fault);
    }

    [Fact]
    public async Task Answer_ThatOpensItsChunkWithAPronoun_BeginsWithTheEndOfTheChunkBefore()
    {
        var before = Part("chk_1", 4, "Boats pass. The Orla lock was built by monks.");
        var chunk = Part("chk_2", 5, "It was closed in 1911 after a flood. Nothing else is known.");

        var (text, citations) = await AskAsync("When was the lock closed after a flood?", chunk, before);
        var alone = await AskAsync("When was the lock closed after a flood?", chunk, Part("chk_1", 3, before.Text));

        Assert.Equal("The Orla lock was built by monks. It was closed in 1911 after a flood. (a.md)", text);
        Assert.Equal(["chk_1", "chk_2"], citations.Select(static citation => citation.FileId));
        Assert.StartsWith("It was closed in 1911 after a flood.", alone.Text, StringComparison.Ordinal);

        static SourceContent Part(string id, int index, string text) => new(id, "a.md", [], text)
        {
            Position = ("doc_1", index),
        };
    }

    private static SourceContent Source(string id, string name, string text) => new(id, name, [], text);

    private static List<CitationAnnotation> Citations(ChatResponse response) =>
        [.. response.Messages[0].Contents.SelectMany(content => content.Annotations ?? [])
            .OfType<CitationAnnotation>()];

    private ChatMessage[] Messages(string question)
    {
        var found = _world.Retriever.Search(RetrievalWorld.Ours, "agt_1", question, 6);
        return [new(ChatRole.User, [.. found.Select(item => item.ToContent()), new TextContent(question)])];
    }

    private async Task<(string Text, List<CitationAnnotation> Citations)> AskAsync(
        string question, params SourceContent[] sources)
    {
        var messages = sources.Length == 0
            ? Messages(question)
            : [new(ChatRole.User, [.. sources, new TextContent(question)])];
        var response = await _client.GetResponseAsync(messages,
            cancellationToken: TestContext.Current.CancellationToken);
        return (response.Text, Citations(response));
    }
}
