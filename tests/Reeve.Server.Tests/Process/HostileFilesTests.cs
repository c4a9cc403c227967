using System.Text.Json;
using Reeve.Server.Tests.Retrieval.Parsing;

namespace Reeve.Server.Tests.Process;

/// <summary>A server that is sent every file made to break it, one after the other.</summary>
public sealed class HostileFilesTests : IDisposable
{
    private const int FilesMin = 60;

    /// <summary>Most of it is what is left of the uploads for the collector; 64 MB is the aim.</summary>
    private const long GrowthMax = 128L << 20;

    private readonly string _folder = TestServer.NewFolder();

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Server_SentHostileFiles_LivesAndSaysWhyOfEach()
    {
        var files = HostileFiles.All().ToList();
        Assert.True(files.Count >= FilesMin, $"Only {files.Count} files.");
        await using var server = await ReeveProcess.ServeAsync(_folder, ("REEVE_ADMIN_KEY", TestServer.AdminKey));
        using var client = new TestClient(server.Url, TestServer.AdminKey);
        Assert.Equal("ready", (await SendAsync(client, "a.pdf", SampleFiles.Pdf([(11, 700, "tea")]))).Status);
        var before = server.ResidentBytes;
        var wrong = new List<string>();
        foreach (var (name, file, reason) in files)
        {
            var (status, said) = await SendAsync(client, name, file);
            var isRight = reason is null ? status == "ready" || said.Length > 0
                : status != "ready" && said.EndsWith('.') && said.Contains(reason, StringComparison.Ordinal);
            if (!isRight || server.HasExited)
            {
                wrong.Add($"{name}: {status} {said}");
            }

            TestContext.Current.TestOutputHelper?.WriteLine(
                $"{(server.ResidentBytes - before) >> 20} MB, {name}: {status} {said}");
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
        Assert.False(server.HasExited);
        Assert.Equal("ready", (await SendAsync(client, "b.pdf", SampleFiles.Pdf([(11, 700, "coffee")]))).Status);
        var growth = server.ResidentBytes - before;
        TestContext.Current.TestOutputHelper?.WriteLine($"{files.Count} files, {growth / 1048576.0:F1} MB");
        Assert.True(growth <= GrowthMax, $"The server grew by {growth >> 20} MB.");
    }

    /// <summary>The status at the end, or 400, and the reason.</summary>
    private static async Task<(string Status, string Said)> SendAsync(TestClient client, string name, byte[] file)
    {
        using var form = new MultipartFormDataContent { { new ByteArrayContent(file), "file", name } };
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/agents/demo/documents") { Content = form };
        var answer = await client.SendAsync(request);
        if (answer.Status is not (200 or 201))
        {
            return ($"{answer.Status}", answer.Json.GetProperty("error").GetProperty("message").GetString()!);
        }

        var path = $"/v1/documents/{answer.Json.GetProperty("id").GetString()}";
        while (answer.Json.GetProperty("status").GetString() == "processing")
        {
            await Task.Delay(
                TimeSpan.FromMilliseconds(50), TimeProvider.System, TestContext.Current.CancellationToken);
            answer = await client.GetAsync(path);
        }

        var error = answer.Json.GetProperty("error");
        return (answer.Json.GetProperty("status").GetString()!,
            error.ValueKind == JsonValueKind.Null ? "" : error.GetProperty("message").GetString()!);
    }
}
