using System.Net.Http.Headers;
using System.Text;

namespace Reeve.Server.Tests.Retrieval;

public sealed class DocumentEndpointsTests : IAsyncLifetime
{
    private const string Unknown = "doc_06F7557C5CM18FNXB2V5D4V72R";

    private TestServer _server = null!;
    private string _agent = "";

    public async ValueTask InitializeAsync()
    {
        _server = await TestServer.StartAsync();
        var made = await _server.Client.PostAsync("/v1/agents", """{"name":"Desk"}""");
        _agent = made.Json.GetProperty("id").GetString()!;
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Theory]
    [InlineData("POST", "/v1/agents/{agent}/documents", """{"name":"b","text":"b"}""", false)]
    [InlineData("GET", "/v1/agents/{agent}/documents", null, false)]
    [InlineData("POST", "/v1/agents/{agent}/search", """{"query":"b"}""", true)]
    [InlineData("GET", "/v1/documents/{id}", null, false)]
    [InlineData("PATCH", "/v1/documents/{id}", "{}", false)]
    [InlineData("POST", "/v1/documents/{id}/retry", null, false)]
    [InlineData("GET", "/v1/documents/{id}/chunks", null, false)]
    [InlineData("PUT", "/v1/documents/{id}", """{"name":"a","text":"b"}""", false)]
    [InlineData("DELETE", "/v1/documents/{id}", null, false)]
    public async Task Endpoint_WhoMayNot_IsRefused(string method, string path, string? body, bool chatMay)
    {
        var id = await AddAsync("Words.");
        path = path.Replace("{id}", id, StringComparison.Ordinal).Replace("{agent}", _agent, StringComparison.Ordinal);
        using var nobody = _server.ClientFor(null);
        using var usage = _server.ClientFor(await _server.NewKeyAsync("\"scopes\":[\"usage\"]"));
        using var chat = _server.ClientFor(await _server.NewKeyAsync("\"scopes\":[\"chat\"]"));
        var other = await _server.Client.PostAsync("/v1/accounts", """{"name":"Other"}""");
        using var foreign = _server.ClientFor(other.Json.GetProperty("key").GetString());

        Assert.Equal(401, (await nobody.SendAsync(method, path, body)).Status);
        Assert.Equal(403, (await usage.SendAsync(method, path, body)).Status);
        Assert.Equal(chatMay, (await chat.SendAsync(method, path, body)).Status != 403);
        var answer = await foreign.SendAsync(method, path, body);
        var never = await foreign.SendAsync(method, path.Replace(id, Unknown, StringComparison.Ordinal)
            .Replace(_agent, "agt_06F7557C5CM18FNXB2V5D4V72R", StringComparison.Ordinal), body);
        Assert.Equal((404, "not_found"), (answer.Status, answer.ErrorCode));
        Assert.Equal(never.Json.GetProperty("error").GetProperty("message").GetString(),
            answer.Json.GetProperty("error").GetProperty("message").GetString());
        Assert.Equal(200, (await _server.Client.GetAsync($"/v1/documents/{id}")).Status);
    }

    [Fact]
    public async Task Add_Json_AnswersTheDocumentAndThenTheSameOne()
    {
        const string Body = """
            {"name":"tea.md","text":"# Tea\n\nHot.","privacy_class":"protected","metadata":{"a":[1]}}
            """;

        var made = await _server.Client.PostAsync($"/v1/agents/{_agent}@1/documents", Body);
        var again = await _server.Client.PostAsync("/v1/agents/desk/documents", Body);

        Assert.Equal((201, 200), (made.Status, again.Status));
        Assert.Equal(made.Text, again.Text);
        var id = made.Json.GetProperty("id").GetString();
        Assert.Equal($"/v1/documents/{id}", made.Header("Location"));
        Assert.Null(again.Header("Location"));
        Assert.Equal($$"""
            {"id":"{{id}}","agent_id":"{{_agent}}","name":"tea.md","mime_type":"text/markdown","bytes":11,
            "sha256":"{{made.Json.GetProperty("sha256").GetString()}}","status":"ready","error":null,"chunk_count":1,
            "privacy_class":"protected","metadata":{"a":[1]},"created_at":"2026-11-20T09:15:03.530Z",
            "updated_at":"2026-11-20T09:15:03.530Z"}
            """.ReplaceLineEndings(""), made.Text);
        Assert.Equal(made.Text, (await _server.Client.GetAsync($"/v1/documents/{id}")).Text);
    }

