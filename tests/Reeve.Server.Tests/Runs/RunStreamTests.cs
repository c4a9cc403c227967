using System.Net.Sockets;
using System.Text;
using CsCheck;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Reeve.Server.Runs;
using static Reeve.Server.Tests.Runs.ScriptedChatClient;

namespace Reeve.Server.Tests.Runs;

public sealed class RunStreamTests
{
    private static readonly string[] Agent = ["X-Agent-Id"];

    [Theory]
    [InlineData("mesh")]
    [InlineData("auteryn")]
    public async Task Stream_CutAtEveryByteAndResumed_IsByteIdentical(string dialect)
    {
        var model = Talkative();
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var (whole, events, header) = await StreamAsync(server, dialect);

        for (var cut = 0; cut < whole.Length; cut++)
        {
            var end = cut < 2 ? -1 : whole.LastIndexOf("\n\n", cut - 1, StringComparison.Ordinal);
            var kept = end < 0 ? "" : whole[..(end + 2)];
            var lastId = kept.Split('\n')
                .LastOrDefault(line => line.StartsWith("id: ", StringComparison.Ordinal))?[4..];
            Assert.Equal(whole, kept + await ResumeAsync(server, events, header, lastId));
        }

        await server.AssertSoundAsync();
    }

    [Theory]
    [InlineData("mesh")]
    [InlineData("auteryn")]
    public async Task Stream_AfterARestart_IsByteIdentical(string dialect)
    {
        var model = Talkative();
        var first = await TestServer.StartAsync(
            configure: builder => model.AddTo(builder), folder: TestServer.NewFolder());
        var (whole, events, header) = await StreamAsync(first, dialect);
        var folder = await first.StopAsync();

        await using var second = await TestServer.StartAsync(
            configure: builder => model.AddTo(builder), folder: folder);
        for (var id = 0; id < 8; id++)
        {
            var at = id == 0 ? 0 : AfterFirst(whole, "\n\n", AfterFirst(whole, $"id: {id}\n"));
            Assert.Equal(whole[at..], await ResumeAsync(second, events, header, id == 0 ? null : $"{id}"));
        }
    }

    [Fact]
    public async Task Stream_JoinedWhileTheRunGoesOn_IsByteIdentical()
    {
        var gates = Enumerable.Range(0, 6).Select(_ => new TaskCompletionSource()).ToArray();
        var model = new ScriptedChatClient().Reply(
            [.. gates.SelectMany((gate, i) => new object[] { gate.Task, $"piece {i} " }), Usage(5, 5)]);
        await using var server = await TestServer.StartAsync(
            configure: builder => model.AddTo(builder), realTime: true);
        var agent = await server.NewAgentAsync();
        using var main = await server.OpenAsync("POST", "/v1/agents/runs?stream=true", RunTestExtensions.Body(agent));
        var text = new StringBuilder(await main.ReadToAsync("run.started"));
        var runId = RunIdIn(text.ToString());

        var joined = new List<Task<string>>();
        for (var i = 0; i < gates.Length; i++)
        {
            var reader = await server.OpenAsync("GET", $"/v1/runs/{runId}/events", null);
            joined.Add(reader.ReadToEndAsync(RunTestExtensions.Cancellation));
            gates[i].SetResult();
            text.Append(await main.ReadToAsync($"piece {i}"));
        }

        text.Append(await main.ReadToEndAsync(RunTestExtensions.Cancellation));
        Assert.All(await Task.WhenAll(joined), one => Assert.Equal(text.ToString(), one));
    }

    [Theory]
    [InlineData("starting_after=-1")]
    [InlineData("starting_after=1.5")]
    [InlineData("starting_after=abc")]
    [InlineData("starting_after=9007199254740993")]
    [InlineData("starting_after=")]
    [InlineData("starting_after=1&starting_after=1")]
    [InlineData("after=1")]
    public async Task Cursor_ThatIsNone_IsRefused(string query)
    {
        var model = Talkative();
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var run = (await server.RunAsync(await server.NewAgentAsync())).Json.GetProperty("run_id").GetString();

        var answer = await server.Client.GetAsync($"/v1/runs/{run}/events?{query}");

        Assert.Equal((400, "invalid_request"), (answer.Status, answer.ErrorCode));
    }

