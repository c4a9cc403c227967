using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Reeve.Server.Http;

/// <summary>
/// How JSON of the wire is written: snake_case, nulls kept, text as UTF-8. A feature's source-generated context takes
/// <see cref="Options"/>, so that there is one way.
/// </summary>
internal static class ApiJson
{
    internal const string MediaType = "application/json";
    internal const string ContentType = MediaType + "; charset=utf-8";

    /// <summary>
    /// Escapes control characters and U+2028/2029, which would break a line of a stream; nothing else.
    /// </summary>
    internal static readonly JavaScriptEncoder Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping;

    internal static readonly JsonWriterOptions Writer = new() { Encoder = Encoder, SkipValidation = true };

    internal static JsonSerializerOptions Options()
    {
        var options = new JsonSerializerOptions
        {
            PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
            Encoder = Encoder,
            NumberHandling = JsonNumberHandling.Strict,
        };
        options.Converters.Add(new WireTimeConverter());
        return options;
    }

    /// <summary>What <paramref name="write"/> writes, as UTF-8.</summary>
    internal static ReadOnlyMemory<byte> Bytes<T>(T value, Action<Utf8JsonWriter, T> write)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using var writer = new Utf8JsonWriter(buffer, Writer);
        write(writer, value);
        writer.Flush();
        return buffer.WrittenMemory;
    }

    /// <summary>Answers with a JSON body of known length.</summary>
    internal static Task WriteAsync<T>(HttpContext context, int status, T value, JsonTypeInfo<T> type)
    {
        var body = new ArrayBufferWriter<byte>(512);
        using (var writer = new Utf8JsonWriter(body, Writer))
        {
            JsonSerializer.Serialize(writer, value, type);
        }

        return WriteAsync(context, status, body.WrittenMemory);
    }

    internal static async Task WriteAsync(HttpContext context, int status, ReadOnlyMemory<byte> body)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = ContentType;
        context.Response.ContentLength = body.Length;
        await context.Response.BodyWriter.WriteAsync(body, context.RequestAborted);
    }
}

/// <summary>Times of the wire: RFC 3339, UTC, milliseconds.</summary>
internal sealed class WireTimeConverter : JsonConverter<DateTimeOffset>
{
    internal const string Format = "yyyy-MM-dd'T'HH:mm:ss.fff'Z'";

    public override DateTimeOffset Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.GetDateTimeOffset();

    public override void Write(Utf8JsonWriter writer, DateTimeOffset value, JsonSerializerOptions options)
    {
        Span<byte> text = stackalloc byte[24];
        _ = value.UtcDateTime.TryFormat(text, out _, Format, System.Globalization.CultureInfo.InvariantCulture);
        writer.WriteStringValue(text);
    }
}
