using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Reeve.Reliability.Kill;
using Reeve.Reliability.Load;
using Reeve.Reliability.Simulation;
using Reeve.Server.Runs;
using Reeve.Server.Tests;

namespace Reeve.Reliability.Chaos;

/// <summary>
/// C1: a proxy that mistreats connections stands between clients and server, then between server and provider. A
/// client that repeats what it may repeat gets one run and its bytes; a run that loses its provider ends as documented.
/// </summary>
internal static class ChaosHarness
{
    private const int Clients = 8;
    private const int ProviderTimeoutMilliseconds = 1_000;

    /// <summary>Enough for a few answers of the provider.</summary>
    private const int ProviderLifeBytes = 12_000;

    /// <summary>How long a client waits for one answer before it asks again.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <summary>Longer than a run may take whose provider is silent, drips, or is cut again and again.</summary>
    private static readonly TimeSpan RunMax = TimeSpan.FromSeconds(30);

    /// <summary>Longer than any client needs to get its answer through all that befalls its connections.</summary>
    private static readonly TimeSpan AnswerMax = TimeSpan.FromSeconds(90);

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(5);

    internal static async Task<Score> RunAsync(Trial trial)
    {
        var connections = trial.Count(30, 300, 3_000);
        var front = await BeforeServerAsync(trial, connections);
        trial.Log($"{front.Figures}, {front.Problems.Count} violations");
        var back = await BeforeProviderAsync(trial, connections);
        return new Score(front.Trials + back.Trials, $"{front.Figures}; {back.Figures}",
            [.. front.Problems, .. back.Problems]);
    }

    /// <summary>Between clients and server: one key is one run, and streams come whole.</summary>
    internal static async Task<Score> BeforeServerAsync(Trial trial, int connections)
    {
        await using var provider = await MockProvider.StartAsync();
        await using var slot = new ServerSlot();
        provider.Configure(slot.Folder);
        await slot.StartAsync();
        var agent = await slot.NewAgentAsync();
        await using var proxy = new ChaosProxy(() => slot.Process.Url, trial.Seed);
        using var http = NewClient();
        var journal = new KillJournal();
        var operations = 0;
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(async client =>
        {
            var random = new SimRandom(trial.Seed + (ulong)client);
            while (proxy.Connections < connections)
            {
                var key = FormattableString.Invariant($"chaos-{Interlocked.Increment(ref operations)}");
                var dialect = client % 2 == 0 ? Dialect.Mesh : Dialect.Auteryn;
                var input = new MockPrompt
                {
                    Pieces = 1 + random.Below(8),
                    Pause = random.Below(4),
                    Tools = random.Below(2),
                    Text = MockText.Unicode,
                }.Input(key);
                await (client < Clients / 2
                    ? WholeAsync(http, dialect.Run(proxy.Url, agent, input, asStream: false), key, journal)
                    : StreamAsync(new StreamClient(http, agent), proxy.Url, dialect, input, key, journal));
            }
        }));
        foreach (var stream in journal.Streams)
        {
            var replay = await stream.ReplayAsync(slot.Process.Url) ?? [];
            if (stream.Problem is not null || !replay.AsSpan().SequenceEqual(stream.Bytes))
            {
                journal.Report(KillFault.Changed, $"{stream.RunId} differs from its replay. {stream.Problem}");
            }
        }

        var runs = slot.Read(static session => session.Count("SELECT count(*) FROM runs"));
        if (runs != operations)
        {
            journal.Report(KillFault.Money, $"{operations} keys made {runs} runs");
        }

