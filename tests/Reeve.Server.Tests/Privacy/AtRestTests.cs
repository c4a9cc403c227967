using System.Text;
using Reeve.Server.Inference;
using Reeve.Server.Privacy;
using Reeve.Server.Retrieval;
using Reeve.Server.Runs;
using Reeve.Server.Storage;
using Reeve.Server.Tests.Runs;
using static Reeve.Server.Tests.Runs.ScriptedChatClient;

namespace Reeve.Server.Tests.Privacy;

/// <summary>What is confidential is in no file of the data folder, and comes back to whoever may have it.</summary>
public sealed class AtRestTests : IDisposable
{
    private readonly ScriptedChatClient _model = new();
    private readonly List<string> _images = [];

    public void Dispose()
    {
        _model.Dispose();
        _images.ForEach(static image => Directory.Delete(image, recursive: true));
    }

    [Fact]
    public async Task ConfidentialRun_LeavesNothingReadableInTheFolder()
    {
        _model.Reply("The zanzibar answer.", Usage(5, 5)).Reply("Again zanzibar.", Usage(5, 5));
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync("\"privacy_class\":\"confidential\"");
        const string Members = "\"input\":\"What of quixotry?\",\"user\":{\"id\":\"u-1\",\"name\":\"Wilhelmina\"},"
            + "\"metadata\":{\"case\":\"xylophone\"}";

        var first = await server.RunAsync(agent, Members);
        Assert.True(first.Status == 200, first.Text);
        var conversation = first.Json.GetProperty("conversation_id").GetString();
        var second = await server.RunAsync(
            agent, $"\"input\":\"And quixotry?\",\"conversation_id\":\"{conversation}\"");
        Assert.True(second.Status == 200, second.Text);
        var fork = await server.Client.PostAsync($"/v1/conversations/{conversation}/fork", "{}");
        Assert.True(fork.Status == 201, fork.Text);
        var patched = await server.Client.PatchAsync(
            $"/v1/conversations/{conversation}", """{"title":"About vermilion"}""");
        Assert.Equal("About vermilion", patched.Json.GetProperty("title").GetString());

        // Everything that shows it still does.
        var run = await server.Client.GetAsync($"/v1/runs/{first.Json.GetProperty("run_id").GetString()}");
        Assert.Equal(("What of quixotry?", "xylophone"), (run.Json.GetProperty("input").GetString(),
            run.Json.GetProperty("metadata").GetProperty("case").GetString()));
        Assert.Contains("zanzibar", (await server.Client.GetAsync("/v1/runs")).Text, StringComparison.Ordinal);
        var messages = await server.Client.GetAsync($"/v1/conversations/{conversation}/messages");
        Assert.Equal("What of quixotry?|The zanzibar answer.|And quixotry?|Again zanzibar.", Contents(messages));
        var copied = await server.Client.GetAsync(
            $"/v1/conversations/{fork.Json.GetProperty("id").GetString()}/messages");
        Assert.Equal(Contents(messages), Contents(copied));
        Assert.Contains("What of quixotry?", Prompt(1), StringComparison.Ordinal);
        await AssertSoundAsync(server);

        AssertNowhere(server.Folder, "zanzibar", "quixotry", "Wilhelmina", "xylophone", "vermilion");
    }

    [Fact]
    public async Task StandardRun_BesideIt_LiesOpen()
    {
        _model.Reply("The zanzibar answer.", Usage(5, 5));
        await using var server = await StartAsync();
        await server.RunAsync(await server.NewAgentAsync());
        Assert.Equal("The zanzibar answer.", server.Database.Read(static session => session.Single(
            "SELECT output FROM runs", static row => row.GetString(0))));
    }

