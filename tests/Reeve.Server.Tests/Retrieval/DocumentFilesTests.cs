using System.Text;
using System.Text.Json;
using Reeve.Server.Retrieval.Parsing.Child;
using Reeve.Server.Tests.Retrieval.Parsing;
using static Reeve.Server.Tests.Retrieval.DocumentUploads;

namespace Reeve.Server.Tests.Retrieval;

/// <summary>Files that a parser of its own reads, from the upload to the search.</summary>
public sealed class DocumentFilesTests
{
    private static readonly byte[] Tea = SampleFiles.Pdf(
        [(11, 700, "Coffee is made of beans.")], [(11, 700, "Oolong is steeped for four minutes.")]);

    private static readonly byte[] Encrypted =
        [0xD0, 0xCF, 0x11, 0xE0, .. new byte[600], .. Encoding.Unicode.GetBytes("EncryptedPackage")];

    [Fact]
    public async Task Add_Pdf_IsReadyAndFoundWithItsPage()
    {
        await using var server = await TestServer.StartAsync();

        var made = await AddAsync(server, Tea, "tea.pdf");

        Assert.Equal((201, "ready", "application/pdf"), (made.Status, Text(made.Json, "status"),
            Text(made.Json, "mime_type")));
        Assert.False(made.Json.TryGetProperty("stage", out _));
        var chunks = (await server.Client.GetAsync($"/v1/documents/{Text(made.Json, "id")}/chunks")).Json;
        Assert.Equal(1, chunks.GetProperty("data")[0].GetProperty("page").GetInt32());
        var found = await server.Client.PostAsync(
            "/v1/agents/demo/search", """{"query":"How long is oolong steeped?"}""");
        Assert.Equal(Text(made.Json, "id"), Text(found.Json.GetProperty("data")[0], "documentId"));
        Assert.Equal(200, (await AddAsync(server, Tea, "again.pdf")).Status);
        Assert.Equal(0, server.Database.Read(static session => session.Count("SELECT count(*) FROM document_files")));
    }

    [Fact]
    public async Task Add_EncryptedFile_FailsWithItsReasonAndCanBeTriedAgain()
    {
        await using var server = await TestServer.StartAsync();

        var made = await AddAsync(server, Encrypted, "secret.xlsx");

        Assert.Equal((201, "failed"), (made.Status, Text(made.Json, "status")));
        Assert.Equal("encrypted", Text(made.Json.GetProperty("error"), "code"));
        Assert.Contains("password", Text(made.Json.GetProperty("error"), "message"), StringComparison.Ordinal);
        var path = $"/v1/documents/{Text(made.Json, "id")}";
        var again = await server.Client.PostAsync(path + "/retry", "");
        Assert.Equal((202, "processing"), (again.Status, Text(again.Json, "status")));
        Assert.Equal(JsonValueKind.Null, again.Json.GetProperty("error").ValueKind);
        await StatusAsync(server, path, "failed");

        Assert.Equal(200, (await server.Client.PutAsync(path, """{"name":"open.md","text":"Open words."}""")).Status);
        await StatusAsync(server, path, "ready");
        Assert.Equal(409, (await server.Client.PostAsync(path + "/retry", "")).Status);
    }

    [Fact]
    public async Task Put_PutsNewContentUnderTheSameIdAndLeavesTheOldWhenItCannotBeRead()
    {
        await using var server = await TestServer.StartAsync();
        var made = await server.Client.PostAsync("/v1/agents/demo/documents",
            """{"name":"a.md","text":"Walruses sing.","privacy_class":"confidential","metadata":{"k":"v"}}""");
        var path = $"/v1/documents/{Text(made.Json, "id")}";

        Assert.Equal((400, "file"), Refused(await PutAsync(server, path, Encrypted, "b.docx")));
        Assert.Equal(made.Text, (await server.Client.GetAsync(path)).Text);
        var put = await PutAsync(server, path, Tea, "tea.pdf");

        Assert.Equal((200, "ready", "tea.pdf", "confidential"), (put.Status, Text(put.Json, "status"),
            Text(put.Json, "name"), Text(put.Json, "privacy_class")));
        Assert.Equal("v", Text(put.Json.GetProperty("metadata"), "k"));
        Assert.Equal(0, await HitsAsync(server, "walruses"));
        Assert.Equal(1, await HitsAsync(server, "oolong"));
        var other = await server.Client.PostAsync("/v1/agents/demo/documents", """{"name":"b.md","text":"Other."}""");
        Assert.Equal(409, (await PutAsync(server, $"/v1/documents/{Text(other.Json, "id")}", Tea, "c.pdf")).Status);

        static (int, string?) Refused(TestAnswer answer) =>
            (answer.Status, Text(answer.Json.GetProperty("error"), "param"));
    }

