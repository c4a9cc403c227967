using System.Text;
using System.Text.RegularExpressions;
using Reeve.Server.Storage;

namespace Reeve.Server.Tests.Process;

public sealed partial class StartProcessTests : IDisposable
{
    private readonly string _folder = TestServer.NewFolder();

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task FirstStart_PrintsThreeCalls_ThatWorkAsPrinted()
    {
        await using var server = await ReeveProcess.ServeAsync(_folder);
        await Eventually.TrueAsync(() => server.Output.Contains("/api/run", StringComparison.Ordinal)
            && server.Output.EndsWith("}'\n\n", StringComparison.Ordinal));
        var calls = Curl().Matches(server.Output);
        Assert.Equal(3, calls.Count);
        var answers = new List<string>();
        using var http = new HttpClient { Timeout = TestServer.Timeout };
        foreach (Match call in calls)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, call.Groups["url"].Value);
            request.Content = new StringContent(
                call.Groups["body"].Value, Encoding.UTF8, "application/x-www-form-urlencoded"); // As curl does.
            foreach (Capture header in call.Groups["header"].Captures)
            {
                var parts = header.Value.Split(": ", 2);
                request.Headers.TryAddWithoutValidation(parts[0], parts[1]);
            }

            using var answer = await http.SendAsync(request, TestContext.Current.CancellationToken);
            answers.Add(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
            Assert.True((int)answer.StatusCode == 200, answers[^1]);
        }