        Verify(slot, journal);
        return new Score(proxy.Connections, FormattableString.Invariant(
            $"clients: {proxy.Connections} connections ({proxy.Counts}) for {operations} runs"),
            [.. journal.Problems.Select(static problem => problem.ToString())]);
    }

    // Every connection is used once, so that each meets a fault of its own.
    private static HttpClient NewClient()
    {
        var http = new HttpClient(new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.Zero })
        {
            Timeout = Patience,
        };
        http.DefaultRequestHeaders.ConnectionClose = true;
        return http;
    }

    private static async Task WholeAsync(
        HttpClient http, HttpRequestMessage template, string key, KillJournal journal)
    {
        var body = await template.Content!.ReadAsStringAsync();
        byte[]? known = null;
        var begun = Stopwatch.GetTimestamp();
        for (var answers = 0; answers < 2;)
        {
            if (Stopwatch.GetElapsedTime(begun) > AnswerMax)
            {
                journal.Report(KillFault.Stuck, $"{key} got no answer");
                return;
            }

            using var request = new HttpRequestMessage(template.Method, template.RequestUri);
            foreach (var (name, values) in template.Headers)
            {
                request.Headers.Add(name, values);
            }

            request.Headers.Add("Idempotency-Key", key);
            request.Content = Dialect.Json(body);
            try
            {
                using var message = await http.SendAsync(request);
                using var answer = new Answer((int)message.StatusCode, await message.Content.ReadAsByteArrayAsync());
                if (answer.Status == 200)
                {
                    answers++;
                    journal.Acknowledge(answer.Text("run_id")!, key);
                    if (known is not null && !known.AsSpan().SequenceEqual(answer.Body))
                    {
                        journal.Report(KillFault.Changed, $"the answer of {key} changed");
                    }

                    known = answer.Body;
                }
                else if (answer.Status == 409)
                {
                    journal.Acknowledge(answer.Error("run_id")!, key);
                    await Task.Delay(Pause, TimeProvider.System);
                }
                else if (answer.Status is not (400 or 408))
                {
                    // 400 and 408: what a server may say of a request that was cut in its middle.
                    journal.Report(
                        KillFault.Wrong, $"{key} got {answer.Status} {Encoding.UTF8.GetString(answer.Body)}");
                    return;
                }
            }
            catch (Exception error) when (error is HttpRequestException or IOException or OperationCanceledException
                or JsonException)
            {
                await Task.Delay(Pause, TimeProvider.System);
            }
        }
    }

    private static async Task StreamAsync(
        StreamClient stream, Uri proxy, Dialect dialect, string input, string key, KillJournal journal)
    {
        var read = StreamRead.Cut;
        var begun = Stopwatch.GetTimestamp();
        for (var tries = 0; read != StreamRead.Ended; tries++)
        {
            if (Stopwatch.GetElapsedTime(begun) > AnswerMax)
            {
                journal.Report(KillFault.Stuck, $"{key} {stream.RunId}: the stream does not come to its end");
                return;
            }

            using var patience = new CancellationTokenSource(Patience * 2, TimeProvider.System);
            try
            {
                read = stream.RunId is null
                    ? await stream.StartAsync(proxy, dialect, input, key, cancellationToken: patience.Token)
                    : await stream.ResumeAsync(proxy, tries % 2 == 0, cancellationToken: patience.Token);
            }
            catch (OperationCanceledException)
            {
                read = StreamRead.Cut; // A black hole.
            }

            if (read == StreamRead.Refused && stream.Refusal.Status is not (400 or 408))
            {
                journal.Report(KillFault.Wrong, $"{key} {stream.RunId}: {stream.Refusal}");
                return;
            }
        }

        journal.Acknowledge(stream.RunId!, key);
        journal.Streams.Enqueue(stream);
    }

    /// <summary>Between server and provider: every run ends, whole or failed, and none in half an answer.</summary>
    internal static async Task<Score> BeforeProviderAsync(Trial trial, int connections)
    {
        await using var provider = await MockProvider.StartAsync();
        await using var slot = new ServerSlot();
        await using var proxy = new ChaosProxy(() => provider.Url, trial.Seed + 1, ProviderLifeBytes);
        provider.Configure(slot.Folder, proxy.Url, ProviderTimeoutMilliseconds);
        await slot.StartAsync();
        var agent = await slot.NewAgentAsync();
        await KeepCircuitClosedAsync(slot);
        var journal = new KillJournal();
        var seconds = new ConcurrentBag<double>();
        var (runs, completed) = (0, 0);
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(async client =>
        {
            var random = new SimRandom(trial.Seed + (ulong)client);
            while (proxy.Connections < connections)
            {
                var prompt = new MockPrompt { Pieces = 1 + random.Below(20), Pause = random.Below(3) };
                var tag = FormattableString.Invariant($"provider {Interlocked.Increment(ref runs)}");
                var begun = Stopwatch.GetTimestamp();
                using var request = Dialect.Mesh.Run(
                    slot.Process.Url, agent, prompt.Input(tag), asStream: client % 2 == 0);
                using var message = await slot.Http.SendAsync(request);
                var body = await message.Content.ReadAsStringAsync();
                seconds.Add(Stopwatch.GetElapsedTime(begun).TotalSeconds);
                if (IsWhole(body, prompt))
                {
                    Interlocked.Increment(ref completed);
                }
                else if (!body.Contains("provider_unavailable", StringComparison.Ordinal))
                {
                    journal.Report(KillFault.Wrong, $"{tag} ended as {(int)message.StatusCode} {body}");
                }
            }
        }));
        if (seconds.Max() > RunMax.TotalSeconds)
        {
            journal.Report(KillFault.Stuck, FormattableString.Invariant($"a run took {seconds.Max():N1} s"));
        }

        if (completed == 0 || completed == runs)
        {
            journal.Report(KillFault.Wrong, $"{completed} of {runs} runs completed: the proxy did nothing");
        }

        Verify(slot, journal);
        return new Score(proxy.Connections, FormattableString.Invariant(
            $"providers: {proxy.Connections} connections ({proxy.Counts}) for {runs} runs, {completed} completed, ")
            + FormattableString.Invariant($"the others failed as documented, {seconds.Max():N1} s at most"),
            [.. journal.Problems.Select(static problem => problem.ToString())]);
    }

    // Of mistreated connections more fail than a circuit lets through, and it is them that are to be met.
    private static async Task KeepCircuitClosedAsync(ServerSlot slot)
    {
        using var client = new TestClient(slot.Process.Url, TestServer.AdminKey);
        var answer = await client.PatchAsync("/v1/providers/config/house", """{"circuitBreaker":{"errorRate":1}}""");
        if (answer.Status != 200)
        {
            throw new InvalidOperationException($"The circuit stays as it is: {answer.Text}");
        }
    }

    // The answer that the provider gave in full, whatever form it came in; half of it is no success.
    private static bool IsWhole(string body, MockPrompt prompt)
    {
        var json = body.StartsWith('{')
            ? body
            : body[(body.LastIndexOf("\ndata: ", StringComparison.Ordinal) + "\ndata: ".Length)..];
        using var answer = JsonDocument.Parse(json);
        return answer.RootElement.TryGetProperty("output", out var output) && output.GetString() == prompt.PlainAnswer;
    }

    private static void Verify(ServerSlot slot, KillJournal journal)
    {
        foreach (var violation in slot.Read(new Verifier().Check))
        {
            journal.Report(KillFault.Wrong, violation.ToString());
        }

        if (slot.Read(static session => session.Count("SELECT sum(held) FROM balances")) is var held and not 0)
        {
            journal.Report(KillFault.Money, $"{held} micro-USD are held by nobody");
        }
    }
}
