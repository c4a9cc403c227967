using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Reeve.Server.Http;

/// <summary>Reads and checks a JSON body by the rules of wire-mesh 1.1 before anything else looks at it.</summary>
internal static class RequestBody
{
    internal const int DepthMax = 64;

    private static readonly JsonDocumentOptions Strict =
        new() { MaxDepth = DepthMax, AllowDuplicateProperties = false };

    /// <summary>The body as an object; the document must be disposed by the caller after its last use.</summary>
    internal static async Task<JsonDocument> ReadAsync(HttpContext context, long bytesMax)
    {
        var bytes = await ReadBytesAsync(context, bytesMax);
        return Parse(bytes);
    }

    /// <summary>As <see cref="ReadAsync"/>, but an empty body reads as <c>{}</c>.</summary>
    internal static async Task<JsonDocument> ReadOptionalAsync(HttpContext context, long bytesMax)
    {
        var bytes = await ReadBytesAsync(context, bytesMax);
        return Parse(bytes.Length == 0 ? "{}"u8.ToArray() : bytes);
    }

    internal static JsonDocument Parse(ReadOnlyMemory<byte> body)
    {
        if (body.Span.StartsWith("\uFEFF"u8))
        {
            body = body[3..];
        }

        if (!Utf8.IsValid(body.Span))
        {
            throw ApiException.Invalid("The body is not valid UTF-8.", null);
        }

        JsonDocument document;
        try
        {
            RefuseBadText(body.Span);
            document = JsonDocument.Parse(body, Strict);
        }
        catch (JsonException error)
        {
            throw ApiException.Invalid(Explain(error), null);
        }

        if (document.RootElement.ValueKind != JsonValueKind.Object)
        {
            document.Dispose();
            throw ApiException.Invalid("The body must be a JSON object.", null);
        }

        return document;
    }

    internal static async Task<byte[]> ReadBytesAsync(HttpContext context, long bytesMax)
    {
        if (context.Request.ContentLength > bytesMax)
        {
            throw TooLarge(bytesMax);
        }

        if (context.Request.Headers.ContentEncoding.Count > 0)
        {
            throw ApiException.Invalid("Compressed request bodies are not accepted.", "Content-Encoding");
        }

        var reader = context.Request.BodyReader;
        while (true)
        {
            var result = await ReadPartAsync(context, reader);
            if (result.Buffer.Length > bytesMax)
            {
                reader.AdvanceTo(result.Buffer.End);
                throw TooLarge(bytesMax);
            }

            if (result.IsCompleted)
            {
                var bytes = result.Buffer.ToArray();
                reader.AdvanceTo(result.Buffer.End);
                return bytes;
            }

            reader.AdvanceTo(result.Buffer.Start, result.Buffer.End);
        }
    }

    // Some bad chunks and trailers Kestrel reports as it would a fault of its own.
    private static async ValueTask<ReadResult> ReadPartAsync(HttpContext context, PipeReader reader)
    {
        try
        {
            return await reader.ReadAsync(context.RequestAborted);
        }
        catch (Exception error) when (error is IOException or InvalidOperationException
            && error is not BadHttpRequestException && !context.RequestAborted.IsCancellationRequested)
        {
            throw ApiException.Invalid("The body is not well-formed HTTP.", null);
        }
    }

    private static ApiException TooLarge(long bytesMax) =>
        new(ApiErrorCodes.PayloadTooLarge, $"The body is larger than the {bytesMax} bytes that are accepted here.");

    // The parser leaves escaped text alone; U+0000 and half surrogates would surface only when a string is read.
    private static void RefuseBadText(ReadOnlySpan<byte> body)
    {
        var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = DepthMax });
        while (reader.Read())
        {
            if (reader.TokenType is (JsonTokenType.String or JsonTokenType.PropertyName) && reader.ValueIsEscaped)
            {
                string text;
                try
                {
                    text = reader.GetString()!;
                }
                catch (InvalidOperationException)
                {
                    throw ApiException.Invalid("The body has half of a surrogate pair in a string.", null);
                }

                if (text.Contains('\0', StringComparison.Ordinal))
                {
                    throw ApiException.Invalid("The body has the character U+0000 in a string.", null);
                }
            }
        }
    }

    private static string Explain(JsonException error)
    {
        var text = new StringBuilder("The body is not JSON that can be accepted");
        if (error.Message.Contains("configured depth", StringComparison.OrdinalIgnoreCase))
        {
            return text.Append(": it is nested more than 64 deep.").ToString();
        }

        if (error.Message.Contains("duplicate", StringComparison.OrdinalIgnoreCase))
        {
            return text.Append(": a member stands in it twice.").ToString();
        }

        return error.LineNumber is { } line
            ? text.Append($" (line {line + 1}, byte {error.BytePositionInLine + 1}).").ToString()
            : text.Append('.').ToString();
    }
}