    [Fact]
    public async Task Stream_OfAnEncryptedRun_IsTheSameAfterARestart()
    {
        _model.Reply("One ", "two ", "three.", Usage(5, 5));
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync("\"privacy_class\":\"confidential\"");
        using var stream = await server.OpenAsync(
            "POST", "/v1/agents/runs?stream=true", RunTestExtensions.Body(agent));
        var text = await stream.ReadToEndAsync(TestContext.Current.CancellationToken);
        var run = (await server.Client.GetAsync("/v1/runs")).Json.GetProperty("data")[0].GetProperty("run_id")
            .GetString();
        await using var next = await StartAsync(TakeImage(server));

        var events = await next.Client.GetAsync($"/v1/runs/{run}/events");

        Assert.Equal(text, events.Text);
        var receipt = await next.Client.GetAsync($"/v1/runs/{run}/receipt");
        Assert.Equal(run, receipt.Json.GetProperty("run_id").GetString());
        await AssertSoundAsync(next);
    }

    [Fact]
    public async Task CrashedRun_ThatIsEncrypted_IsTakenOverAndEndsEncrypted()
    {
        var asked = new TaskCompletionSource();
        var never = new TaskCompletionSource();
        _model.Reply("zanzibar", (Func<Task>)(() => Ask(asked, never))).Reply("zanzibar after all.", Usage(5, 5));
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync("\"privacy_class\":\"confidential\"");
        var started = await server.RunAsync(agent, "\"background\":true,\"input\":\"What of quixotry?\"");
        var run = started.Json.GetProperty("run_id").GetString();
        await asked.Task;
        await using var next = await StartAsync(TakeImage(server));
        await Eventually.TrueAsync(async () => (await next.Client.GetAsync($"/v1/runs/{run}")).Json
            .GetProperty("status").GetString() == "completed");

        Assert.Equal("zanzibar after all.", (await next.Client.GetAsync($"/v1/runs/{run}")).Json
            .GetProperty("output").GetString());
        await AssertSoundAsync(next);
        AssertNowhere(next.Folder, "zanzibar", "quixotry");
        never.SetResult();
    }

    [Fact]
    public async Task Document_ThatIsConfidential_IsFoundAndNotReadable()
    {
        _model.Reply("It does.", Usage(5, 5));
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync();
        await AddAsync(server, agent, "The aubergine grows in the marmalade garden.", "Marmaladium", "confidential");
        await AddAsync(server, agent, "The tomato grows in the open garden.", "Tomato", "standard");

        var found = await server.Client.PostAsync($"/v1/agents/{agent}/search", """{"query":"marmalade garden"}""");

        var chunks = found.Json.GetProperty("data");
        Assert.Equal(2, chunks.GetArrayLength());
        Assert.Contains("aubergine", chunks[0].GetProperty("text").GetString(), StringComparison.Ordinal);
        var answer = await server.RunAsync(agent, "\"input\":\"Where does the aubergine grow?\"");
        Assert.True(answer.Status == 200, answer.Text);
        Assert.True(answer.Json.GetProperty("sources").GetArrayLength() > 0, answer.Text);
        await AssertSoundAsync(server);
        AssertNowhere(server.Folder, "aubergin", "armalad");
    }

    [Fact]
    public async Task Document_ThatBecomesConfidential_IsEncryptedThenAndStaysFound()
    {
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync();
        var id = await AddAsync(server, agent, "The aubergine grows in the marmalade garden.", "Plan", "standard");
        await AddAsync(server, agent, "The tomato grows in the garden of tomorrow.", "Tomato", "standard");
        Assert.True(CountOpen(server, "aubergin") > 0);

        foreach (var privacyClass in (string[])["confidential", "standard", "confidential"])
        {
            var patched = await server.Client.PatchAsync($"/v1/documents/{id}",
                $$"""{"privacy_class":"{{privacyClass}}","name":"Aubergine plan"}""");
            Assert.True(patched.Status == 200, patched.Text);
            Assert.Equal(0, CountOpen(server, "aubergin"));
            var found = await server.Client.PostAsync($"/v1/agents/{agent}/search", """{"query":"aubergine garden"}""");
            Assert.True(found.Status == 200, found.Text);
            Assert.Equal("Aubergine plan", found.Json.GetProperty("data")[0].GetProperty("name").GetString());
            Assert.Equal(2, found.Json.GetProperty("data").GetArrayLength());
            await AssertSoundAsync(server);
        }

        Assert.Equal(204, (await server.Client.DeleteAsync($"/v1/documents/{id}")).Status);
        Assert.Equal(0, server.Database.Read(static session => session.Count(
            "SELECT count(*) FROM search_postings WHERE term LIKE '#%'")));
        await AssertSoundAsync(server);
    }

