using Reeve.Server.Http;

namespace Reeve.Server.Tests.Spec;

/// <summary>One server for all traces that do not need another.</summary>
public sealed class TraceServers : IAsyncLifetime
{
    internal TraceServer Shared { get; private set; } = null!;

    internal SpecSchemas Schemas { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Shared = await TraceServer.StartAsync(new Dictionary<string, System.Text.Json.JsonElement>());
        Schemas = SpecSchemas.Load(await Shared.Http.GetByteArrayAsync(
            new Uri("/openapi.json", UriKind.Relative), TestContext.Current.CancellationToken));
    }

    public ValueTask DisposeAsync() => Shared.DisposeAsync();
}

/// <summary>
/// Replays <c>spec/traces</c>: what the server answers is what was recorded, and fits the OpenAPI document. How to
/// record and how to replay on another server: <c>spec/README.md</c>.
/// </summary>
public sealed class TraceTests(TraceServers servers) : IClassFixture<TraceServers>
{
    private static readonly string[] NotOfAuteryn =
        ["insufficient_funds", "provider_unavailable", "gone", "conversation_limit_exceeded"];

    private static readonly string[] OfAuteryn =
        ["insufficient_credits", "agent_not_found", "task_not_found", "run_not_found"];

    public static IEnumerable<TheoryDataRow<string>> All => Directory
        .EnumerateFiles(SpecFiles.Traces, "request.json", SearchOption.AllDirectories)
        .Select(static file => Path.GetRelativePath(SpecFiles.Traces, Path.GetDirectoryName(file)!).Replace('\\', '/'))
        .Order(StringComparer.Ordinal).Select(static name => new TheoryDataRow<string>(name));

    [Theory]
    [MemberData(nameof(All))]
    public async Task Trace_Replayed_IsAnsweredAsRecorded(string name)
    {
        var folder = Path.Combine(SpecFiles.Traces, name);
        var setup = TraceSetup.Read(await File.ReadAllTextAsync(
            Path.Combine(folder, "setup.json"), TestContext.Current.CancellationToken));
        Assert.SkipUnless(TraceServer.Url is null || setup.RunsAnywhere,
            "It needs a scripted model or a server of its own, which another server does not have.");
        if (!setup.NeedsOwnServer)
        {
            await ReplayAsync(servers.Shared, folder, setup);
            return;
        }

        await using var server = await TraceServer.StartAsync(setup.Server);
        await ReplayAsync(server, folder, setup);
    }

    /// <summary>What both tables of errors have a row for (1.4 of each wire) has a trace.</summary>
    [Theory]
    [InlineData("mesh")]
    [InlineData("auteryn")]
    public void Trace_OfEachErrorCode_IsThere(string dialect)
    {
        var recorded = Directory.EnumerateFiles(
            Path.Combine(SpecFiles.Traces, dialect), "response.json", SearchOption.AllDirectories)
            .Select(File.ReadAllText).ToList();
        var missing = ApiErrorCodes.All.Select(static code => code.Code)
            .Except(dialect == "mesh" ? [] : NotOfAuteryn).Concat(dialect == "mesh" ? [] : OfAuteryn)
            .Where(code => !recorded.Any(text =>
                text.Contains($"\"code\": \"{code}\"", StringComparison.Ordinal))).ToList();
        Assert.True(missing.Count == 0, string.Join(", ", missing));
    }

    private async Task ReplayAsync(TraceServer server, string folder, TraceSetup setup)
    {
        var placeholders = new Placeholders();
        var meanwhile = new List<Task>();
        await server.BeginAsync(setup, placeholders);
        try
        {
            foreach (var step in setup.Steps)
            {
                if (step.Meanwhile)
                {
                    meanwhile.Add(step.Call.SendAsync(server.Http, placeholders));
                }
                else
                {
                    await DoAsync(server, step, placeholders);
                }
            }

            await server.BreakAsync(setup);
            var request = TraceCall.Read(System.Text.Json.JsonElement.Parse(await File.ReadAllTextAsync(
                Path.Combine(folder, "request.json"), TestContext.Current.CancellationToken)), isStep: false);
            var sent = request.SendAsync(server.Http, placeholders);
            foreach (var step in setup.During)
            {
                await DoAsync(server, step, placeholders);
            }

            var answer = await sent;
            SpecFiles.Check(Path.Combine(folder, "response.json"), answer.Show(placeholders));
            SpecFiles.Check(Path.Combine(folder, "response.sse"), answer.ShowStream(placeholders));
            Judge(request, placeholders, answer);
        }
        finally
        {
            server.End();
            await Task.WhenAll(meanwhile);
        }
    }

    private async Task DoAsync(TraceServer server, TraceStep step, Placeholders placeholders)
    {
        var start = TimeProvider.System.GetTimestamp();
        var answer = await step.Call.SendAsync(server.Http, placeholders);
        while (!step.IsDone(answer))
        {
            Assert.True(TimeProvider.System.GetElapsedTime(start) < TestServer.Timeout && Repeats(step, answer),
                $"{step.Call.Method} {step.Call.Path} answered {answer.Status} {answer.Text}");
            await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, TestContext.Current.CancellationToken);
            answer = await step.Call.SendAsync(server.Http, placeholders);
        }

        foreach (var (name, path) in step.Save)
        {
            placeholders.Save(name, answer.Find(path)!);
        }

        Judge(step.Call, placeholders, answer);
    }

    // Only reading can be done again; a step that waits for something reads.
    private static bool Repeats(TraceStep step, TraceAnswer answer) => step.Call.Method == "GET" && answer.Status < 500;

    private void Judge(TraceCall call, Placeholders placeholders, TraceAnswer answer)
    {
        var wrong = servers.Schemas.Judge(call, placeholders, answer).ToList();
        Assert.True(wrong.Count == 0, string.Join(Environment.NewLine, wrong));
    }
}
