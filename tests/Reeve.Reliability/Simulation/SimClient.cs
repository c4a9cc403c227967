using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Reeve.Server.Runs;

namespace Reeve.Reliability.Simulation;

/// <summary>What a client knows of a run that it asked for.</summary>
internal sealed class SimRun(SimRequest request)
{
    private readonly StringBuilder _frames = new();

    internal SimRequest Request => request;

    internal string? RunId { get; set; }

    internal string? TaskId { get; set; }

    internal string? ConversationId { get; set; }

    /// <summary>True once a 2xx or a frame of its stream came.</summary>
    internal bool IsAcknowledged => RunId is not null;

    internal bool IsEnded { get; set; }

    /// <summary>How it ended, as an answer said; null: none did.</summary>
    internal string? ToldStatus { get; set; }

    /// <summary>The whole frames of its stream that came, without heartbeats.</summary>
    internal string Frames => _frames.ToString();

    internal string? LastEventId { get; private set; }

    /// <summary>The body of a whole answer with 200.</summary>
    internal string? Answer { get; set; }

    internal bool IsAuteryn => request.Route == SimRoute.AuterynRun;

    internal SimRequest Events(string? lastEventId)
    {
        var events = IsAuteryn
            ? new SimRequest(SimRoute.AuterynEvents, $"{TaskId}/{RunId}")
            : new SimRequest(SimRoute.MeshEvents, RunId!);
        return events with { Agent = request.Agent, LastEventId = lastEventId };
    }

    internal void Add(string frame)
    {
        _frames.Append(frame);
        LastEventId = frame[4..frame.IndexOf('\n', StringComparison.Ordinal)];
    }
}

/// <summary>A program that uses both APIs as their documents say: it retries, resumes, cancels and goes away.</summary>
internal sealed partial class SimClient(SimWorld world, int number)
{
    private const int TriesMax = 40;

    private readonly SimRandom _random = world.Random;
    private string? _conversationId;
    private SimRun? _newest;

    internal async Task RunAsync()
    {
        for (var step = 0; step < 3 + _random.Below(4); step++)
        {
            await PauseAsync(3_000);
            switch (_random.Below(12))
            {
                case 3:
                    await UploadAsync(step);
                    break;
                case 4 when _conversationId is { } conversation:
                    await DeleteAsync(conversation);
                    break;
                case 0 when _newest is { RunId: not null } run:
                    await CancelAsync(run);
                    break;
                case 1 when _newest is { RunId: not null } run:
                    await LookAsync(run);
                    break;
                case 2:
                    await TopUpAsync();
                    break;
                default:
                    await AskAsync(step);
                    break;
            }
        }
    }

    /// <summary>Holds what was seen of a run against what the server says now that all is over.</summary>
    internal async Task AuditAsync(SimRun run)
    {
        if (run.RunId is not { } runId || MayBeGone(run))
        {
            return;
        }

        if (run.Frames.Length > 0)
        {
            var replay = await SendAsync(run.Events(null), mayLeave: false);
            var frames = string.Concat(Frames(replay.Text));
            world.Audited++;
            if (!frames.StartsWith(run.Frames, StringComparison.Ordinal))
            {
                world.Complain($"{runId}: what its stream said before is not what it says now (I4)");
            }

            if (run.IsEnded && frames != run.Frames)
            {
                world.Complain($"{runId}: its stream ended for a client that had not seen all of it (I4)");
            }
        }

        if (run is { Answer: { } body, Request.IdempotencyKey: not null })
        {
            var again = await SendAsync(run.Request, mayLeave: false);
            world.Audited++;
            if (again.Text != body || !again.IsReplayed)
            {
                world.Complain($"{runId}: the same request with the same key is answered otherwise "
                    + $"({again.Status} {again.Text}) (I4)");
            }
        }
    }

    /// <summary>Whole frames of an event stream; what a broken connection left of the last one is dropped.</summary>
    internal static IEnumerable<string> Frames(string text)
    {
        for (var at = 0; text.IndexOf("\n\n", at, StringComparison.Ordinal) is var end and >= 0; at = end + 2)
        {
            if (text[at] != ':')
            {
                yield return text[at..(end + 2)];
            }
        }
    }

