using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Reeve.Server.Tests.Retrieval.Parsing;

namespace Reeve.Server.Tests.Runs;

/// <summary>Runs on <c>reeve/quote</c>: what it quotes, and when it says that the documents do not answer.</summary>
public sealed class QuoteRunTests : IAsyncLifetime
{
    private const string NotAnswered = "The documents do not answer this.";

    private const string Guide = """
        # Guest guide of the Harbour Hotel

        ## Breakfast

        Breakfast is served in the winter garden from half past six to ten.
        It costs 14 euros for adults and 7 euros for children.

        ## Parking

        The garage in Cooper Street has forty spaces.

        ## Pets

        They are welcome on the ground floor for 10 euros a night. The manager decides about snakes.
        """;

    private const string Machine = """
        # Coffee machine

        The tank holds 1.8 litres. The guarantee runs for two years. It does not cover damage by limescale.

        ## Descaling

        The machine is descaled every three months:

        1. Empty the tank and remove the filter.
        2. Pour in 500 ml of acid.
        3. Rinse twice with clear water.

        ## Error codes

        - E1: The tank is empty.
        - E7: The grinder is jammed by a foreign object.
        """;

    private const string Rules = """
        Breakfast for the staff is served in the kitchen from six.
        Fire alarms are tested on the first Tuesday of each month.
        Every employee has 28 days of paid holiday a year. They are requested in the portal four weeks ahead.
        """;

    private const string Rooms = """
        Room,Price,Beds,View
        Single,85 EUR,1,Courtyard
        Captain,165 EUR,2,Harbour
        Family,190 EUR,4,Courtyard
        """;

    private TestServer _server = null!;
    private string _agent = "";

    public async ValueTask InitializeAsync()
    {
        _server = await TestServer.StartAsync();
        _agent = await _server.NewAgentAsync("\"model\":\"reeve/quote\"");
        await AddAsync("guide.md", Guide);
        await AddAsync("machine.md", Machine);
        await AddAsync("rules.txt", Rules);
        await AddFileAsync("rooms.csv", Encoding.UTF8.GetBytes(Rooms));
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Theory]
    [InlineData("How much is a place on the boat?",
        "The boat at the pier has 40 places. A place costs 18 euros a trip. (boat.txt)")]
    [InlineData("How many places does the boat have?", "The boat at the pier has 40 places. (boat.txt)")]
    public async Task HowMuch_AsksForAnAmount(string question, string answer)
    {
        await AddAsync("boat.txt", "The boat at the pier has 40 places. A place costs 18 euros a trip.");

        Assert.Equal(answer, Output(await AskAsync(question)));
    }

    [Theory]
    [InlineData("Where is the garage?", "The garage in Cooper Street has forty spaces. (guide.md)")]
    [InlineData("How many spaces does the garage have?", "The garage in Cooper Street has forty spaces. (guide.md)")]
    [InlineData("How much water does the tank hold?", "The tank holds 1.8 litres. (machine.md)")]
    [InlineData("Does the guarantee cover limescale?", "The guarantee runs for two years. "
        + "It does not cover damage by limescale. (machine.md)")]
    [InlineData("What do pets cost?", "Pets: They are welcome on the ground floor for 10 euros a night. (guide.md)")]
    [InlineData("What does error E7 mean?", "E7: The grinder is jammed by a foreign object. (machine.md)")]
    [InlineData("What does the Captain room cost?",
        "Room: Captain | Price: 165 EUR | Beds: 2 | View: Harbour (rooms.csv)")]
    [InlineData("When are fire alarms tested?",
        "Fire alarms are tested on the first Tuesday of each month. (rules.txt)")]
    [InlineData("How do I descale the machine?", "The machine is descaled every three months:\n"
        + "Empty the tank and remove the filter.\nPour in 500 ml of acid.\nRinse twice with clear water. (machine.md)")]
    public async Task Question_ThatIsAnswered_GetsTheSentences(string question, string answer)
    {
        Assert.Equal(answer, Output(await AskAsync(question)));
    }

