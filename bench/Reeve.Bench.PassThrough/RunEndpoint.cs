using System.Buffers;
using System.IO.Pipelines;

namespace Reeve.Bench.PassThrough;

internal static class RunEndpoint
{
    internal static async Task<IResult> HandleAsync(
        RunRequest run, Upstream upstream, HttpContext context, bool stream = false)
    {
        if (stream)
        {
            await ForwardAsync(run, upstream, context);
            return Results.Empty;
        }

        var completion = await upstream.CompleteAsync(run, context.RequestAborted);
        return TypedResults.Ok(new RunAnswer(completion.Choices[0].Message.Content, completion.Usage));
    }

    private static async Task ForwardAsync(RunRequest run, Upstream upstream, HttpContext context)
    {
        using var response = await upstream.SendAsync(run, stream: true, context.RequestAborted);
        context.Response.ContentType = "text/event-stream";
        var body = await response.Content.ReadAsStreamAsync(context.RequestAborted);
        var reader = PipeReader.Create(body);
        while (true)
        {
            var read = await reader.ReadAsync(context.RequestAborted);
            var rest = read.Buffer;
            while (TryTakeFrame(ref rest, out var frame))
            {
                foreach (var segment in frame)
                {
                    context.Response.BodyWriter.Write(segment.Span);
                }

                await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
            }

            reader.AdvanceTo(rest.Start, rest.End);
            if (read.IsCompleted)
            {
                break;
            }
        }

        await reader.CompleteAsync();
    }

    /// <summary>Cuts off everything to the next empty line, the line included.</summary>
    private static bool TryTakeFrame(ref ReadOnlySequence<byte> rest, out ReadOnlySequence<byte> frame)
    {
        var reader = new SequenceReader<byte>(rest);
        if (!reader.TryReadTo(out ReadOnlySequence<byte> _, "\n\n"u8))
        {
            frame = default;
            return false;
        }

        frame = rest.Slice(0, reader.Position);
        rest = rest.Slice(reader.Position);
        return true;
    }
}