    private Task PauseAsync(int millisecondsMax) => Task.Delay(
        TimeSpan.FromMilliseconds(1 + _random.Below(millisecondsMax)), world.Time, CancellationToken.None);

    private async Task AskAsync(int step)
    {
        var run = new SimRun(Request(step));
        world.Runs.Add(run);
        _newest = run;
        if (run.Request.Route == SimRoute.MeshRun && !run.Request.Body.Contains("\"stream\":true",
            StringComparison.Ordinal))
        {
            await AskWholeAsync(run);
        }
        else if (run.IsAuteryn && run.Request.Body.Contains("\"stream\":false", StringComparison.Ordinal))
        {
            await AskWholeAsync(run);
        }
        else
        {
            await StreamAsync(run);
        }

        _conversationId = run.ConversationId ?? _conversationId;
    }

    private SimRequest Request(int step)
    {
        var key = _random.Chance(50) ? $"key-{number}-{step}" : null;
        var agent = _random.Pick(world.Agents);
        var input = $"question {number} {step}";
        if (_random.Chance(30))
        {
            return new SimRequest(SimRoute.AuterynRun)
            {
                Agent = agent,
                IdempotencyKey = key,
                Body = $$"""{"query":"{{input}}","stream":{{(_random.Chance(70) ? "true" : "false")}}}""",
            };
        }

        var more = new StringBuilder();
        if (_conversationId is { } conversation && _random.Chance(60))
        {
            agent = _newest?.Request.Agent is { Length: > 0 } same ? same : agent;
            more.Append($",\"conversation_id\":\"{conversation}\",\"on_busy\":\"")
                .Append(_random.Pick(["reject", "queue", "interrupt"])).Append('"');
        }

        more.Append(_random.Below(3) switch { 0 => ",\"stream\":true", 1 => ",\"background\":true", _ => "" });
        more.Append(_random.Chance(20) ? ",\"on_disconnect\":\"cancel\"" : "");
        more.Append(_random.Chance(10) ? ",\"max_credits\":0.5" : "");
        return new SimRequest(SimRoute.MeshRun)
        {
            Agent = agent,
            IdempotencyKey = key,
            Body = $$"""{"agent":"{{agent}}","input":"{{input}}"{{more}}}""",
        };
    }

    private async Task AskWholeAsync(SimRun run)
    {
        for (var tries = 0; tries < TriesMax; tries++)
        {
            var answer = await SendAsync(run.Request, mayLeave: true);
            if (answer.IsOk)
            {
                Learn(run, answer.Text);
                run.IsEnded = answer.Status == 200 && !run.Request.Body.Contains("\"background\"",
                    StringComparison.Ordinal);
                run.Answer = run.IsEnded ? answer.Text : null;
                run.ToldStatus = run.IsEnded && !run.IsAuteryn ? StatusOf(answer.Text) : null;
                return;
            }

            // With a key it is safe to ask again; without one a lost answer stays unknown.
            var isUnknown = answer.Status is 0 or >= 500 or 409;
            if (run.Request.IdempotencyKey is null || !isUnknown)
            {
                return;
            }

            await PauseAsync(2_000);
        }
    }

    private async Task StreamAsync(SimRun run)
    {
        for (var tries = 0; tries < TriesMax && !run.IsEnded; tries++)
        {
            var answer = await SendAsync(run.RunId is null ? run.Request : run.Events(run.LastEventId), mayLeave: true);
            if (answer.Status == 204)
            {
                run.IsEnded = true;
                return;
            }

            if (answer.Status is not 0 and not 200)
            {
                if (run.IsAcknowledged && answer.Status < 500 && !MayBeGone(run))
                {
                    world.Complain($"{run.RunId}: its stream answered {answer.Status} {answer.Text} (I1)");
                    return;
                }

                if (answer.Status < 500 && answer.Status != 409)
                {
                    return; // Refused, or deleted meanwhile.
                }
            }
            else
            {
                Take(run, answer.Text);
            }

            if (run.RunId is null && run.Request.IdempotencyKey is null)
            {
                return;
            }

            await PauseAsync(2_000);
        }
    }