    [Fact]
    public async Task Document_WhoseEncryptionACrashCutOff_IsWholeAllTheWhileAndEncryptedAtTheNextStart()
    {
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync();
        var text = string.Join("\\n\\n", Enumerable.Range(0, 1_200).Select(static part =>
            $"The aubergine zucchetto{part} grows in bed{part % 37}. " + new string('x', 600)));
        var id = await AddAsync(server, agent, text, "Beds", "standard");
        var tenant = new TenantContext(server.Database.Read(static session => session.Single(
            "SELECT account_id FROM documents", static row => row.GetString(0)))!);

        // As far as the first steps of many come.
        await server.Database.WriteAsync(session =>
        {
            DocumentStore.Update(session, tenant, DocumentStore.Find(session, tenant, id)! with
            {
                PrivacyClass = PrivacyClass.Confidential,
                IsSealed = true,
            });
            Assert.True(SearchIndexStore.Blind(
                session, tenant, agent, DocumentStore.NumberOf(session, tenant, id)!.Value, 0));
            return DocumentStore.SealChunks(session, tenant, id, 7);
        });
        var folder = TakeImage(server);
        foreach (var part in (int[])[0, 17, 1_199])
        {
            Assert.Contains(
                $"zucchetto{part} ", await FirstAsync(server, agent, $"zucchetto{part}"), StringComparison.Ordinal);
        }

        await using var next = await StartAsync(folder);
        await Eventually.TrueAsync(() => Task.FromResult(CountOpen(next, "zucchetto") == 0));

        Assert.Equal(0, CountOpen(next, "aubergin"));
        Assert.Contains("zucchetto1199 ", await FirstAsync(next, agent, "zucchetto1199"), StringComparison.Ordinal);
        await AssertSoundAsync(next);
        Assert.Equal(204, (await next.Client.DeleteAsync($"/v1/documents/{id}")).Status);
        Assert.Equal(0, next.Database.Read(static session => session.Count(
            "SELECT count(*) FROM search_postings WHERE term LIKE '#%'")));
    }

    private static async Task<string> FirstAsync(TestServer server, string agent, string query)
    {
        var found = await server.Client.PostAsync($"/v1/agents/{agent}/search", $$"""{"query":"{{query}}"}""");
        return found.Json.GetProperty("data")[0].GetProperty("text").GetString()!;
    }

    [Fact]
    public async Task Value_MovedToAnotherRow_DoesNotOpen()
    {
        _model.Reply("First.", Usage(5, 5)).Reply("Second.", Usage(5, 5));
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync("\"privacy_class\":\"confidential\"");
        var first = (await server.RunAsync(agent)).Json.GetProperty("run_id").GetString()!;
        var second = (await server.RunAsync(agent)).Json.GetProperty("run_id").GetString()!;

        await server.Database.WriteAsync(session => session.Execute(
            "UPDATE runs SET output = (SELECT output FROM runs WHERE id = $1) WHERE id = $2", first, second));

        var violations = server.Database.Read(new Verifier(server.Service<MasterKey>()).Check);
        Assert.Contains(violations, violation => violation.Subject == second);
        Assert.DoesNotContain(violations, violation => violation.Subject == first);
    }

