using Reeve.Server.Retrieval.Parsing.Child;
using Reeve.Server.Tests.Retrieval.Parsing;

namespace Reeve.Server.Tests.Retrieval;

/// <summary>What an account that sends many slow files may take, and what it leaves to others.</summary>
public sealed class WaitingFilesTests : IDisposable
{
    private static readonly byte[] Slides = SampleFiles.Zip(("ppt/presentation.xml", "<p/>"));

    private readonly string _folder = TestServer.NewFolder();

    private string Gate => System.IO.Path.Combine(_folder, "gate");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Account_WithManySlowFiles_HoldsUpNobodyElse()
    {
        await using var server = await DocumentUploads.StartAsync(
            null, DocumentUploads.ShellForPdfs("exec sleep 1000"), new ParserOptions { WorkersMax = 1 });
        var slow = await UploadAsync(server, server.Client, "demo", 20);
        using var other = await NewAccountAsync(server);
        using var third = await NewAccountAsync(server);

        foreach (var client in (TestClient[])[other, third, other])
        {
            var agent = await NewAgentAsync(client);
            var made = await client.UploadAsync(agent, Docx("tea"), "tea.docx");
            Assert.Equal((201, "ready"), Status(made));
        }

        Assert.Equal(20, await server.Client.CountAsync("demo", "processing"));
        Assert.All(slow, static one => Assert.True(one.IsCompletedSuccessfully));
    }

    [Fact]
    public async Task Account_WithAsManyFilesAsMayWait_IsToldToComeAgain()
    {
        await using var server = await StartGatedAsync(static limits => limits with { WaitingFilesMax = 3 });
        var failed = await server.Client.UploadAsync("demo", Slides, "lost.pptx");
        Assert.Equal((201, "failed"), Status(failed));
        var text = await server.Client.PostAsync("/v1/agents/demo/documents", """{"name":"a.md","text":"Words."}""");
        var slow = await UploadAsync(server, server.Client, "demo", 3);
        using var other = await NewAccountAsync(server);

        AssertRefused(await server.Client.UploadAsync("demo", Docx("tea"), "tea.docx"));
        AssertRefused(await server.Client.SendFileAsync(HttpMethod.Put, Path(text), Docx("coffee"), "coffee.docx"));
        AssertRefused(await server.Client.PostAsync(Path(failed) + "/retry", ""));
        Assert.Equal((200, "failed"), Status(await server.Client.GetAsync(Path(failed))));
        Assert.Equal((200, "ready"), Status(await server.Client.PutAsync(
            Path(text), """{"name":"a.md","text":"Other words."}"""))); // Text needs no parser.
        var agent = await NewAgentAsync(other);
        Assert.Equal((201, "ready"), Status(await other.UploadAsync(agent, Docx("tea"), "a.docx")));
        Assert.Equal(3, await server.Client.CountAsync("demo", "processing"));

        await OpenGateAsync(server, slow);
        Assert.Equal((201, "ready"), Status(await server.Client.UploadAsync("demo", Docx("tea"), "tea.docx")));
        Assert.Equal((200, "ready"), Status(await server.Client.SendFileAsync(
            HttpMethod.Put, Path(text), Docx("coffee"), "coffee.docx")));
        Assert.Equal(202, (await server.Client.PostAsync(Path(failed) + "/retry", "")).Status);
    }

    [Fact]
    public async Task Account_WithAsManyBytesAsMayWait_IsToldToComeAgain_ButOneFileIsAlwaysTaken()
    {
        await using var server = await StartGatedAsync(static limits => limits with { WaitingBytesMax = 1_024 });
        var slow = await UploadAsync(server, server.Client, "demo", 1, padding: 5_000);

        AssertRefused(await server.Client.UploadAsync("demo", Docx("tea"), "tea.docx"));

        await OpenGateAsync(server, slow);
        Assert.Equal((201, "ready"), Status(await server.Client.UploadAsync("demo", Docx("tea"), "tea.docx")));
    }

    private Task<TestServer> StartGatedAsync(Func<LimitOptions, LimitOptions> limits) => DocumentUploads.StartAsync(
        null, DocumentUploads.ShellForPdfs(
            $"while [ ! -e {Gate} ]; do sleep 0.02; done;; *presentation*) exit 0"),
        new ParserOptions { WorkersMax = 1 }, options => options with { Limits = limits(options.Limits) });

    private async Task OpenGateAsync(TestServer server, List<Task<TestAnswer>> slow)
    {
        await File.WriteAllTextAsync(Gate, "", TestContext.Current.CancellationToken);
        await FinishAsync(server, slow);
        await Eventually.TrueAsync(async () => await server.Client.CountAsync("demo", "processing") == 0);
    }

    /// <summary>Begins uploads of PDFs, and waits until all are accepted.</summary>
    private static async Task<List<Task<TestAnswer>>> UploadAsync(
        TestServer server, TestClient client, string agent, int count, int padding = 0)
    {
        var adding = Enumerable.Range(0, count).Select(i => client.UploadAsync(
            agent, [.. SampleFiles.Pdf([(11, 700, $"tea {i}")]), .. new byte[padding]], $"{i}.pdf")).ToList();
        await Eventually.TrueAsync(async () => await client.CountAsync(agent, "processing") == count);
        await FinishAsync(server, adding);
        return adding;
    }

    /// <summary>Lets the uploads answer that wait a moment for their file to be read.</summary>
    private static async Task FinishAsync(TestServer server, List<Task<TestAnswer>> adding)
    {
        await Eventually.TrueAsync(() =>
        {
            server.Time.Advance(TimeSpan.FromSeconds(1));
            return adding.TrueForAll(static one => one.IsCompleted);
        });
        Assert.All(await Task.WhenAll(adding), static answer => Assert.Equal(201, answer.Status));
    }

    private static async Task<TestClient> NewAccountAsync(TestServer server)
    {
        var made = await server.Client.PostAsync("/v1/accounts", """{"name":"Other","plan":"enterprise"}""");
        Assert.True(made.Status == 201, made.Text);
        return server.ClientFor(made.Json.GetProperty("key").GetString());
    }

    private static async Task<string> NewAgentAsync(TestClient client)
    {
        var made = await client.PostAsync("/v1/agents", """{"name":"Desk","model":"reeve/quote"}""");
        Assert.True(made.Status == 201, made.Text);
        return made.Json.GetProperty("id").GetString()!;
    }

    private static void AssertRefused(TestAnswer answer)
    {
        Assert.Equal((429, "rate_limited"), (answer.Status, answer.ErrorCode));
        Assert.Equal("10", answer.Header("Retry-After"));
    }

    private static (int, string?) Status(TestAnswer answer) =>
        (answer.Status, answer.Json.GetProperty("status").GetString());

    private static string Path(TestAnswer answer) => $"/v1/documents/{answer.Json.GetProperty("id").GetString()}";

    private static byte[] Docx(string text) => SampleFiles.Docx(SampleFiles.WordParagraph(text));
}