    private static void Take(SimRun run, string text)
    {
        foreach (var frame in Frames(text))
        {
            if (!frame.StartsWith("id: ", StringComparison.Ordinal))
            {
                continue;
            }

            run.Add(frame);
            Learn(run, frame);
            run.IsEnded |= EndOfRun().IsMatch(frame);
        }
    }

    private static void Learn(SimRun run, string text)
    {
        run.RunId ??= RunId().Match(text) is { Success: true } found ? found.Value : null;
        run.TaskId ??= TaskId().Match(text) is { Success: true } task ? task.Value : null;
        run.ConversationId ??= ConversationId().Match(text) is { Success: true } other ? other.Value
            : run.TaskId is { } id ? "conv_" + id["task_".Length..] : null;
    }

    private async Task CancelAsync(SimRun run)
    {
        var answer = await SendAsync(new SimRequest(SimRoute.MeshCancel, run.RunId!), mayLeave: false);
        if (answer.IsOk)
        {
            // It is answered when the run has ended; but a process does not know the open runs of the one it replaced.
            var status = StatusOf(answer.Text);
            run.ToldStatus = world.HadTwoWriters && !RunStatuses.IsTerminal(status) ? null : status;
        }
    }

    private static string StatusOf(string body) => JsonElement.Parse(body).GetProperty("status").GetString()!;

    private async Task LookAsync(SimRun run)
    {
        var answer = await SendAsync(new SimRequest(SimRoute.MeshGet, run.RunId!), mayLeave: false);
        if (answer.Status is not (200 or 0 or >= 500) && !MayBeGone(run))
        {
            world.Complain($"{run.RunId} was acknowledged and answers {answer.Status} (I1)");
        }
    }

    private async Task UploadAsync(int step)
    {
        var answer = await SendAsync(new SimRequest(
            SimRoute.Upload, $"The answer to question {number} {step} is in this note about questions. It says more.")
        {
            Agent = _random.Pick(world.Agents),
        }, mayLeave: false);
        if (answer.IsOk)
        {
            world.Documents.Add(answer.Text);
        }
    }

    private async Task DeleteAsync(string conversation)
    {
        world.Deleted.TryAdd(conversation, false); // From here on it may be gone, whether or not the answer comes.
        var answer = await SendAsync(new SimRequest(SimRoute.DeleteConversation, conversation), mayLeave: false);
        world.Deleted[conversation] |= answer.IsOk;
        _conversationId = null;
    }

    private bool MayBeGone(SimRun run) =>
        run.ConversationId is { } conversation && world.Deleted.ContainsKey(conversation);

    private async Task TopUpAsync()
    {
        world.TopUpsSent++;
        var answer = await SendAsync(new SimRequest(SimRoute.TopUp, $"topup {number}"), mayLeave: false);
        world.TopUpsAcknowledged += answer.IsOk ? 1 : 0;
    }

    private async Task<SimAnswer> SendAsync(SimRequest request, bool mayLeave)
    {
        var node = await world.NodeAsync();
        var answer = node.Send(request);
        if (mayLeave && _random.Chance(8))
        {
            await PauseAsync(4_000);
            answer.Leave();
        }

        await answer.Done;
        return answer;
    }

    [GeneratedRegex("run_[0-9A-Z]{26}")]
    private static partial Regex RunId();

    [GeneratedRegex("task_[0-9A-Z]{26}")]
    private static partial Regex TaskId();

    [GeneratedRegex("conv_[0-9A-Z]{26}")]
    private static partial Regex ConversationId();

    [GeneratedRegex("^event: run\\.(completed|failed|cancelled)$|\\{\"type\":\"run_(completed|failed|cancelled)\"",
        RegexOptions.Multiline)]
    private static partial Regex EndOfRun();
}