    [Fact]
    public async Task Verify_WithoutTheMasterKey_ChecksTheChainAndSaysWhatItCouldNot()
    {
        _model.Reply("First.", Usage(5, 5));
        await using var server = await StartAsync();
        await server.RunAsync(await server.NewAgentAsync("\"privacy_class\":\"confidential\""));
        await AddAsync(server, await server.NewAgentAsync(), "Secret words.", "S", "confidential");
        var folder = TakeImage(server);
        var key = Path.Combine(folder, MasterKey.FileName);
        File.Move(key, key + ".away");

        var output = new StringWriter();
        Assert.Equal(0, await DataCommands.VerifyAsync(folder, output));

        Assert.Contains("encrypted events only the hashes were checked", output.ToString(), StringComparison.Ordinal);
        File.Move(key + ".away", key);
        Assert.Equal(0, await DataCommands.VerifyAsync(folder, TextWriter.Null));
    }

    [Fact]
    public async Task ContentKey_ThatWasChanged_IsNamedAndOtherRunsGoOn()
    {
        _model.Reply("First.", Usage(5, 5)).Reply("Third.", Usage(5, 5));
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync("\"privacy_class\":\"confidential\"");
        var open = await server.NewAgentAsync();
        var run = (await server.RunAsync(agent)).Json.GetProperty("run_id").GetString();
        await server.Database.WriteAsync(static session =>
            session.Execute("UPDATE content_keys SET wrapped = zeroblob(length(wrapped))"));
        await using var next = await StartAsync(TakeImage(server));

        Assert.Equal(500, (await next.Client.GetAsync($"/v1/runs/{run}")).Status);
        Assert.Equal(200, (await next.RunAsync(open)).Status);
        Assert.Contains(next.Database.Read(new Verifier(next.Service<MasterKey>()).Check),
            static violation => violation.Problem.Contains("content key", StringComparison.Ordinal));
    }