    [Theory]
    [InlineData("{}", "name")]
    [InlineData("""{"name":"a"}""", "text")]
    [InlineData("""{"name":"","text":"x"}""", "name")]
    [InlineData("""{"name":"a","text":""}""", "text")]
    [InlineData("""{"name":"a","text":"  \n"}""", "text")]
    [InlineData("""{"name":"a","text":1}""", "text")]
    [InlineData("""{"name":"a","text":"x","privacy_class":"secret"}""", "privacy_class")]
    [InlineData("""{"name":"a","text":"x","metadata":[]}""", "metadata")]
    [InlineData("""{"name":"a","text":"x","more":1}""", "more")]
    [InlineData("""{"name":"a","text":"x"}x""", null)]
    public async Task Add_WrongJson_IsRefusedByName(string body, string? param)
    {
        var answer = await _server.Client.PostAsync($"/v1/agents/{_agent}/documents", body);

        Assert.Equal((400, "invalid_request", param), (answer.Status, answer.ErrorCode, answer.ErrorParam));
        Assert.Equal(0, Documents(await _server.Client.GetAsync($"/v1/agents/{_agent}/documents")));
    }

    [Fact]
    public async Task Add_Limits_AreThoseOfTheWire()
    {
        var longName = new string('n', 256);
        var longText = new string('a', 2_000_001);

        Assert.Equal(400, (await PostAsync($$"""{"name":"{{longName}}","text":"x"}""")).Status);
        Assert.Equal(400, (await PostAsync($$"""{"name":"a","text":"{{longText}}"}""")).Status);
        Assert.Equal(201, (await PostAsync($$"""{"name":"{{longName[1..]}}","text":"{{longText[1..]}}"}""")).Status);

        Task<TestAnswer> PostAsync(string body) => _server.Client.PostAsync($"/v1/agents/{_agent}/documents", body);
    }

    [Fact]
    public async Task Add_File_TakesNameClassAndMetadataFromTheForm()
    {
        var plain = await UploadAsync(File("Harbour text.", "../up/harbour.txt"));
        var named = await UploadAsync(File("<html><p>Ferry text.", "x"), ("name", "ferry.html"),
            ("privacy_class", "confidential"), ("metadata", """{"k":"v"}"""));

        Assert.Equal((201, "harbour.txt", "text/plain"),
            (plain.Status, Member(plain, "name"), Member(plain, "mime_type")));
        Assert.Equal((201, "ferry.html", "text/html", "confidential"), (named.Status, Member(named, "name"),
            Member(named, "mime_type"), Member(named, "privacy_class")));
        Assert.Equal("v", named.Json.GetProperty("metadata").GetProperty("k").GetString());
    }

    [Fact]
    public async Task Add_WrongForm_IsRefusedByName()
    {
        var png = new ByteArrayContent([0x89, 0x50, 0x4E, 0x47, 13, 10]);
        var nothing = new StringContent("");
        Assert.Equal((400, "file"), Refusal(await UploadAsync((png, "file", "a.png"))));
        Assert.Equal((400, "file"), Refusal(await UploadAsync((nothing, "file", "a.txt"))));
        Assert.Equal((400, "file"), Refusal(await UploadAsync(File("{\\rtf1 a}", "a.rtf"))));
        Assert.Equal((400, "privacy_class"), Refusal(await UploadAsync(File("x", "a"), ("privacy_class", "none"))));
        Assert.Equal((400, "metadata"), Refusal(await UploadAsync(File("x", "a"), ("metadata", "[1]"))));
        Assert.Equal((400, "name"), Refusal(await UploadAsync(File("x", "a"), ("name", ""))));
        Assert.Equal((400, "name"), Refusal(await UploadAsync(File("x", "a"), ("name", "b"), ("name", "c"))));
        Assert.Equal((400, null), Refusal(await UploadAsync(File("x", "a"), ("other", "b"))));

        using var form = new MultipartFormDataContent { { new StringContent("only"), "name" } };
        Assert.Equal((400, "file"), Refusal(await SendAsync(form)));
        using var broken = new StringContent("--x\r\nContent-Disposition: form-data");
        broken.Headers.ContentType = MediaTypeHeaderValue.Parse("multipart/form-data; boundary=x");
        Assert.Equal((400, null), Refusal(await SendAsync(broken)));
        Assert.Equal(0, Documents(await _server.Client.GetAsync($"/v1/agents/{_agent}/documents")));
    }

