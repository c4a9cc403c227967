using System.Collections.Concurrent;
using System.Net.Sockets;
using Reeve.Server;

namespace Reeve.Reliability.Load;

internal enum ClientWork
{
    MeshStream,
    AuterynStream,
    MeshJson,
    AuterynJson,
    Background,
    Upload,
}

/// <summary>
/// A careful client: it gives every run a key, repeats what was refused, resumes what broke off, and complains of
/// every error that told it neither.
/// </summary>
internal sealed class PatientClient(LoadedServer server, ClientWork work, string name, ConcurrentQueue<string> problems)
{
    private static readonly TimeSpan AnswerMax = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    private static readonly string LongText = string.Concat(Enumerable.Range(0, 200).Select(
        static number => $"Line {number} of a document that takes some room on a disk says what line {number} says. "));

    private int _number;
    private string? _runId;
    private string? _taskId;
    private string _text = "";

    /// <summary>Runs that the server acknowledged, with what a stream of them has shown.</summary>
    internal ConcurrentQueue<(string RunId, string? TaskId, string Text)> Done { get; } = new();

    /// <summary>Streams that ended before their run.</summary>
    internal int Interrupted { get; private set; }

    /// <summary>Calls that were told to come again.</summary>
    internal int Refused { get; private set; }

    /// <summary>Calls that were told that the disk is full.</summary>
    internal int TooFull { get; private set; }

    /// <summary>True where the server is killed: then answers break off.</summary>
    internal bool MayBeKilled { get; init; }

    /// <summary>True where a disk may be full.</summary>
    internal bool MayBeFull { get; init; }

    /// <summary>Documents that the server acknowledged.</summary>
    internal ConcurrentQueue<string> Uploaded { get; } = new();

    private bool IsStream => work is ClientWork.MeshStream or ClientWork.AuterynStream;

    private bool IsMesh => work is not (ClientWork.AuterynStream or ClientWork.AuterynJson);

    /// <summary>Works until it is told to stop, then finishes what it began, also over restarts.</summary>
    internal async Task WorkAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            (_number, _runId, _taskId, _text) = (_number + 1, null, null, "");
            while (!await TryAsync())
            {
                await Task.Delay(Pause, TimeProvider.System, CancellationToken.None);
            }