    [Fact]
    public async Task ContentKey_ThatWasChanged_StopsItsOpenRunsAndNotTheStart()
    {
        var (first, second, never) = (new TaskCompletionSource(), new TaskCompletionSource(),
            new TaskCompletionSource());
        _model.Reply(() => Ask(first, never)).Reply(() => Ask(second, never)).Reply("Goes on.", Usage(5, 5));
        await using var server = await StartAsync();
        var hidden = await server.RunAsync(
            await server.NewAgentAsync("\"privacy_class\":\"confidential\""), "\"background\":true");
        await first.Task;
        var open = await server.RunAsync(await server.NewAgentAsync(), "\"background\":true");
        await second.Task;
        await server.Database.WriteAsync(static session =>
            session.Execute("UPDATE content_keys SET wrapped = zeroblob(length(wrapped))"));

        await using var next = await StartAsync(TakeImage(server));

        await Eventually.TrueAsync(async () => (await next.Client.GetAsync(Path(open))).Json
            .GetProperty("status").GetString() == "completed");
        Assert.Equal(500, (await next.Client.GetAsync(Path(hidden))).Status);
        var listed = (await next.Client.GetAsync("/v1/runs")).Json.GetProperty("data");
        Assert.Equal(["completed", "running"],
            listed.EnumerateArray().Select(static run => run.GetProperty("status").GetString()));
        never.SetResult();

        static string Path(TestAnswer started) => $"/v1/runs/{started.Json.GetProperty("run_id").GetString()}";
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Conversation_OfAnAgentThatIsConfidential_IsChangedEncrypted(bool becomes)
    {
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync(becomes ? "" : "\"privacy_class\":\"confidential\"");
        var made = await server.Client.PostAsync("/v1/conversations", $$"""{"agent":"{{agent}}"}""");
        Assert.True(made.Status == 201, made.Text);
        if (becomes)
        {
            var changed = await server.Client.PatchAsync(
                $"/v1/agents/{agent}", """{"privacy_class":"confidential"}""");
            Assert.True(changed.Status == 200, changed.Text);
        }

        var path = $"/v1/conversations/{made.Json.GetProperty("id").GetString()}";
        var patched = await server.Client.PatchAsync(
            path, """{"title":"About vermilion","metadata":{"case":"xylophone"}}""");

        Assert.True(patched.Status == 200, patched.Text);
        var shown = (await server.Client.GetAsync(path)).Json;
        Assert.Equal(("About vermilion", "xylophone"), (shown.GetProperty("title").GetString(),
            shown.GetProperty("metadata").GetProperty("case").GetString()));
        await AssertSoundAsync(server);
        AssertNowhere(server.Folder, "vermilion", "xylophone");
    }

    [Fact]
    public async Task Run_ThatFailedWithoutAWord_CountsOneMessage()
    {
        _model.Reply(new ProviderException(ProviderFault.Overloaded, "busy"));
        await using var server = await StartAsync();
        var agent = await server.NewAgentAsync("\"privacy_class\":\"confidential\"");
        Assert.Equal(503, (await server.RunAsync(agent)).Status);

        var conversation = (await server.Client.GetAsync("/v1/conversations")).Json.GetProperty("data")[0];

        Assert.Equal(1, conversation.GetProperty("message_count").GetInt32());
        var messages = await server.Client.GetAsync(
            $"/v1/conversations/{conversation.GetProperty("id").GetString()}/messages");
        Assert.Equal("Hi", Contents(messages));
        await AssertSoundAsync(server);
    }

    private string Prompt(int call) =>
        string.Join('|', _model.Prompts.ElementAt(call).Select(static message => message.Text));

    private static string Contents(TestAnswer messages) => string.Join('|', messages.Json.GetProperty("data")
        .EnumerateArray().Select(static message => message.GetProperty("content").GetString()));

    private static async Task<string> AddAsync(
        TestServer server, string agent, string text, string name, string privacyClass)
    {
        var answer = await server.Client.PostAsync($"/v1/agents/{agent}/documents",
            $$"""{"text":"{{text}}","name":"{{name}}","privacy_class":"{{privacyClass}}"}""");
        Assert.True(answer.Status == 201, answer.Text);
        return answer.Json.GetProperty("id").GetString()!;
    }

    private static long CountOpen(TestServer server, string word) => server.Database.Read(session => session.Count(
        "SELECT (SELECT count(*) FROM search_postings WHERE instr(term, $1) > 0) "
        + "+ (SELECT count(*) FROM search_terms WHERE instr(terms, $1) > 0) "
        + "+ (SELECT count(*) FROM chunks WHERE instr(CAST(text AS TEXT), $1) > 0)", word));

    private static async Task AssertSoundAsync(TestServer server)
    {
        await server.AssertSoundAsync(); // Without the key, as whoever has the file alone.
        Assert.Empty(server.Database.Read(new Verifier(server.Service<MasterKey>()).Check));
    }

    private static void AssertNowhere(string folder, params string[] words)
    {
        var files = Directory.GetFiles(folder).Where(static file => Path.GetFileName(file) != "lock").ToList();
        Assert.Contains(files, static file => file.EndsWith("reeve.db", StringComparison.Ordinal));
        foreach (var file in files)
        {
            using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            var bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            Assert.All(words, word => Assert.True(bytes.AsSpan().IndexOf(Encoding.UTF8.GetBytes(word)) < 0,
                $"{word} is in {Path.GetFileName(file)}"));
        }
    }

    private static async Task Ask(TaskCompletionSource asked, TaskCompletionSource never)
    {
        asked.TrySetResult();
        await never.Task;
    }

    /// <summary>The folder as a crash would leave it now.</summary>
    private string TakeImage(TestServer server)
    {
        var image = TestServer.NewFolder();
        _images.Add(image);
        foreach (var file in Directory.GetFiles(server.Folder).Where(static file =>
            Path.GetFileName(file) != "lock" && !file.EndsWith("-shm", StringComparison.Ordinal)))
        {
            File.Copy(file, Path.Combine(image, Path.GetFileName(file)));
        }

        return image;
    }

    private Task<TestServer> StartAsync(string? folder = null) => TestServer.StartAsync(
        configure: builder => _model.AddTo(builder, Model(), PrivacyMarks.Process), folder: folder, realTime: true);
}
