using System.Globalization;
using System.Text.Json;
using Reeve.Reliability.Load;
using Reeve.Reliability.Simulation;

namespace Reeve.Reliability.Kill;

/// <summary>
/// The load under which servers are killed: clients of both APIs that repeat what a client may repeat, and write down
/// what was acknowledged. After each operation a client does nothing for the time of <c>rest</c>.
/// </summary>
internal sealed class KillClients(
    ServerSlot slot, KillJournal journal, Turnstile turnstile, ulong seed, TimeSpan rest) : IDisposable
{
    private const int DocumentsMax = 40;
    private const int FrameBytesMax = 1 << 20;
    private const int CancelMillisecondsMax = 80;
    private const string ShortAnswers = "\"max_output_tokens\":400"; // So its provider is asked for whole ones.
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(8);
    private static readonly string[] OnBusy = ["reject", "queue", "interrupt", "queue"];

    private readonly CancellationTokenSource _stop = new();
    private string _agent = "";
    private string _sealedAgent = "";
    private string _account = "";

    /// <summary>Makes what the clients share, on a server that nobody kills yet.</summary>
    internal async Task PrepareAsync(Uri? webhook)
    {
        if (webhook is not null)
        {
            _ = await slot.NewWebhookAsync(webhook, "run.completed", "run.failed", "run.cancelled");
        }

        _agent = await slot.NewAgentAsync(",\"conversation_limit\":1000000"); // What was said is compared at the end.
        _sealedAgent = await slot.NewSealedAgentAsync(",\"conversation_limit\":1000000," + ShortAnswers);
        using var me = await SendAsync(Dialect.Request(HttpMethod.Get, slot.Process.Url, "/v1/accounts/me"));
        _account = me!.Json.GetProperty("id").GetString()!;
    }

    /// <summary>Starts every client; the task ends after <see cref="Stop"/>.</summary>
    internal Task RunAsync() => Task.WhenAll(
        LoopAsync("json", (random, tag) => WholeAsync(Dialect.Mesh, random, tag)),
        LoopAsync("json-a", (random, tag) => WholeAsync(Dialect.Auteryn, random, tag)),
        LoopAsync("stream", (random, tag) => StreamAsync(Dialect.Mesh, random, tag)),
        LoopAsync("stream-b", (random, tag) => StreamAsync(Dialect.Mesh, random, tag)),
        LoopAsync("stream-c", (random, tag) => StreamAsync(Dialect.Auteryn, random, tag)),
        LoopAsync("stream-d", (random, tag) => StreamAsync(Dialect.Auteryn, random, tag)),
        LoopAsync("cancel", CancelAsync),
        LoopAsync("cancel-b", CancelAsync),
        LoopAsync("talk", ConverseAsync),
        LoopAsync("talk-b", ConverseAsync),
        LoopAsync("money", TopUpAsync));

    internal void Stop()
    {
        _stop.Cancel();
        turnstile.Open();
    }

    public void Dispose() => _stop.Dispose();

    /// <summary>Whole answers and streams of the one API are encrypted at rest, those of the other lie open.</summary>
    private string AgentOf(Dialect dialect) => dialect == Dialect.Auteryn ? _sealedAgent : _agent;

    /// <summary>Runs so long that the database checkpoints.</summary>
    internal async Task FloodAsync()
    {
        using var answer = await SendAsync(Dialect.Mesh.Run(slot.Process.Url, _agent,
            new MockPrompt { Pieces = 3_000 }.Input("flood"), asStream: false, ",\"background\":true"));
    }

    /// <summary>So many runs at once, each of which takes seconds.</summary>
    internal Task CrowdAsync(int runs) => Task.WhenAll(Enumerable.Range(0, runs).Select(async index =>
    {
        var tag = string.Create(CultureInfo.InvariantCulture, $"crowd-{index}");
        using var answer = await SendAsync(Dialect.Mesh.Run(slot.Process.Url, _agent,
            new MockPrompt { Pieces = 10, Pause = 500 }.Input(tag), asStream: false, ",\"background\":true"));
        if (answer is not { Status: 202 } || Identify(answer, tag) is not { } run)
        {
            throw new InvalidOperationException($"{tag} got {answer?.Status}");
        }

        journal.Acknowledge(run);
    }));

    private async Task LoopAsync(string name, Func<SimRandom, string, Task> operate)
    {
        var random = new SimRandom(name.Aggregate(seed, static (hash, letter) => (hash * 31) + letter));
        for (var i = 0; !_stop.IsCancellationRequested; i++)
        {
            var tag = string.Create(CultureInfo.InvariantCulture, $"{name}-{i}");
            try
            {
                await turnstile.EnterAsync(tag, _stop.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            try
            {
                await operate(random, tag);
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return; // In the middle of an operation; what it had acknowledged is in the journal.
            }
#pragma warning disable CA1031 // Whatever goes wrong in a client is a finding.
            catch (Exception error)
#pragma warning restore CA1031
            {
                journal.Report(KillFault.Wrong, $"{tag}: {error}");
            }
            finally
            {
                turnstile.Leave(tag);
            }

            if (rest > TimeSpan.Zero)
            {
                await Task.WhenAny(Task.Delay(rest, TimeProvider.System, _stop.Token));
            }
        }
    }

    private static MockPrompt Prompt(SimRandom random) => new()
    {
        Pieces = 1 + random.Below(12),
        Pause = random.Chance(60) ? random.Below(12) : 0,
        Tools = random.Chance(25) ? 1 + random.Below(2) : 0,
        Text = random.Chance(30) ? MockText.Unicode : MockText.Plain,
    };

    /// <summary>One run under one key, asked for until the answer is final, and then asked for again.</summary>
    private async Task WholeAsync(Dialect dialect, SimRandom random, string tag)
    {
        var input = Prompt(random).Input(tag);
        byte[]? known = null;
        var repeats = random.Below(3);
        while (true)
        {
            using var answer = await SendAsync(await NewAsync(dialect, input, tag));
            if (answer is null || answer.Status == 503)
            {
                await PauseAsync();
                continue;
            }

            if (Identify(answer, tag) is not { } run)
            {
                return;
            }

            if (answer.Status == 409)
            {
                journal.Acknowledge(run, tag);
                await PauseAsync();
                continue;
            }

            journal.Acknowledge(run, tag, answer.Status == 200 ? answer.Text("status") : "failed");
            if (answer.Status == 200 && known is not null && !known.AsSpan().SequenceEqual(answer.Body))
            {
                journal.Report(KillFault.Changed,
                    $"{tag} {run}: the body was {Utf8(known)} and is {Utf8(answer.Body)}");
            }

            known = answer.Body;
            if (repeats-- <= 0)
            {
                break;
            }
        }

        if (random.Chance(10))
        {
            using var other = await SendAsync(await NewAsync(dialect, input + "!", tag));
            if (other is not (null or { Status: 422 or 503 }))
            {
                journal.Report(KillFault.Wrong,
                    $"{tag}: another body under its key got {other.Status} {Utf8(other.Body)}");
            }
        }
    }

    private async Task<HttpRequestMessage> NewAsync(Dialect dialect, string input, string key)
    {
        var request = dialect.Run(await slot.UrlAsync(_stop.Token), AgentOf(dialect), input, asStream: false);
        request.Headers.Add("Idempotency-Key", key);
        return request;
    }

    /// <summary>A stream that is resumed as often as it breaks; some readers leave for good in the middle.</summary>
    private async Task StreamAsync(Dialect dialect, SimRandom random, string tag)
    {
        var input = Prompt(random).Input(tag);
        var stream = new StreamClient(slot.Http, AgentOf(dialect));
        journal.Reading[tag] = stream;
        var bytesMax = random.Chance(15) ? 50 + random.Below(900) : long.MaxValue;
        var read = StreamRead.Cut;
        while (read != StreamRead.Ended)
        {
            var url = await slot.UrlAsync(_stop.Token);
            if (stream.RunId is null)
            {
                // Nothing came: under its key it is the same run, if there was one.
                read = await stream.StartAsync(url, dialect, input, tag, bytesMax, _stop.Token);
            }
            else
            {
                Interlocked.Increment(ref journal.Resumes);
                read = await stream.ResumeAsync(url, random.Chance(50), bytesMax, _stop.Token);
            }

            if (stream.RunId is { } run)
            {
                journal.Acknowledge(run, tag);
            }

            if (read == StreamRead.Refused && stream.Refusal.Status != 503)
            {
                journal.Report(stream.Refusal.Status == 404 ? KillFault.Lost : KillFault.Wrong,
                    $"{tag} {stream.RunId}: the stream was refused with {stream.Refusal}");
                break;
            }

            if (read != StreamRead.Ended)
            {
                if (bytesMax < long.MaxValue && stream.RunId is not null)
                {
                    break;
                }

                bytesMax = bytesMax < FrameBytesMax ? bytesMax * 2 : long.MaxValue; // It fell short of the first frame.
                await PauseAsync();
            }
        }

        journal.Reading.TryRemove(tag, out _);
        if (stream.RunId is not null)
        {
            journal.Streams.Enqueue(stream);
        }
    }

    private async Task CancelAsync(SimRandom random, string tag)
    {
        var url = await slot.UrlAsync(_stop.Token);
        using var started = await SendAsync(Dialect.Mesh.Run(
            url, _agent, Prompt(random).Input(tag), asStream: false, ",\"background\":true"));
        if (started is null or { Status: 503 })
        {
            journal.CountUnknown();
            await PauseAsync();
            return;
        }

        if (Identify(started, tag) is not { } run)
        {
            return;
        }

        journal.Acknowledge(run);
        if (random.Chance(60))
        {
            // At any moment of the run, from its first to after its end.
            await Task.Delay(TimeSpan.FromMilliseconds(random.Below(CancelMillisecondsMax)), TimeProvider.System,
                _stop.Token);
            using var cancelled = await SendAsync(
                Dialect.Request(HttpMethod.Post, await slot.UrlAsync(_stop.Token), $"/v1/runs/{run}/cancel"));
            if (cancelled is { Status: 200 })
            {
                journal.Acknowledge(run, status: cancelled.Text("status"));
            }
            else if (cancelled is not (null or { Status: 503 }))
            {
                journal.Report(cancelled.Status == 404 ? KillFault.Lost : KillFault.Wrong,
                    $"{tag} {run}: cancel answered {cancelled.Status} {Utf8(cancelled.Body)}");
            }
        }
    }

    /// <summary>A conversation with several runs at once: refused, waiting, interrupting.</summary>
    private async Task ConverseAsync(SimRandom random, string tag)
    {
        using var first = await SendAsync(await NewAsync(Dialect.Mesh, Prompt(random).Input(tag), tag));
        if (first is not { Status: 200 })
        {
            await PauseAsync();
            return;
        }

        var conversation = first.Text("conversation_id");
        journal.Acknowledge(first.Text("run_id")!, tag, first.Text("status"));
        var requests = Enumerable.Range(0, 4).Select(index => (
            Key: $"{tag}-{index}", Input: Prompt(random).Input($"{tag}-{index}"), Word: random.Pick(OnBusy),
            Background: random.Chance(50) ? ",\"background\":true" : "")).ToList();
        await Task.WhenAll(requests.Select(async one =>
        {
            var request = Dialect.Mesh.Run(await slot.UrlAsync(_stop.Token), _agent, one.Input, asStream: false,
                $",\"conversation_id\":\"{conversation}\",\"on_busy\":\"{one.Word}\"{one.Background}");
            request.Headers.Add("Idempotency-Key", one.Key);
            using var answer = await SendAsync(request);
            if (answer is null or { Status: 503 })
            {
                journal.CountUnknown();
            }
            else if (answer.Status != 409 && Identify(answer, one.Key) is { } run)
            {
                journal.Acknowledge(run, one.Key, answer.Status == 200 ? answer.Text("status") : null);
            }
        }));
    }

    /// <summary>Money put in, some of it tried again without knowing; a document now and then.</summary>
    private async Task TopUpAsync(SimRandom random, string tag)
    {
        var tries = random.Chance(30) ? 5 : 1;
        for (var i = 0; i < tries; i++)
        {
            var request = Dialect.Request(
                HttpMethod.Post, await slot.UrlAsync(_stop.Token), $"/v1/accounts/{_account}/credits");
            request.Content = Dialect.Json($$"""{"amount_usd":0.01,"note":"{{tag}}"}""");
            using var answer = await SendAsync(request);
            var isAcknowledged = answer is { Status: 201 };
            journal.TopUps.AddOrUpdate(tag, (1, isAcknowledged ? 1 : 0),
                (_, old) => (old.Sent + 1, old.Acknowledged + (isAcknowledged ? 1 : 0)));
            if (isAcknowledged)
            {
                break;
            }

            journal.CountUnknown();
            await PauseAsync();
        }

        if (random.Chance(10) && journal.Documents.Count < DocumentsMax)
        {
            var request = Dialect.Request(
                HttpMethod.Post, await slot.UrlAsync(_stop.Token), $"/v1/agents/{_agent}/documents");
            request.Content = Dialect.Json($$"""{"name":"{{tag}}","text":"The desk of {{tag}} opens at nine."}""");
            using var answer = await SendAsync(request);
            if (answer is { Status: 200 or 201 })
            {
                journal.Documents.TryAdd(answer.Text("id")!, 0);
            }
        }

        await PauseAsync();
    }

    /// <summary>The run that an answer speaks of; null: the answer is none that a client may get.</summary>
    private string? Identify(Answer answer, string tag)
    {
        // 500: killed in its first attempt and in three more, so recovery gave the run up as poisoned.
        var run = answer.Status is 200 or 202 ? answer.Text("run_id") : answer.Error("run_id");
        if (run is null || answer.Status is not (200 or 202 or 409 or 500)
            || (answer.Status == 500 && !Utf8(answer.Body).Contains("again and again", StringComparison.Ordinal)))
        {
            journal.Report(KillFault.Wrong, $"{tag} got {answer.Status} {Utf8(answer.Body)}");
            return null;
        }

        return run;
    }

    /// <summary>Null: the server went away, and nobody knows what became of the request.</summary>
    private async Task<Answer?> SendAsync(HttpRequestMessage request)
    {
        using (request)
        {
            try
            {
                using var answer = await slot.Http.SendAsync(request, _stop.Token);
                return new Answer((int)answer.StatusCode, await answer.Content.ReadAsByteArrayAsync(_stop.Token));
            }
            catch (Exception error) when (error is HttpRequestException or IOException)
            {
                return null;
            }
        }
    }

    private Task PauseAsync() => Task.Delay(Pause, TimeProvider.System, _stop.Token);

    private static string Utf8(byte[] bytes) => System.Text.Encoding.UTF8.GetString(bytes);
}

/// <summary>An answer that came whole.</summary>
internal sealed record Answer(int Status, byte[] Body) : IDisposable
{
    private readonly JsonDocument _json = JsonDocument.Parse(Body.Length == 0 ? "{}"u8.ToArray() : Body);

    internal JsonElement Json => _json.RootElement;

    internal string? Text(string member) =>
        Json.TryGetProperty(member, out var value) ? value.GetString() : null;

    internal string? Error(string member) => Json.TryGetProperty("error", out var error)
        && error.TryGetProperty(member, out var value) ? value.GetString() : null;

    public void Dispose() => _json.Dispose();
}
