using System.Buffers;
using System.Text.Json;

namespace Reeve.Server.Tools;

/// <summary>Results by which a tool tells the model what was wrong.</summary>
internal static class ToolErrors
{
    internal static ToolResult Of(string message)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("error", message);
            writer.WriteEndObject();
        }

        return new ToolResult(JsonElement.Parse(buffer.WrittenSpan), IsError: true);
    }
}