        Assert.Contains("\"documentId\":\"doc_", answers[0], StringComparison.Ordinal);
        Assert.Contains("\"status\":\"completed\"", answers[0], StringComparison.Ordinal);
        Assert.Contains("event: run.completed\n", answers[1], StringComparison.Ordinal);
        Assert.Contains("\"type\":\"run_completed\"", answers[2], StringComparison.Ordinal);
        Assert.Empty(server.Errors);
    }

    [Fact]
    public async Task SecondStart_PrintsNeitherKeyNorCalls()
    {
        await using (var first = await ReeveProcess.ServeAsync(_folder))
        {
            await Eventually.TrueAsync(() => first.Output.Contains("/api/run", StringComparison.Ordinal));
            Assert.Equal(0, await first.TerminateAsync());
        }

        await using var second = await ReeveProcess.ServeAsync(_folder);
        Assert.Equal(0, await second.TerminateAsync());
        Assert.Equal($"Reeve is ready at {second.Url.GetLeftPart(UriPartial.Authority)}\n", second.Output);
    }

    [Fact]
    public async Task SecondServer_OnTheSameFolder_RefusesInOneSentence()
    {
        await using var first = await ReeveProcess.ServeAsync(_folder);

        var second = await ReeveProcess.RunAsync(_folder, ["serve", "--data", Path.Combine(_folder, "data"), "--urls",
            "http://127.0.0.1:0"]);

        AssertRefused(second);
        Assert.Contains("data", second.Errors, StringComparison.Ordinal);
        Assert.False(first.HasExited);
    }

    [Fact]
    public async Task Address_ThatIsTaken_EndsInOneSentence()
    {
        await using var first = await ReeveProcess.ServeAsync(_folder);

        var second = await ReeveProcess.RunAsync(_folder,
            ["serve", "--data", "other", "--urls", first.Url.GetLeftPart(UriPartial.Authority)]);

        AssertRefused(second);
        Assert.Contains($"{first.Url.Port}", second.Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"inference":{"providers":[{"name":"x"}]}}""")]
    [InlineData("""{"unknown_section":1}""")]
    [InlineData("""{"credits":{"margin_rate":"much"}}""")]
    [InlineData("[]")]
    [InlineData("{")]
    [InlineData("\0")]
    public async Task ConfigurationFile_ThatIsWrong_EndsInOneSentence(string text)
    {
        await File.WriteAllTextAsync(Path.Combine(_folder, "reeve.json"), text, TestContext.Current.CancellationToken);

        var answer = await ReeveProcess.RunAsync(_folder, ["serve", "--data", "data", "--urls", "http://127.0.0.1:0"]);

        AssertRefused(answer);
        Assert.Contains("reeve.json", answer.Errors, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(_folder, "data")));
    }

    [Theory]
    [InlineData("serve", "--port", "80")]
    [InlineData("serve", "--data", "")]
    [InlineData("serve", "--urls", "nonsense")]
    [InlineData("serve", "--config", "missing.json")]
    [InlineData("verify", "--data", "missing")]
    [InlineData("unheard-of")]
    public async Task Flag_ThatIsWrong_EndsWithStatus1(params string[] args)
    {
        var answer = await ReeveProcess.RunAsync(_folder, args);

        Assert.Equal(1, answer.Code);
        Assert.NotEqual("", answer.Errors);
        Assert.DoesNotContain("   at ", answer.Errors + answer.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AdminKey_ThatIsPreset_WorksAndIsNotPrinted()
    {
        await using var server = await ReeveProcess.ServeAsync(_folder, ("REEVE_ADMIN_KEY", TestServer.AdminKey));
        await Eventually.TrueAsync(() => server.Output.Contains("/api/run", StringComparison.Ordinal));
        using var client = new TestClient(server.Url, TestServer.AdminKey);

        Assert.Equal(200, (await client.GetAsync("/v1/accounts/me")).Status);
        Assert.DoesNotContain(TestServer.AdminKey, server.Output + server.Errors, StringComparison.Ordinal);
        Assert.DoesNotContain("mesh_live_", server.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AdminKey_ThatIsMalformed_EndsInOneSentenceWithoutIt()
    {
        var answer = await ReeveProcess.RunAsync(_folder, ["serve", "--data", "data", "--urls", "http://127.0.0.1:0"],
            ("REEVE_ADMIN_KEY", "mesh_live_wrong"));

        AssertRefused(answer);
        Assert.DoesNotContain("mesh_live_wrong", answer.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Terminate_WithAnOpenStream_EndsCleanlyInTime()
    {
        await using var model = await MockModel.StartAsync();
        model.Configure(_folder);
        await using var server = await ReeveProcess.ServeAsync(_folder, ("REEVE_ADMIN_KEY", TestServer.AdminKey));
        using var user = new StreamUser(() => server.Url);
        var reading = user.StartAsync("/v1/agents/runs", await user.NewAgentAsync(), "please wait");
        await Eventually.TrueAsync(() => reading.IsCompleted || user.Text.Contains("Every", StringComparison.Ordinal));
        var start = TimeProvider.System.GetTimestamp();

        var code = await server.TerminateAsync();
        var ended = await reading;

        Assert.Equal(0, code);
        Assert.False(ended);
        Assert.True(TimeProvider.System.GetElapsedTime(start) < TimeSpan.FromSeconds(25));
        Assert.Equal("", server.Errors);
        Assert.Equal(0, (await ReeveProcess.VerifyAsync(_folder)).Code);
    }

    [Fact]
    public async Task Terminate_DuringTheStart_EndsCleanly()
    {
        await using var model = await MockModel.StartAsync();
        model.Configure(_folder);
        await using (var before = await ReeveProcess.ServeAsync(_folder, ("REEVE_ADMIN_KEY", TestServer.AdminKey)))
        {
            using var user = new StreamUser(() => before.Url);
            var reading = user.StartAsync("/v1/agents/runs", await user.NewAgentAsync(), "please wait");
            await Eventually.TrueAsync(
                () => reading.IsCompleted || user.Text.Contains("Every", StringComparison.Ordinal));
            await before.KillAsync();
            await reading;
        }

        await using var server = ReeveProcess.Launch(_folder, (Failpoints.Variable, "recover.claimed=delay:3000"));
        await Eventually.TrueAsync(() => server.HasExited || Database.ReadOnce(
            DataFolder.DatabaseIn(Path.Combine(_folder, "data")),
            static session => session.Count("SELECT max(epoch) FROM runs")) == 2); // It is in the midst of recovery.
        var code = await server.TerminateAsync();

        Assert.Equal((0, ""), (code, server.Errors));
        Assert.Equal(0, (await ReeveProcess.VerifyAsync(_folder)).Code);
    }

    private static void AssertRefused((int Code, string Output, string Errors) answer)
    {
        Assert.Equal((1, ""), (answer.Code, answer.Output));
        Assert.Matches(OneSentence(), answer.Errors);
    }

    [GeneratedRegex("""
        curl (?:-N )?(?<url>\S+)(?: -H "(?<header>[^"]+)")+ \\\n\s+-d '(?<body>[^']+)'
        """)]
    private static partial Regex Curl();

    [GeneratedRegex(@"\A[^\n]{10,400}\.\n\z")]
    private static partial Regex OneSentence();
}
