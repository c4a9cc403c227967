using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Reeve.Reliability.Load;
using Reeve.Server;
using Reeve.Server.Inference;
using Reeve.Server.Runs;
using Reeve.Server.Storage;
using Reeve.Server.Tests;
using Reeve.Server.Tests.Webhooks;

namespace Reeve.Reliability.Points;

/// <summary>
/// A server in this process with a hook at its points, and requests that come by all of them: runs whole and streamed,
/// tools, a waiting run, cancels, replays, embeddings.
/// </summary>
internal sealed class PointScenarios : IAsyncDisposable
{
    private const int TurnsMax = 4;
    private const string Embedder = "mesh/house-e";
    private static readonly TimeSpan HedgeAfter = TimeSpan.FromMilliseconds(25);

    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(60) };
    private readonly ConcurrentDictionary<string, int> _hits = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<string> _problems = new();
    private readonly ConcurrentQueue<StreamClient> _streams = new();
    private readonly MockProvider _provider;
    private readonly WebhookReceiver _receiver;
    private readonly Func<string, int, bool> _throwsAt;
    private TestServer _server = null!;
    private string _agent = "";
    private string _shortAgent = "";
    private int _tag;

    private PointScenarios(MockProvider provider, WebhookReceiver receiver, Func<string, int, bool> throwsAt) =>
        (_provider, _receiver, _throwsAt) = (provider, receiver, throwsAt);

    /// <summary>How often each point was come by.</summary>
    internal IReadOnlyDictionary<string, int> Hits => _hits;

    /// <summary>Errors are thrown only while this is true.</summary>
    internal bool IsArmed { get; set; }

    internal TestServer Server => _server;

    internal List<string> Problems => [.. _problems];

    /// <summary>
    /// Starts a server; <paramref name="throwsAt"/> decides by point and number of the hit whether it fails there.
    /// </summary>
    internal static async Task<PointScenarios> StartAsync(MockProvider provider, Func<string, int, bool> throwsAt)
    {
        var scenarios = new PointScenarios(provider, await WebhookReceiver.StartAsync(), throwsAt);
        scenarios._server = await scenarios.NewServerAsync(null);
        var answer = await scenarios._server.Client.PostAsync("/v1/agents",
            $$"""
            {"name":"Desk","model":"{{MockProvider.Model}}","tools":[{"name":"time","type":"builtin"}]}
            """);
        scenarios._agent = answer.Json.GetProperty("id").GetString()!;
        answer = await scenarios._server.Client.PostAsync("/v1/agents",
            $$"""{"name":"Short","model":"{{MockProvider.Model}}","max_output_tokens":400}""");
        scenarios._shortAgent = answer.Json.GetProperty("id").GetString()!;
        answer = await scenarios._server.Client.PostAsync($"/v1/agents/{scenarios._agent}/documents",
            """{"text":"Xyzzy plugh.","name":"Unmet","privacy_class":"confidential"}"""); // Its runs are encrypted.
        Assert.Equal(201, answer.Status);
        answer = await scenarios._server.Client.PostAsync("/v1/webhooks",
            $$"""{"url":"{{scenarios._receiver.Url}}","events":["run.completed","run.failed","run.cancelled"]}""");
        Assert.Equal(201, answer.Status);
        return scenarios;
    }

    private Task<TestServer> NewServerAsync(string? folder) => TestServer.StartAsync(
        options => options with
        {
            Inference = new InferenceOptions
            {
                Providers =
                [
                    new ProviderOptions
                    {
                        Name = "house",
                        Kind = ProviderKinds.OpenAI,
                        BaseUrl = new Uri(_provider.Url, "v1"),
                        Models =
                        [
                            Model("house"),
                            new Model
                            {
                                Id = Embedder,
                                Provider = "house",
                                Upstream = "house-e",
                                ContextTokens = 8_191,
                                OutputTokensMax = 0,
                                InputUsdPerMillion = 20,
                                OutputUsdPerMillion = 0,
                                Capabilities = new HashSet<string>(["embeddings"]),
                            },
                        ],
                    },
                    new ProviderOptions
                    {
                        Name = "spare",
                        Kind = ProviderKinds.OpenAI,
                        BaseUrl = new Uri(_provider.Url, "v1"),
                        Models = [Model("spare")],
                    },
                ],
                HedgeAfter = HedgeAfter,
            },
            Credits = options.Credits with { StartingBalanceUsd = 100_000 },
            Egress = _receiver.Allowed,
        },
        builder =>
        {
            builder.Logging.ClearProviders(); // Thrown errors are logged, as they should be.
            builder.Services.AddSingleton(new Failpoints(Come));
        },
        folder: folder, realTime: true);

    private static Model Model(string provider) => new()
    {
        Id = MockProvider.Model,
        Provider = provider,
        Upstream = "house-1",
        ContextTokens = 128_000,
        OutputTokensMax = 4_096,
        InputUsdPerMillion = 3,
        OutputUsdPerMillion = 15,
        Capabilities = new HashSet<string>(["chat", "tools", "streaming"]),
    };

    private void Come(string point)
    {
        var hit = IsArmed ? _hits.AddOrUpdate(point, 1, static (_, old) => old + 1) : 0;
        if (hit > 0 && _throwsAt(point, hit))
        {
            throw new FailpointException();
        }
    }

    /// <summary>Sends everything until a point was come by often enough, or a few turns were in vain.</summary>
    internal async Task PlayAsync(string point, int hits)
    {
        for (var turn = 0; turn < TurnsMax && _hits.GetValueOrDefault(point) < hits; turn++)
        {
            await PlayAsync();
            if (point.StartsWith("webhook.", StringComparison.Ordinal))
            {
                // They follow the runs.
                await Eventually.TrueAsync(() => _hits.GetValueOrDefault(point) >= hits);
            }
        }
    }

    internal async Task PlayAsync()
    {
        await Task.WhenAll(WholeAsync(), SlowAsync(), StreamAsync(Dialect.Mesh), StreamAsync(Dialect.Auteryn),
            CancelAsync(), EmbedAsync());
        await ConverseAsync();
    }

    private string Input(MockPrompt prompt) => prompt.Input(
        string.Create(CultureInfo.InvariantCulture, $"point {Interlocked.Increment(ref _tag)}"));

    private async Task WholeAsync() => await SendAsync(
        Dialect.Mesh.Run(_server.Url, _agent, Input(new MockPrompt { Tools = 1, Pieces = 2 }), asStream: false));

    private async Task EmbedAsync()
    {
        var request = Dialect.Request(HttpMethod.Post, _server.Url, "/v1/embeddings");
        request.Content = Dialect.Json($$"""{"model":"{{Embedder}}","input":["one","two"]}""");
        await SendAsync(request);
    }

    /// <summary>An answer, asked for whole, for which another provider is asked as well.</summary>
    private async Task SlowAsync() => await SendAsync(
        Dialect.Mesh.Run(_server.Url, _shortAgent, Input(new MockPrompt { Pieces = 4, Pause = 25 }), asStream: false));

    private Task<StreamClient> StreamAsync(Dialect dialect) =>
        StreamAsync(dialect, new MockPrompt { Tools = 1, Pieces = 4, Pause = 2 });

    /// <summary>A stream, resumed when it breaks.</summary>
    internal async Task<StreamClient> StreamAsync(Dialect dialect, MockPrompt prompt)
    {
        var stream = new StreamClient(_http, _agent);
        var read = await stream.StartAsync(_server.Url, dialect, Input(prompt), key: null);
        for (var tries = 0; read != StreamRead.Ended && stream.RunId is not null && tries < TurnsMax; tries++)
        {
            read = await stream.ResumeAsync(_server.Url, inQuery: tries % 2 == 0);
        }

        if (stream.Problem is { } problem)
        {
            _problems.Enqueue(problem);
        }

        if (stream.RunId is not null)
        {
            _streams.Enqueue(stream);
        }

        if (read == StreamRead.Refused)
        {
            Look(stream.Refusal.Status, stream.Refusal.Body);
        }

        return stream;
    }

    private async Task CancelAsync()
    {
        var started = await SendAsync(Dialect.Mesh.Run(_server.Url, _agent,
            Input(new MockPrompt { Pieces = 12, Pause = 20 }), asStream: false, ",\"background\":true"));
        if (started is { } body && Member(body, "run_id") is { } run)
        {
            await SendAsync(Dialect.Request(HttpMethod.Post, _server.Url, $"/v1/runs/{run}/cancel"));
        }
    }

    /// <summary>One run goes on, two wait; of these one is cancelled before its turn.</summary>
    private async Task ConverseAsync()
    {
        var first = await SendAsync(Dialect.Mesh.Run(
            _server.Url, _agent, Input(new MockPrompt { Pieces = 1 }), asStream: false));
        if (first is not { } body || Member(body, "conversation_id") is not { } conversation)
        {
            return;
        }

        var members = $",\"conversation_id\":\"{conversation}\",\"on_busy\":\"queue\",\"background\":true";
        var waiting = new List<string?>();
        for (var i = 0; i < 4; i++)
        {
            // The first goes on until the others wait, on a busy machine too.
            var prompt = i == 0 ? new MockPrompt { Pieces = 12, Pause = 20 } : new MockPrompt { Pieces = 3, Pause = 8 };
            var answer = await SendAsync(
                Dialect.Mesh.Run(_server.Url, _agent, Input(prompt), asStream: false, members));
            waiting.Add(answer is { } queued ? Member(queued, "run_id") : null);
        }

        if (waiting[2] is { } cancelled)
        {
            await SendAsync(Dialect.Request(HttpMethod.Post, _server.Url, $"/v1/runs/{cancelled}/cancel"));
        }

        if (waiting[^1] is { } last)
        {
            await FollowAsync(last);
        }
    }

    /// <summary>Waits for the end of a run, whose turn comes when those before it have ended.</summary>
    private async Task FollowAsync(string run)
    {
        using var request = Dialect.Request(HttpMethod.Get, _server.Url, $"/v1/runs/{run}/events");
        try
        {
            using var answer = await _http.SendAsync(request);
        }
        catch (HttpRequestException)
        {
            // An error was thrown into this very stream.
        }
    }

    /// <summary>Lets the server stop, by the way with an error, and takes its folder over with another one.</summary>
    internal async Task RestartAsync()
    {
        var folder = _server.Folder;
        try
        {
            await _server.StopAsync();
        }
        catch (Exception error) when (error is FailpointException or AggregateException)
        {
            await _server.App.DisposeAsync();
        }

        IsArmed = false;
        _server = await NewServerAsync(folder);
    }

    /// <summary>
    /// Waits until every run has ended; then nothing may be held and nothing be wrong, what streams said is what they
    /// say now, and the server does new work of both APIs as if nothing had been.
    /// </summary>
    internal async Task CheckAsync(string where)
    {
        IsArmed = false;
        try
        {
            await Eventually.TrueAsync(() => _server.Database.Read(static session => session.Count(
                "SELECT count(*) FROM runs WHERE finished_at IS NULL")) == 0);
        }
#pragma warning disable CA1031 // What Eventually throws is a finding.
        catch (Exception)
#pragma warning restore CA1031
        {
            _problems.Enqueue($"{where}: a run does not end");
        }

        foreach (var stream in _streams)
        {
            var replay = await stream.ReplayAsync(_server.Url) ?? [];
            if (!replay.AsSpan().StartsWith(stream.Bytes) || (stream.IsEnded && replay.Length > stream.Bytes.Length))
            {
                _problems.Enqueue($"{where}: {stream.RunId} differs from its replay");
            }
        }

        foreach (var dialect in (Dialect[])[Dialect.Mesh, Dialect.Auteryn])
        {
            using var request = dialect.Run(_server.Url, _agent, Input(new MockPrompt()), asStream: false);
            using var answer = await _http.SendAsync(request);
            var body = await answer.Content.ReadAsStringAsync();
            if ((int)answer.StatusCode != 200
                || !body.Contains(new MockPrompt().PlainAnswer!, StringComparison.Ordinal))
            {
                _problems.Enqueue($"{where}: a new run afterwards got {(int)answer.StatusCode} {body}");
            }
        }

        foreach (var violation in _server.Database.Read(new Verifier(_server.Service<MasterKey>()).Check))
        {
            _problems.Enqueue($"{where}: {violation}");
        }

        var held = _server.Database.Read(static session => session.Count("SELECT sum(held) FROM balances"));
        if (held > 0)
        {
            _problems.Enqueue($"{where}: {held} micro-USD are held by nobody");
        }
    }

    private async Task<string?> SendAsync(HttpRequestMessage request)
    {
        using (request)
        {
            try
            {
                using var answer = await _http.SendAsync(request);
                var body = await answer.Content.ReadAsStringAsync();
                Look((int)answer.StatusCode, body);
                return body;
            }
            catch (Exception error) when (error is HttpRequestException or OperationCanceledException)
            {
                _problems.Enqueue($"{request.RequestUri} got no answer: {error.Message}");
                return null;
            }
        }
    }

    // Success, or an error of the documented shape.
    private void Look(int status, string body)
    {
        try
        {
            using var json = JsonDocument.Parse(body);
            if (status >= 300 && json.RootElement.GetProperty("error").GetProperty("message").GetString() is null)
            {
                _problems.Enqueue($"an error without a message: {status} {body}");
            }
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException)
        {
            _problems.Enqueue($"an answer that is no JSON of an error: {status} {body}");
        }
    }

    private static string? Member(string body, string name)
    {
        using var json = JsonDocument.Parse(body);
        return json.RootElement.TryGetProperty(name, out var value) ? value.GetString() : null;
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        var folder = _server.Folder;
        await _server.DisposeAsync();
        await _receiver.DisposeAsync();
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