    [Fact]
    public async Task Add_ThatTakesLong_AnswersProcessingAndGoesOnAfterARestart()
    {
        var folder = TestServer.NewFolder();
        string path;
        await using (var server = await StartAsync(folder, Shell("""
            read -r order; echo '{"done":1,"total":2,"unit":"pages"}'; exec sleep 1000
            """)))
        {
            var adding = AddAsync(server, Tea, "tea.pdf", """{"privacy_class":"confidential"}""");
            await Eventually.TrueAsync(async () => (await server.Client.GetAsync(
                "/v1/agents/demo/documents?status=processing")).Text.Contains("\"pages\"", StringComparison.Ordinal));
            server.Time.Advance(TimeSpan.FromSeconds(3));
            var made = await adding;

            Assert.Equal((201, "processing", "parsing"),
                (made.Status, Text(made.Json, "status"), Text(made.Json, "stage")));
            Assert.Equal("""{"done":1,"total":2,"unit":"pages"}""", made.Json.GetProperty("progress").GetRawText());
            Assert.Equal(0, await HitsAsync(server, "oolong"));
            path = $"/v1/documents/{Text(made.Json, "id")}";
            var stored = server.Database.Read(static session => session.Single(
                "SELECT bytes FROM document_files", static row => row.GetFieldValue<byte[]>(0)))!;
            Assert.Equal(-1, stored.AsSpan().IndexOf("Oolong"u8)); // It is confidential.
        }

        await using (var server = await TestServer.StartAsync(folder: folder))
        {
            await StatusAsync(server, path, "ready");
            Assert.Equal(1, await HitsAsync(server, "oolong"));
        }

        Directory.Delete(folder, recursive: true);
    }

    [Theory]
    [InlineData("exec sleep 1000", "timed_out")]
    [InlineData("kill -ABRT $$", "parser_died")]
    [InlineData("echo 'Stack overflow.' >&2; kill -ABRT $$", "too_complex")]
    [InlineData("exit 0", "parser_died")]
    [InlineData("exec tail /dev/zero", "out_of_memory")]
    [InlineData("echo nonsense", "parser_died")]
    [InlineData("""echo '{"text":"abc","blocks":[0,9,0,0,0]}'""", "parser_died")]
    public async Task Parser_ThatMisbehaves_FailsTheDocumentAndNotTheNext(string script, string code)
    {
        var folder = TestServer.NewFolder();
        await using (var server = await StartAsync(folder, Shell("read -r order; " + script), new ParserOptions
        {
            SecondsMax = code == "timed_out" ? 1 : 60,
        }))
        {
            var made = await AddAsync(server, Tea, "tea.pdf");

            Assert.Equal((201, "failed", code), (made.Status, Text(made.Json, "status"),
                Text(made.Json.GetProperty("error"), "code")));
            Assert.EndsWith(".", Text(made.Json.GetProperty("error"), "message"), StringComparison.Ordinal);
        }

        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Parser_HasNoneOfTheServersEnvironmentAndNoNetwork()
    {
        Environment.SetEnvironmentVariable("REEVE_TEST_SECRET", "hush");
        await using var server = await StartAsync(null, Shell("""
            read -r order
            echo '{"error":{"code":"seen","message":"'$(env | cut -d= -f1 | sort) net $(grep -c : /proc/net/dev)'"}}'
            """));

        var made = await AddAsync(server, Tea, "tea.pdf");

        var seen = Text(made.Json.GetProperty("error"), "message")!;
        Assert.DoesNotContain("REEVE", seen, StringComparison.Ordinal);
        Assert.DoesNotContain("HOME", seen, StringComparison.Ordinal);
        Assert.EndsWith("net 1", seen, StringComparison.Ordinal); // The loopback of its own namespace.
    }

    private static Task<TestAnswer> AddAsync(
        TestServer server, byte[] file, string name, string? fields = null) =>
        server.Client.UploadAsync("demo", file, name, fields);

    private static Task<TestAnswer> PutAsync(TestServer server, string path, byte[] file, string name) =>
        server.Client.SendFileAsync(HttpMethod.Put, path, file, name);

    private static async Task<int> HitsAsync(TestServer server, string query) => (await server.Client.PostAsync(
        "/v1/agents/demo/search", $$"""{"query":"{{query}}"}""")).Json.GetProperty("data").GetArrayLength();

    private static Task StatusAsync(TestServer server, string path, string status) => Eventually.TrueAsync(async () =>
        Text((await server.Client.GetAsync(path)).Json, "status") == status);

    private static string? Text(JsonElement json, string name) => json.GetProperty(name).GetString();
}