            if (_runId is not null)
            {
                Done.Enqueue((_runId, _taskId, _text));
            }
        }
    }

    /// <summary>The whole stream of a run as a late reader gets it; the empty text when it is no stream's.</summary>
    internal async Task<string> ReplayAsync(string runId, string? taskId)
    {
        (_runId, _taskId, _text) = (runId, taskId, "");
        return (await SendAsync(Resume())).Text;
    }

    /// <summary>False: it has to be tried again.</summary>
    private async Task<bool> TryAsync()
    {
        RawAnswer answer;
        try
        {
            answer = await SendAsync(IsStream && _runId is not null ? Resume() : Start());
        }
        catch (SocketException)
        {
            return false; // Nobody listens.
        }
        catch (BrokenAnswerException error)
        {
            if (!MayBeKilled)
            {
                problems.Enqueue($"{name}: {error.Message}");
            }

            // What came in whole frames counts; the stream goes on after it.
            var text = IsStream && error.Answer is { Status: 200 } broken ? broken.Text : "";
            return text.Contains("\n\n", StringComparison.Ordinal) && Take(
                text[..(text.LastIndexOf("\n\n", StringComparison.Ordinal) + 2)]);
        }
        catch (IOException)
        {
            return false; // The connection went before an answer began, so the key makes it safe to ask again.
        }

        if (answer.Status == 503)
        {
            Refused++;
            if (!answer.HasRetryAfter)
            {
                problems.Enqueue($"{name}: a 503 without Retry-After: {answer.Text}");
            }

            return false;
        }

        if (answer.Status == 507 && MayBeFull)
        {
            TooFull++;
            if (!answer.Text.Contains("no room on the disk", StringComparison.Ordinal))
            {
                problems.Enqueue($"{name}: a 507 that does not say why: {answer.Text}");
            }

            return false;
        }

        if (answer.Status == 409 && answer.Text.Contains("still running", StringComparison.Ordinal))
        {
            return false; // The run that its key began goes on.
        }

        if (answer.Status is not (200 or 201 or 202 or 204))
        {
            problems.Enqueue($"{name}: {answer.Head}{answer.Text}");
            return true;
        }

        if (work == ClientWork.Upload)
        {
            Uploaded.Enqueue(Find(answer.Text, "doc_")!);
            return true;
        }

        return IsStream ? answer.Status == 204 || Take(answer.Text) : Find(answer.Text);
    }

    /// <summary>Takes what a stream showed; true: that was its end.</summary>
    private bool Take(string text)
    {
        if (text.Length > 0 && !text.EndsWith("\n\n", StringComparison.Ordinal))
        {
            problems.Enqueue($"{name}: the stream ended inside of a frame: {text}");
        }

        _text += text.Replace(": ping\n\n", "", StringComparison.Ordinal);
        _ = Find(_text);
        var isEnd = IsEnd(_text);
        Interrupted += isEnd ? 0 : 1;
        return isEnd;
    }

    /// <summary>True when the last frame ends the run, in either dialect.</summary>
    private static bool IsEnd(string text)
    {
        var last = text[(text.LastIndexOf("id: ", StringComparison.Ordinal) is var at && at < 0 ? 0 : at)..];
        return last.Contains("event: run.completed\n", StringComparison.Ordinal)
            || last.Contains("{\"type\":\"run_completed\"", StringComparison.Ordinal);
    }

    private bool Find(string text)
    {
        _runId ??= Find(text, "run_");
        _taskId ??= Find(text, "task_");
        return _runId is not null;
    }

    private static string? Find(string text, string prefix)
    {
        var at = text.IndexOf($"\"{prefix}0", StringComparison.Ordinal);
        return at < 0 ? null : text.Substring(at + 1, prefix.Length + Id.BodyLength);
    }

    private byte[] Start()
    {
        if (work == ClientWork.Upload)
        {
            return RawConnection.Request("POST", $"/v1/agents/{server.AgentId}/documents",
                $$"""{"name":"{{name}}-{{_number}}","text":"{{name}} {{_number}} {{LongText}}"}""");
        }

        var more = $"Idempotency-Key: {name}-{_number}\r\n";
        return IsMesh
            ? RawConnection.Request("POST", "/v1/agents/runs", $$"""
                {"agent":"{{server.AgentId}}","input":"Hi","stream":{{(IsStream ? "true" : "false")}},
                "background":{{(work == ClientWork.Background ? "true" : "false")}}}
                """, more)
            : RawConnection.Request("POST", "/api/run",
                $$"""{"query":"Hi","stream":{{(IsStream ? "true" : "false")}}}""",
                more + $"X-Agent-Id: {server.AgentId}\r\n");
    }

    private byte[] Resume()
    {
        var last = _text.LastIndexOf("id: ", StringComparison.Ordinal) is var at && at >= 0
            ? $"Last-Event-ID: {_text[(at + 4).._text.IndexOf('\n', at)]}\r\n"
            : "";
        var path = IsMesh ? $"/v1/runs/{_runId}/events" : $"/api/tasks/{_taskId}/runs/{_runId}/events";
        return RawConnection.Request("GET", path, null, last + $"X-Agent-Id: {server.AgentId}\r\n");
    }

    private async Task<RawAnswer> SendAsync(byte[] request)
    {
        using var deadline = new CancellationTokenSource(AnswerMax);
        using var connection = await RawConnection.OpenAsync(server.Url, deadline.Token);
        return await connection.SendAsync(request, deadline.Token);
    }
}
