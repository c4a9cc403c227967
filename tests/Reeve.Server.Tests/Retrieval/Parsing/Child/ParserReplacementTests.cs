using Reeve.Server.Retrieval.Parsing.Child;
using SystemProcess = System.Diagnostics.Process;

namespace Reeve.Server.Tests.Retrieval.Parsing.Child;

/// <summary>A parser that is lost takes its file with it and nothing else.</summary>
public sealed class ParserReplacementTests
{
    [Theory]
    [InlineData("exec sleep 1000", "timed_out")]
    [InlineData("kill -KILL $$", "parser_died")]
    [InlineData("exec tail /dev/zero", "out_of_memory")]
    [InlineData("echo nonsense", "parser_died")]
    public async Task Parser_ThatIsLost_IsReplacedForThoseThatWait(string script, string code)
    {
        await using var server = await DocumentUploads.StartAsync(
            null, DocumentUploads.ShellForPdfs(script), new ParserOptions { WorkersMax = 1, SecondsMax = 2 });

        // The lost ones first and between, all waiting for the one parser.
        var adding = new List<Task<TestAnswer>>();
        for (var i = 0; i < 6; i++)
        {
            var isLost = i % 3 == 0;
            adding.Add(server.Client.UploadAsync("demo", isLost
                ? SampleFiles.Pdf([(11, 700, $"tea {i}")])
                : SampleFiles.Docx(SampleFiles.WordParagraph($"tea {i}")), isLost ? $"{i}.pdf" : $"{i}.docx"));
        }

        await Eventually.TrueAsync(async () =>
        {
            server.Time.Advance(TimeSpan.FromSeconds(1)); // Nobody has to wait for the answers of the uploads.
            return await server.Client.CountAsync("demo", "failed") == 2
                && await server.Client.CountAsync("demo", "processing") == 0;
        });

        Assert.All(await Task.WhenAll(adding), static answer => Assert.Equal(201, answer.Status));
        var all = (await server.Client.GetAsync("/v1/agents/demo/documents?limit=100")).Json.GetProperty("data")
            .EnumerateArray().ToDictionary(static one => one.GetProperty("name").GetString()!);
        Assert.All(["1.docx", "2.docx", "4.docx", "5.docx"],
            name => Assert.Equal("ready", all[name].GetProperty("status").GetString()));
        Assert.All(["0.pdf", "3.pdf"],
            name => Assert.Equal(code, all[name].GetProperty("error").GetProperty("code").GetString()));
    }

    [Fact]
    public async Task Parser_ThatDiesWhileIdle_IsReplacedBeforeTheNextFile()
    {
        await using var server = await TestServer.StartAsync();
        var first = await server.Client.UploadAsync("demo", SampleFiles.Pdf([(11, 700, "tea")]), "a.pdf");
        Assert.Equal("ready", first.Json.GetProperty("status").GetString());
        var idle = Assert.Single(server.Service<Parser>().IdleIds);

        using (var process = SystemProcess.GetProcessById(idle))
        {
            process.Kill();
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        }

        var next = await server.Client.UploadAsync("demo", SampleFiles.Pdf([(11, 700, "coffee")]), "b.pdf");

        Assert.Equal("ready", next.Json.GetProperty("status").GetString());
        Assert.NotEqual(idle, Assert.Single(server.Service<Parser>().IdleIds));
    }

    [Fact]
    public async Task Parser_ThatReadAsManyFilesAsItMay_IsReplaced()
    {
        await using var server = await DocumentUploads.StartAsync(null,
            new ParserProgram(Process.ReeveProcess.Executable, ["parse"]),
            new ParserOptions { WorkersMax = 1, FilesMax = 2 });
        var idle = new List<int>();
        for (var i = 0; i < 4; i++)
        {
            var made = await server.Client.UploadAsync("demo", SampleFiles.Pdf([(11, 700, $"tea {i}")]), $"{i}.pdf");
            Assert.Equal("ready", made.Json.GetProperty("status").GetString());
            idle.AddRange(server.Service<Parser>().IdleIds);
        }

        Assert.Equal(2, idle.Count); // After the second and the fourth file none is kept.
        Assert.NotEqual(idle[0], idle[1]);
    }
}