    [Fact]
    public async Task Question_ThatTwoDocumentsAnswer_GetsBothWithTheirNames()
    {
        var answer = await AskAsync("Where is breakfast served?");

        Assert.Equal("Breakfast is served in the winter garden from half past six to ten. (guide.md)\n\n"
            + "Breakfast for the staff is served in the kitchen from six. (rules.txt)", Output(answer));
        var names = (await CitationsAsync(answer)).Select(static one => one.GetProperty("name").GetString());
        Assert.Equal(["guide.md", "rules.txt"], names.Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("Who wrote The Brothers Karamazov?")]
    [InlineData("What is the capital of Australia?")]
    [InlineData("How do vaccines work?")]
    [InlineData("What is the time complexity of quicksort?")]
    [InlineData("Is there a swimming pool?")]
    [InlineData("What does a massage cost?")]
    [InlineData("Does Captain Nemo have breakfast served at ten?")]
    [InlineData("How many spaces does the garage in Miller Street have?")]
    [InlineData("What was it?")]
    [InlineData("hello")]
    public async Task Question_ThatIsNotAnswered_IsRefusedWithoutSources(string question)
    {
        var answer = await AskAsync(question);

        Assert.Equal((NotAnswered, 0), (Output(answer), answer.Json.GetProperty("sources").GetArrayLength()));
    }

    [Theory]
    [InlineData("How much is breakfast for adults?", "and for children?", "7 euros for children.")]
    [InlineData("What does the Captain room cost?", "and the Family room?", "Room: Family | Price: 190 EUR")]
    [InlineData("How long is the guarantee?", "Does it cover limescale?", "It does not cover damage by")]
    [InlineData("Where is breakfast served in the hotel?", "Since when?", "from half past six to ten.")]
    [InlineData("How many days of holiday do employees get?", "How are they requested?", "requested in the portal")]
    [InlineData("How long is the guarantee?", "When are fire alarms tested?", "first Tuesday")]
    [InlineData("How long is the guarantee?", "Is there a garage?", "Cooper Street")]
    public async Task FollowUp_OnTheTopicOrOnAnother_IsAnswered(string first, string second, string quoted)
    {
        var conversation = (await AskAsync(first)).Json.GetProperty("conversation_id").GetString();

        var answer = Output(await AskAsync(second, conversation));

        Assert.Contains(quoted, answer, StringComparison.Ordinal);
        Assert.DoesNotContain("\n\n", answer, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("What does the guarantee on the coffee machine cover?", "and who is the mayor?")]
    [InlineData("How many days of holiday do employees get?", "What is the capital of France?")]
    [InlineData("How long does the guarantee run?", "Is it served?")]
    public async Task FollowUp_ThatIsNotAnswered_GetsNothingOfTheTopicBefore(string first, string second)
    {
        var conversation = (await AskAsync(first)).Json.GetProperty("conversation_id").GetString();

        Assert.Equal(NotAnswered, Output(await AskAsync(second, conversation)));
    }

    [Fact]
    public async Task Citation_OfAPagedFile_HasThePageOfTheQuote()
    {
        await AddFileAsync("tea.pdf", SampleFiles.Pdf([(11, 700, "Sencha is steeped for one minute.")],
            [(11, 700, "Oolong is steeped for four minutes.")]));

        var answer = await AskAsync("How long is oolong steeped?");

        var citation = Assert.Single(await CitationsAsync(answer));
        Assert.Equal("Oolong is steeped for four minutes. (tea.pdf)", Output(answer));
        Assert.Equal(("Oolong is steeped for four minutes.", 2),
            (citation.GetProperty("quote").GetString(), citation.GetProperty("page").GetInt32()));
    }

    [Fact]
    public async Task Citation_OfNeighbouringSentences_IsTheirWholePassage()
    {
        var answer = await AskAsync("Does the guarantee cover limescale?");

        var citation = Assert.Single(await CitationsAsync(answer));
        Assert.Equal("The guarantee runs for two years. It does not cover damage by limescale.",
            citation.GetProperty("quote").GetString());
    }

    [Fact]
    public async Task Stream_OfAnAnswer_IsThatOfTheJsonOverBothApis()
    {
        const string Question = "How do I descale the machine?";
        var whole = (await AskAsync(Question)).Json.GetProperty("output").GetString();

        var mesh = await StreamAsync("/v1/agents/runs?stream=true",
            RunTestExtensions.Body(_agent, $"\"input\":\"{Question}\""));
        var auteryn = await StreamAsync("/api/run", $$"""{"query":"{{Question}}"}""", ("X-Agent-Id", _agent));

        Assert.Equal(whole, Joined(mesh, "delta"));
        Assert.Equal(whole, Joined(auteryn, "content"));
        Assert.True(mesh.Split("event: message.delta").Length > 3);
    }

    private static string Output(TestAnswer answer)
    {
        Assert.True(answer.Status == 200, answer.Text);
        return answer.Json.GetProperty("output").GetString()!.Replace(" \n", "\n", StringComparison.Ordinal);
    }

    private static string Joined(string stream, string member) => string.Concat(stream.Split('\n')
        .Where(static line => line.StartsWith("data: ", StringComparison.Ordinal))
        .Select(static line => JsonElement.Parse(line[6..]))
        .Where(data => data.TryGetProperty(member, out _))
        .Select(data => data.GetProperty(member).GetString()));

    private Task<TestAnswer> AskAsync(string question, string? conversation = null) => _server.RunAsync(_agent,
        $"\"input\":\"{question}\"" + (conversation is null ? "" : $",\"conversation_id\":\"{conversation}\""));

    private async Task<List<JsonElement>> CitationsAsync(TestAnswer answer)
    {
        var run = await _server.Client.GetAsync($"/v1/runs/{answer.Json.GetProperty("run_id").GetString()}");
        return [.. run.Json.GetProperty("citations").EnumerateArray()];
    }

    private async Task<string> StreamAsync(string path, string body, params (string Name, string Value)[] headers)
    {
        using var stream = await _server.OpenAsync("POST", path, body, headers);
        return await stream.ReadToEndAsync(RunTestExtensions.Cancellation);
    }

    private async Task AddAsync(string name, string text)
    {
        var added = await _server.Client.PostAsync($"/v1/agents/{_agent}/documents",
            $$"""{"name":"{{name}}","text":"{{JsonEncodedText.Encode(text)}}"}""");
        Assert.Equal((201, "ready"), (added.Status, added.Json.GetProperty("status").GetString()));
    }

    private async Task AddFileAsync(string name, byte[] bytes)
    {
        using var content = new ByteArrayContent(bytes);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
        using var form = new MultipartFormDataContent { { content, "file", name } };
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/v1/agents/{_agent}/documents");
        request.Content = form;
        var added = await _server.Client.SendAsync(request);
        Assert.Equal(201, added.Status);
        var path = $"/v1/documents/{added.Json.GetProperty("id").GetString()}";
        await Eventually.TrueAsync(async () =>
            (await _server.Client.GetAsync(path)).Json.GetProperty("status").GetString() == "ready");
    }
}
