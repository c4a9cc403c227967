using System.Text.Json;

namespace Reeve.Server.Tests.Process;

/// <summary><c>reeve documents sync</c> as a user runs it, against a server process.</summary>
public sealed class DocumentSyncTests : IAsyncLifetime
{
    private readonly string _folder = TestServer.NewFolder();
    private ReeveProcess _server = null!;
    private TestClient _client = null!;
    private string _agent = null!;

    private string Files => Path.Combine(_folder, "handbook");

    public async ValueTask InitializeAsync()
    {
        Directory.CreateDirectory(Files);
        _server = await ReeveProcess.ServeAsync(
            _folder, ("REEVE_ADMIN_KEY", TestServer.AdminKey));
        _client = new TestClient(_server.Url, TestServer.AdminKey);
        var made = await _client.PostAsync(
            "/v1/agents", """{"name":"Desk","slug":"desk","model":"reeve/quote"}""");
        Assert.True(made.Status == 201, made.Text);
        _agent = made.Json.GetProperty("id").GetString()!;
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _server.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Sync_MakesTheDocumentsThoseOfTheFolder()
    {
        Write("leave.md", "# Leave\n\nEveryone has thirty days of leave.");
        Write("pay/dates.csv", "Month,Day\nMay,27\nJune,26\n");
        Write("pay/.draft.md", "Not this.");
        Write(".git/config", "Nor this.");
        Write("notes.tmp", "Nor that.");
        var own = await _client.PostAsync(
            $"/v1/agents/{_agent}/documents", """{"name":"Own","text":"Nobody's file."}""");

        Assert.Equal((0, "Would be: 2 added, 0 replaced, 0 moved, 0 deleted, 0 unchanged, 0 failed."),
            await SyncAsync("--dry-run"));
        Assert.Equal(["Own"], await NamesAsync());
        Assert.Equal((0, "2 added, 0 replaced, 0 moved, 0 deleted, 0 unchanged, 0 failed."), await SyncAsync());
        Assert.Equal(["Own", "leave.md", "pay/dates.csv"], await NamesAsync());
        Assert.Contains("thirty days", await SearchAsync("leave"), StringComparison.Ordinal);
        Assert.Equal((0, "0 added, 0 replaced, 0 moved, 0 deleted, 2 unchanged, 0 failed."), await SyncAsync());

        // One changed, one moved, one new with the bytes of another, and one that cannot be read.
        var before = await IdsAsync();
        Write("leave.md", "# Leave\n\nEveryone has thirty-one days of leave.");
        File.Move(Path.Combine(Files, "pay/dates.csv"), Path.Combine(Files, "pay/days.csv"));
        Write("copy.md", "# Leave\n\nEveryone has thirty-one days of leave.");
        Write("picture.png", "\u0089PNG....");
        Write("broken.pdf", "%PDF-1.7 and no more");
        var second = await SyncAsync();
        Assert.Equal((1, "1 added, 1 replaced, 1 moved, 0 deleted, 1 unchanged, 2 failed."), second);
        Assert.Equal(["Own", "broken.pdf", "leave.md", "pay/days.csv"], await NamesAsync());
        var now = await IdsAsync();
        Assert.All(before, id => Assert.Contains(id, now));
        Assert.Contains("thirty-one", await SearchAsync("leave"), StringComparison.Ordinal);

        File.Delete(Path.Combine(Files, "pay/days.csv"));
        File.Delete(Path.Combine(Files, "broken.pdf"));
        File.Delete(Path.Combine(Files, "picture.png"));
        const string Done = "0 added, 0 replaced, 0 moved, ";
        Assert.Equal((0, Done + "0 deleted, 2 unchanged, 0 failed."), await SyncAsync("--keep"));

        // A file that becomes the bytes of another, and the other's then goes.
        Write("b.md", "Other words of the house.");
        Assert.Equal((0, "1 added, 0 replaced, 0 moved, 2 deleted, 2 unchanged, 0 failed."), await SyncAsync());
        Write("leave.md", "Other words of the house.");
        File.Delete(Path.Combine(Files, "copy.md"));
        Assert.Equal((0, "0 added, 0 replaced, 0 moved, 0 deleted, 2 unchanged, 0 failed."), await SyncAsync());
        Write("c.md", "More words.");
        await SyncAsync();
        File.Delete(Path.Combine(Files, "b.md"));
        await SyncAsync();
        Assert.Equal(["Own", "c.md", "leave.md"], await NamesAsync());
        Assert.Contains("Other words", await SearchAsync("words"), StringComparison.Ordinal);
        Assert.Equal(200, (await _client.GetAsync(
            $"/v1/documents/{own.Json.GetProperty("id").GetString()}")).Status);
    }

    [Fact]
    public async Task Sync_OfFilesThatSwap_KeepsBoth_AndWhatOthersAddedToADocument()
    {
        Write("a.md", "Words of the first.");
        Write("b.md", "Words of the second.");
        Write("c.md", "Words of the third.");
        await SyncAsync();
        var third = (await DocumentsAsync()).Single(static one => one.GetProperty("name").GetString() == "c.md");
        var path = $"/v1/documents/{third.GetProperty("id").GetString()}";
        Assert.Equal(200, (await _client.PatchAsync(path, """{"metadata":{"team":"payroll"}}""")).Status);

        Write("a.md", "Words of the second.");
        Write("b.md", "Words of the first.");
        Write("c.md", "Words of the fourth.");
        Assert.Equal(0, (await SyncAsync()).Code);

        Assert.Equal(["a.md", "b.md", "c.md"], await NamesAsync());
        Assert.Equal("payroll", (await _client.GetAsync(path)).Json.GetProperty("metadata").GetProperty("team")
            .GetString());
        Assert.Equal((0, "0 added, 0 replaced, 0 moved, 0 deleted, 3 unchanged, 0 failed."), await SyncAsync());
    }

    [Fact]
    public async Task Sync_OfAnotherOrAnEmptyFolder_OrWithAFailure_DeletesNothing()
    {
        Write("a.md", "Words.");
        Write("b.md", "Other words.");
        await SyncAsync();
        File.Move(Path.Combine(Files, "a.md"), Path.Combine(Files, "a.png"));
        Write("a.png", "GIF89a Words.");
        Assert.Equal((1, "0 added, 0 replaced, 0 moved, 0 deleted, 1 unchanged, 1 failed."), await SyncAsync());
        Assert.Equal(["a.md", "b.md"], await NamesAsync());
        Directory.Delete(Files, recursive: true);
        Directory.CreateDirectory(Files);

        var empty = await ReeveProcess.RunAsync(_folder, [
            "documents", "sync", Files, "--agent", "desk", "--url", _server.Url.ToString(), "--key",
            TestServer.AdminKey,
        ]);

        Assert.Equal(1, empty.Code);
        Assert.Contains("give it a --name", empty.Errors, StringComparison.Ordinal);
        Assert.Equal(["a.md", "b.md"], await NamesAsync());
    }

    [Fact]
    public async Task Sync_ThatCannotBe_SaysWhyAndChangesNothing()
    {
        Write("a.md", "Words.");
        foreach (var (args, error) in new (string[], string)[]
        {
            ([Path.Combine(_folder, "none"), "--agent", "desk"], "There is no folder"),
            ([Files, "--agent", "nobody"], "No such agent"),
            ([Files, "--agent", "desk", "--key", "mesh_live_wrong"], "key"),
            ([Files, "--agent", "desk", "--url", "http://127.0.0.1:9"], "No server answers at http://127.0.0.1:9/"),
            ([Files, "--agent", "desk", "--url", "ftp://x"], "no http or https address"),
            ([Files, "--agent", "desk", "--privacy-class", "secret"], "privacy_class"),
        })
        {
            var answer = await ReeveProcess.RunAsync(_folder, [
                "documents", "sync", .. args.Contains("--url") ? [] : (string[])["--url", _server.Url.ToString()],
                .. args.Contains("--key") ? [] : (string[])["--key", TestServer.AdminKey], .. args,
            ]);
            Assert.True(answer.Code == 1, answer.ToString());
            Assert.Contains(error, answer.Errors, StringComparison.OrdinalIgnoreCase);
        }

        Assert.Empty(await NamesAsync());
    }

    private void Write(string path, string text)
    {
        var file = Path.Combine(Files, path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text, System.Text.Encoding.Latin1);
    }

    private async Task<(int Code, string Last)> SyncAsync(params string[] more)
    {
        var answer = await ReeveProcess.RunAsync(_folder, [
            "documents", "sync", Files, "--agent", "desk", "--exclude", "*.tmp", "--url", _server.Url.ToString(),
            "--key", TestServer.AdminKey, .. more,
        ]);
        Assert.True(answer.Code is 0 or 1 && answer.Output.Length > 0, answer.ToString());
        return (answer.Code, answer.Output.TrimEnd().Split('\n')[^1]);
    }

    private async Task<JsonElement[]> DocumentsAsync() =>
        [.. (await _client.GetAsync($"/v1/agents/{_agent}/documents")).Json.GetProperty("data").EnumerateArray()];

    private async Task<List<string>> NamesAsync() =>
    [
        .. (await DocumentsAsync()).Select(static one => one.GetProperty("name").GetString()!)
            .Order(StringComparer.Ordinal),
    ];

    private async Task<List<string>> IdsAsync() =>
        [.. (await DocumentsAsync()).Select(static one => one.GetProperty("id").GetString()!)];

    private async Task<string> SearchAsync(string query) =>
        (await _client.PostAsync($"/v1/agents/{_agent}/search", $$"""{"query":"{{query}}"}""")).Text;
}
