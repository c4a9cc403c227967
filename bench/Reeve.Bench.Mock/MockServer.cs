using System.Collections.Concurrent;
using System.Globalization;
using System.IO.Pipelines;
using System.Text.Json;

namespace Reeve.Bench.Mock;

/// <summary>
/// An OpenAI-compatible model server whose answers are bytes rendered beforehand: what is measured through it is the
/// cost of the server in front. No routing, no serializer, no log.
/// </summary>
internal sealed class MockServer(Behaviour defaults, TimeProvider time)
{
    private readonly ConcurrentDictionary<int, Answer> _answers = new();
    private readonly ConcurrentDictionary<string, Behaviour> _models = new(StringComparer.Ordinal);
    private TaskCompletionSource _release = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _held;

    internal Task HandleAsync(HttpContext context) => (context.Request.Method, context.Request.Path.Value) switch
    {
        ("POST", "/v1/chat/completions") => CompleteAsync(context),
        ("POST", "/release") => ReleaseAsync(context),
        ("GET", "/held") => WriteTextAsync(context, Volatile.Read(ref _held).ToString(CultureInfo.InvariantCulture)),
        ("GET", "/cpu") => WriteTextAsync(
            context, Environment.CpuUsage.TotalTime.TotalMicroseconds.ToString("F0", CultureInfo.InvariantCulture)),
        ("GET", "/health/ready") => WriteTextAsync(context, "ready"),
        _ => RefuseAsync(context, StatusCodes.Status404NotFound, "Not found."),
    };

    private async Task CompleteAsync(HttpContext context)
    {
        ChatRequest request;
        Behaviour behaviour;
        try
        {
            request = await ReadAsync(context.Request.BodyReader, context.RequestAborted);
            behaviour = request.Model is null ? defaults : _models.GetOrAdd(request.Model, defaults.ForModel);
            behaviour = context.Request.QueryString.HasValue ? behaviour.ForQuery(context.Request.Query) : behaviour;
        }
        catch (Exception problem) when (problem is JsonException or FormatException or OverflowException)
        {
            await RefuseAsync(context, StatusCodes.Status400BadRequest, problem.Message);
            return;
        }

        var answer = _answers.GetOrAdd(behaviour.Tokens, static tokens => new Answer(tokens));
        try
        {
            if (behaviour.DelayMilliseconds > 0)
            {
                var delay = TimeSpan.FromMilliseconds(behaviour.DelayMilliseconds);
                await Task.Delay(delay, time, context.RequestAborted);
            }

            await (request.Stream
                ? StreamAsync(context, answer, behaviour, request.IncludeUsage)
                : WriteWholeAsync(context, answer));
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            context.Abort(); // The client left; nobody is there to answer.
        }
    }

    private static async ValueTask<ChatRequest> ReadAsync(PipeReader body, CancellationToken cancellationToken)
    {
        while (true)
        {
            var read = await body.ReadAsync(cancellationToken);
            if (read.IsCompleted)
            {
                var request = ChatRequest.Parse(read.Buffer);
                body.AdvanceTo(read.Buffer.End);
                return request;
            }

            body.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    private static async Task WriteWholeAsync(HttpContext context, Answer answer)
    {
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = answer.Whole.Length;
        await context.Response.BodyWriter.WriteAsync(answer.Whole, context.RequestAborted);
    }

    private async Task StreamAsync(HttpContext context, Answer answer, Behaviour behaviour, bool includeUsage)
    {
        var cancellationToken = context.RequestAborted;
        var writer = context.Response.BodyWriter;
        context.Response.ContentType = "text/event-stream";
        using var pace = behaviour.PaceMilliseconds == 0
            ? null
            : new PeriodicTimer(TimeSpan.FromMilliseconds(behaviour.PaceMilliseconds), time);
        for (var i = 0; i < answer.Frames.Length; i++)
        {
            if (i > 0 && pace is not null)
            {
                await pace.WaitForNextTickAsync(cancellationToken);
            }

            await writer.WriteAsync(answer.Frames[i], cancellationToken);
            if (i == 0 && behaviour.Hold)
            {
                await HoldAsync(cancellationToken);
            }
        }

        await writer.WriteAsync(includeUsage ? answer.EndWithUsage : answer.End, cancellationToken);
    }

    private async Task HoldAsync(CancellationToken cancellationToken)
    {
        var release = Volatile.Read(ref _release);
        Interlocked.Increment(ref _held);
        try
        {
            await release.Task.WaitAsync(cancellationToken);
        }
        finally
        {
            Interlocked.Decrement(ref _held);
        }
    }

    private Task ReleaseAsync(HttpContext context)
    {
        var next = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Interlocked.Exchange(ref _release, next).SetResult();
        return WriteTextAsync(context, "released");
    }

    private static Task WriteTextAsync(HttpContext context, string text) =>
        context.Response.WriteAsync(text, context.RequestAborted);

    private static Task RefuseAsync(HttpContext context, int status, string message)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(
            "{\"error\":{\"message\":\"" + JsonEncodedText.Encode(message) + "\"}}", context.RequestAborted);
    }
}