    [Theory]
    [InlineData("9007199254740993")]
    [InlineData("-1")]
    [InlineData("+1")]
    [InlineData(" 1 1")]
    [InlineData("1.0")]
    [InlineData("0x1")]
    [InlineData("1", "2")]
    public async Task LastEventId_ThatIsNone_IsRefused(params string[] values)
    {
        var model = new ScriptedChatClient().Reply("Hi.", Usage(1, 1));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var run = (await server.RunAsync(await server.NewAgentAsync())).Json.GetProperty("run_id").GetString();
        var headers = string.Concat(values.Select(static value => $"Last-Event-ID: {value}\r\n"));

        var answer = await server.SendRawAsync($"GET /v1/runs/{run}/events HTTP/1.1\r\nHost: localhost\r\n"
            + $"Authorization: Bearer {TestServer.AdminKey}\r\n{headers}Connection: close\r\n\r\n");

        Assert.StartsWith("HTTP/1.1 400 ", answer, StringComparison.Ordinal);
        Assert.Contains("\"param\":\"Last-Event-ID\"", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task LastEventId_YieldsToStartingAfter()
    {
        var model = new ScriptedChatClient().Reply("Hi.", Usage(1, 1));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var run = (await server.RunAsync(await server.NewAgentAsync())).Json.GetProperty("run_id").GetString();

        Task<TestAnswer> GetAsync(string query, string id) => server.Client.SendAsync(
            "GET", $"/v1/runs/{run}/events{query}", null, ("Last-Event-ID", id));
        Assert.StartsWith("id: 3\n", (await GetAsync("", "2")).Text, StringComparison.Ordinal);
        Assert.StartsWith("id: 1\n", (await GetAsync("", "0")).Text, StringComparison.Ordinal);
        Assert.StartsWith("id: 2\n", (await GetAsync("?starting_after=1", "2")).Text, StringComparison.Ordinal);
        Assert.StartsWith("id: 1\n", (await GetAsync("?starting_after=0", "x")).Text, StringComparison.Ordinal);
        Assert.Equal(204, (await GetAsync("", "9007199254740992")).Status);
    }

    [Fact]
    public async Task Cursor_AtOrBeyondTheEndOfAnEndedRun_Answers204()
    {
        var model = new ScriptedChatClient().Reply("Hi.", Usage(1, 1));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var run = (await server.RunAsync(await server.NewAgentAsync())).Json.GetProperty("run_id").GetString();

        Assert.Equal(200, (await server.Client.GetAsync($"/v1/runs/{run}/events?starting_after=2")).Status);
        Assert.Equal(204, (await server.Client.GetAsync($"/v1/runs/{run}/events?starting_after=3")).Status);
        Assert.Equal(
            204, (await server.Client.GetAsync($"/v1/runs/{run}/events?starting_after=9007199254740992")).Status);
    }

    [Fact]
    public async Task Heartbeat_ComesAfterFifteenSecondsOfSilence()
    {
        var gate = new TaskCompletionSource();
        var model = new ScriptedChatClient().Reply(gate.Task, "Late.", Usage(1, 1));
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync("\"limits\":{\"max_run_seconds\":7200}");
        using var stream = await server.OpenAsync("POST", "/v1/agents/runs?stream=true", RunTestExtensions.Body(agent));
        await stream.ReadToAsync("run.started");

        var next = await server.PassTimeUntilAsync(
            TimeSpan.FromSeconds(15), async () => await stream.ReadToAsync(": ping"));

        Assert.StartsWith(": ping\n\n", next, StringComparison.Ordinal);
        gate.SetResult();
        Assert.Contains("Late.", await stream.ReadToEndAsync(RunTestExtensions.Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Reader_ThatAcceptsNothing_IsCutOffAndTheRunGoesOn()
    {
        const int Pieces = 4_000;
        var model = new ScriptedChatClient().Reply(
            [.. Enumerable.Repeat<object>(new string('x', 4_000), Pieces), Usage(1, 1)]);
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync("\"limits\":{\"max_run_seconds\":7200}");
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 16 * 1024 };
        await socket.ConnectAsync(server.Url.Host, server.Url.Port, RunTestExtensions.Cancellation);
        var body = RunTestExtensions.Body(agent);
        await socket.SendAsync(Encoding.ASCII.GetBytes(
            $"POST /v1/agents/runs?stream=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TestServer.AdminKey}\r\n"
            + $"Content-Length: {body.Length}\r\n\r\n{body}"), RunTestExtensions.Cancellation);

        await Eventually.TrueAsync(() => server.Database.Read(session =>
            session.Count("SELECT count(*) FROM runs WHERE status = 'completed'")) == 1);
        var read = await ReadToEndAsync(socket, server);

        Assert.InRange(read, 1, Pieces * 4_000L - 1);
        await server.AssertSoundAsync();
    }

    // Time passes first, so that the deadline of the pending write is over before anything is read.
    private static async Task<long> ReadToEndAsync(Socket socket, TestServer server)
    {
        for (var i = 0; i < 40; i++)
        {
            server.Time.Advance(TimeSpan.FromSeconds(1));
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, RunTestExtensions.Cancellation);
        }

        var (total, buffer) = (0L, new byte[64 * 1024]);
        try
        {
            while (await socket.ReceiveAsync(buffer, RunTestExtensions.Cancellation) is var count and > 0)
            {
                total += count;
            }
        }
        catch (SocketException)
        {
            // The server aborted the connection, which is what it is to do.
        }

        return total;
    }

    /// <summary>Longer than what is read at once, and than what may wait in the server until it is sent.</summary>
    [Fact]
    public async Task Replay_OfALongRun_IsReadAndSentInPieces()
    {
        const int Pieces = 600;
        var flushes = 0;
        var model = new ScriptedChatClient().Reply(
            [.. Enumerable.Range(0, Pieces).Select(static i => $"{i:000}" + new string('x', 997)), Usage(1, 1)]);
        await using var server = await TestServer.StartAsync(configure: builder =>
        {
            model.AddTo(builder);
            builder.Services.AddSingleton(new Failpoints(name =>
                Interlocked.Add(ref flushes, name == Failpoints.StreamBeforeFlush ? 1 : 0)));
        });
        var answer = await server.RunAsync(await server.NewAgentAsync(), "\"background\":true");
        var path = $"/v1/runs/{answer.Json.GetProperty("run_id").GetString()}/events";
        await Eventually.TrueAsync(() => server.Service<Capacity>().Runs.Taken == 0);

        var whole = await server.Client.GetAsync(path);

        Assert.Equal(Pieces + 2, whole.Text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Length);
        Assert.InRange(flushes, 18, 22); // 600 KB in pieces of 32 KiB, and what is left of each page.
        var rest = await server.Client.GetAsync(path + "?starting_after=561");
        Assert.Equal(whole.Text[whole.Text.IndexOf("id: 562\n", StringComparison.Ordinal)..], rest.Text);
        Assert.Equal(204, (await server.Client.GetAsync(path + "?starting_after=602")).Status);
        Assert.Equal(200, (await server.Client.GetAsync(path + "?starting_after=601")).Status);
    }

    [Fact]
    public async Task Stream_OfAServerThatStops_EndsAndNoOtherBegins()
    {
        var model = new ScriptedChatClient().Reply("Half ", new TaskCompletionSource().Task);
        await using var server = await TestServer.StartAsync(configure: builder => model.AddTo(builder));
        using var stream = await server.OpenAsync(
            "POST", "/v1/agents/runs?stream=true", RunTestExtensions.Body(await server.NewAgentAsync()));
        var run = RunIdIn(await stream.ReadToAsync("Half "));

        server.Service<IHostApplicationLifetime>().StopApplication();

        Assert.Equal("", await stream.ReadToEndAsync(RunTestExtensions.Cancellation));
        var refused = await server.Client.GetAsync($"/v1/runs/{run}/events");
        Assert.Equal((503, "unavailable", "5"), (refused.Status, refused.ErrorCode, refused.Header("Retry-After")));
        Assert.Equal(200, (await server.Client.GetAsync($"/v1/runs/{run}")).Status); // What can be answered is.
    }

    [Fact]
    public async Task Text_WithLineBreaksAndSurrogates_StaysInsideOneDataLine()
    {
        await using var server = await TestServer.StartAsync(configure: builder => Nasty.AddTo(builder));
        var agent = await server.NewAgentAsync();

        using var stream = await server.OpenAsync("POST", "/v1/agents/runs?stream=true", RunTestExtensions.Body(agent));
        var text = await stream.ReadToEndAsync(RunTestExtensions.Cancellation);

        Assert.DoesNotContain("\u2028", text, StringComparison.Ordinal);
        Assert.All(
            text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries),
            frame => Assert.Equal(3, frame.Split('\n').Length));
        var output = (await server.Client.GetAsync($"/v1/runs/{RunIdIn(text)}")).Json.GetProperty("output").GetString();
        Assert.Equal("a\nb\r\ndata: x\n\nevent: y\u2028z\u0000😀e", output);
    }

    [Fact]
    public void DeltaSplitter_AnyText_KeepsEveryCharacterWhole() => Gen.String.Array[0, 20].Sample(pieces =>
    {
        var splitter = new DeltaSplitter();
        var said = pieces.SelectMany(piece => splitter.Push(piece)).ToList();
        if (splitter.Flush() is { } rest)
        {
            said.Add(rest);
        }

        return said.TrueForAll(piece => piece.Length is > 0 and <= DeltaSplitter.CharactersMax
                && !char.IsHighSurrogate(piece[^1]))
            && string.Concat(said).Replace("\uFFFD", "", StringComparison.Ordinal).Length
                >= string.Concat(pieces).Replace("\uFFFD", "", StringComparison.Ordinal).Length - 1;
    });

    private static ScriptedChatClient Nasty => new ScriptedChatClient().Reply(
        "a\nb\r\n", "data: x\n\nevent: y\u2028z\u0000", "\ud83d", "\ude00e", Usage(1, 1));

    private static ScriptedChatClient Talkative() => new ScriptedChatClient()
        .Reply("Let me ", "look — ", "now.", Call("time-now", "{}"), Usage(10, 5))
        .Reply("It is ", "späť 😀", "!", Usage(20, 5));

    private static async Task<(string Whole, string Events, (string, string)[] Header)> StreamAsync(
        TestServer server, string dialect)
    {
        var agent = await server.NewAgentAsync("\"tools\":[{\"name\":\"time\",\"type\":\"builtin\"}]");
        (string, string)[] header = dialect == "mesh" ? [] : [(Agent[0], agent)];
        using var stream = dialect == "mesh"
            ? await server.OpenAsync("POST", "/v1/agents/runs?stream=true", RunTestExtensions.Body(agent))
            : await server.OpenAsync("POST", "/api/run", """{"query":"Hi"}""", header);
        var whole = await stream.ReadToEndAsync(RunTestExtensions.Cancellation);
        var runId = RunIdIn(whole);
        if (dialect == "mesh")
        {
            return (whole, $"/v1/runs/{runId}/events", header);
        }

        var task = whole[AfterFirst(whole, "\"task_id\":\"")..][..31];
        Assert.StartsWith("task_", task, StringComparison.Ordinal);
        return (whole, $"/api/tasks/{task}/runs/{runId}/events", header);
    }

    private static int AfterFirst(string text, string mark, int from = 0)
    {
        var at = text.IndexOf(mark, from, StringComparison.Ordinal);
        Assert.True(at >= 0, $"{mark} is not in {text}");
        return at + mark.Length;
    }

    private static async Task<string> ResumeAsync(
        TestServer server, string events, (string, string)[] header, string? lastId)
    {
        (string Name, string Value)[] headers = lastId is null ? header : [.. header, ("Last-Event-ID", lastId)];
        var answer = await server.Client.SendAsync("GET", events, null, headers);
        Assert.Contains(answer.Status, new[] { 200, 204 });
        return answer.Text;
    }

    private static string RunIdIn(string text) => text[text.IndexOf("run_0", StringComparison.Ordinal)..][..30];
}
