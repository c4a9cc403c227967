using System.Text.Json;

namespace Reeve.Server.Http;

internal static class JsonWriting
{
    /// <summary>Writes a member whose value may be missing: documented members are always present.</summary>
    internal static void WriteNumberOrNull(this Utf8JsonWriter writer, string name, long? value)
    {
        if (value is { } number)
        {
            writer.WriteNumber(name, number);
        }
        else
        {
            writer.WriteNull(name);
        }
    }
}