    [Fact]
    public async Task Add_OverTheUploadLimit_Is413()
    {
        await using var small = await TestServer.StartAsync(
            options => options with { Limits = options.Limits with { UploadBytesMax = 1_000 } });
        var body = $$"""{"name":"a","text":"{{new string('x', 2_000)}}"}""";

        var answer = await small.Client.PostAsync("/v1/agents/demo/documents", body);

        Assert.Equal((413, "payload_too_large"), (answer.Status, answer.ErrorCode));
    }

    [Fact]
    public async Task List_PagesAndFilter_WorkAsDocumented()
    {
        var ids = new List<string>();
        for (var i = 0; i < 3; i++)
        {
            ids.Insert(0, await AddAsync($"Words {i}."));
        }

        var first = (await ListAsync("?limit=2")).Json;
        var cursor = first.GetProperty("next_cursor").GetString();
        var second = (await ListAsync($"?limit=2&after={cursor}&status=ready")).Json;

        Assert.True(first.GetProperty("has_more").GetBoolean());
        Assert.False(second.GetProperty("has_more").GetBoolean());
        Assert.Null(second.GetProperty("next_cursor").GetString());
        Assert.Equal(ids, first.GetProperty("data").EnumerateArray().Concat(second.GetProperty("data").EnumerateArray())
            .Select(document => document.GetProperty("id").GetString()!));
        Assert.Equal(0, Documents(await ListAsync("?status=failed")));
        Assert.Equal((400, "status"), Refusal(await ListAsync("?status=gone")));
        Assert.Equal((400, "limit"), Refusal(await ListAsync("?limit=101")));
        Assert.Equal((400, "after"), Refusal(await ListAsync("?after=agt_x")));
        Assert.Equal((400, "order"), Refusal(await ListAsync("?order=asc")));

        Task<TestAnswer> ListAsync(string query) => _server.Client.GetAsync($"/v1/agents/{_agent}/documents{query}");
    }

    [Fact]
    public async Task Patch_Fields_MergesAndResets()
    {
        var path = $"/v1/documents/{await AddAsync("Words.")}";

        var changed = await _server.Client.PatchAsync(path,
            """{"name":"b.md","privacy_class":"private_gateway","metadata":{"x":1,"y":2}}""");
        var reset = await _server.Client.PatchAsync(path, """{"privacy_class":null,"metadata":{"x":null}}""");
        var empty = await _server.Client.PatchAsync(path, """{"metadata":null}""");

        Assert.Equal(("b.md", "private_gateway"), (Member(changed, "name"), Member(changed, "privacy_class")));
        Assert.Equal(("standard", """{"y":2}"""),
            (Member(reset, "privacy_class"), reset.Json.GetProperty("metadata").GetRawText()));
        Assert.Equal("{}", empty.Json.GetProperty("metadata").GetRawText());
        Assert.Equal((400, "name"), Refusal(await _server.Client.PatchAsync(path, """{"name":null}""")));
        Assert.Equal((400, "id"), Refusal(await _server.Client.PatchAsync(path, """{"id":"doc_1"}""")));
        var many = string.Join(',', Enumerable.Range(0, 64).Select(number => $"\"k{number}\":0"));
        Assert.Equal(200, (await _server.Client.PatchAsync(path, "{\"metadata\":{" + many + "}}")).Status);
        Assert.Equal((400, "metadata"), Refusal(await _server.Client.PatchAsync(path, """{"metadata":{"one":1}}""")));
    }

    [Fact]
    public async Task Delete_Document_IsGoneEverywhere()
    {
        var id = await AddAsync("The xylograph.");

        Assert.Equal(204, (await _server.Client.DeleteAsync($"/v1/documents/{id}")).Status);

        Assert.Equal(404, (await _server.Client.DeleteAsync($"/v1/documents/{id}")).Status);
        Assert.Equal(404, (await _server.Client.GetAsync($"/v1/documents/{id}/chunks")).Status);
        Assert.Empty((await SearchAsync("""{"query":"xylograph"}""")).Json.GetProperty("data").EnumerateArray());
    }

    [Fact]
    public async Task Retry_ReadyDocument_Is409()
    {
        var answer = await _server.Client.PostAsync($"/v1/documents/{await AddAsync("Words.")}/retry", "{}");

        Assert.Equal((409, "conflict"), (answer.Status, answer.ErrorCode));
    }

