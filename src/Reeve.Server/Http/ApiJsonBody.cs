using System.Buffers;
using System.Text.Json;

namespace Reeve.Server.Http;

/// <summary>Answers whose JSON a feature writes by hand, member by member.</summary>
internal static class ApiJsonBody
{
    internal static Task WriteAsync<T>(HttpContext context, int status, T value, Action<Utf8JsonWriter, T> write)
    {
        var body = new ArrayBufferWriter<byte>(512);
        using (var writer = new Utf8JsonWriter(body, ApiJson.Writer))
        {
            write(writer, value);
        }

        return ApiJson.WriteAsync(context, status, body.WrittenMemory);
    }

    /// <summary>A page of a list (wire-mesh 1.7).</summary>
    internal static Task WritePageAsync<T>(HttpContext context, Page<T> page, Action<Utf8JsonWriter, T> write) =>
        WriteAsync(context, StatusCodes.Status200OK, page, (writer, shown) =>
        {
            writer.WriteStartObject();
            writer.WriteStartArray("data"u8);
            foreach (var item in shown.Data)
            {
                write(writer, item);
            }

            writer.WriteEndArray();
            writer.WriteBoolean("has_more"u8, shown.HasMore);
            writer.WriteString("next_cursor"u8, shown.NextCursor);
            writer.WriteEndObject();
        });

    /// <summary>A time as <see cref="WireTimeConverter"/> writes it.</summary>
    internal static void WriteTime(this Utf8JsonWriter writer, ReadOnlySpan<byte> name, DateTimeOffset value)
    {
        Span<byte> text = stackalloc byte[24];
        _ = value.UtcDateTime.TryFormat(
            text, out _, WireTimeConverter.Format, System.Globalization.CultureInfo.InvariantCulture);
        writer.WriteString(name, text);
    }
}