    [Fact]
    public async Task Chunks_OfADocument_AreListedInOrder()
    {
        var id = await AddAsync("# A\\n\\nOne \\uD83D\\uDE00.\\n\\n# B\\n\\nTwo.");

        var first = (await _server.Client.GetAsync($"/v1/documents/{id}/chunks?limit=1")).Json;
        var second = (await _server.Client.GetAsync(
            $"/v1/documents/{id}/chunks?after={first.GetProperty("next_cursor").GetString()}")).Json;

        var chunk = second.GetProperty("data")[0];
        Assert.Equal($$"""
            {"id":"{{chunk.GetProperty("id").GetString()}}","document_id":"{{id}}","index":1,"text":"B\n\nTwo.",
            "start":11,"end":18,"page":null,"headings":["B"]}
            """.ReplaceLineEndings(""), chunk.GetRawText());
        Assert.Equal(11, first.GetProperty("data")[0].GetProperty("end").GetInt32());
    }

    [Fact]
    public async Task Search_Query_AnswersInTheDocumentedShape()
    {
        var id = await AddAsync("The anvil weighs much.", "\"metadata\":{\"shelf\":4}");
        await AddAsync("Nothing.");

        var answer = await SearchAsync("""{"query":"anvil","limit":1,"min_score":0.01,"filter":{"shelf":4}}""");

        var found = answer.Json.GetProperty("data")[0];
        Assert.Equal($$"""
            {"data":[{"documentId":"{{id}}","chunkId":"{{found.GetProperty("chunkId").GetString()}}","score":{{found
                .GetProperty("score").GetRawText()}},"name":"note.md","page":null,"start":0,"end":22,
            "text":"The anvil weighs much."}],"has_more":false,"next_cursor":null}
            """.ReplaceLineEndings(""), answer.Text);
        Assert.Equal("""{"data":[],"has_more":false,"next_cursor":null}""",
            (await SearchAsync("""{"query":"anvil","filter":{"shelf":5}}""")).Text);
    }

    [Theory]
    [InlineData("{}", "query")]
    [InlineData("""{"query":""}""", "query")]
    [InlineData("""{"query":"a","limit":0}""", "limit")]
    [InlineData("""{"query":"a","limit":51}""", "limit")]
    [InlineData("""{"query":"a","min_score":1.1}""", "min_score")]
    [InlineData("""{"query":"a","filter":1}""", "filter")]
    [InlineData("""{"query":"a","top":1}""", "top")]
    public async Task Search_WrongBody_IsRefusedByName(string body, string param) =>
        Assert.Equal((400, param), Refusal(await SearchAsync(body)));

    [Fact]
    public async Task Run_OverTheDemoDocuments_QuotesAndCitesThem()
    {
        var answer = await _server.Client.PostAsync("/v1/agents/runs",
            """{"agent":"demo","input":"What does the privacy spec promise?"}""");

        Assert.Equal(200, answer.Status);
        Assert.Contains("a call runs in the privacy class you ask for, or is refused", Member(answer, "output"),
            StringComparison.Ordinal);
        Assert.NotEmpty(answer.Json.GetProperty("sources").EnumerateArray());
    }

    private static (HttpContent Content, string Field, string FileName) File(string text, string name) =>
        (new ByteArrayContent(Encoding.UTF8.GetBytes(text)), "file", name);

    private static (int Status, string? Param) Refusal(TestAnswer answer) => (answer.Status, answer.ErrorParam);

    private static string? Member(TestAnswer answer, string name) => answer.Json.GetProperty(name).GetString();

    private static int Documents(TestAnswer answer) => answer.Json.GetProperty("data").GetArrayLength();

    private Task<TestAnswer> SearchAsync(string body) =>
        _server.Client.PostAsync($"/v1/agents/{_agent}/search", body);

    private async Task<string> AddAsync(string text, string members = "\"metadata\":null")
    {
        var answer = await _server.Client.PostAsync($"/v1/agents/{_agent}/documents",
            $$"""{"name":"note.md","text":"{{text}}",{{members}}}""");
        Assert.Equal(201, answer.Status);
        return answer.Json.GetProperty("id").GetString()!;
    }

    private async Task<TestAnswer> UploadAsync(
        (HttpContent Content, string Field, string FileName) file, params (string Name, string Value)[] fields)
    {
        using var form = new MultipartFormDataContent { { file.Content, file.Field, file.FileName } };
        foreach (var (name, value) in fields)
        {
            form.Add(new StringContent(value), name);
        }

        return await SendAsync(form);
    }

    private async Task<TestAnswer> SendAsync(HttpContent content)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/v1/agents/{_agent}/documents");
        request.Content = content;
        return await _server.Client.SendAsync(request);
    }
}
