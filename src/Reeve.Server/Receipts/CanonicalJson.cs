using System.Text.Json;

namespace Reeve.Server.Receipts;

/// <summary>
/// JSON in the one form of RFC 8785, in which equal values have equal bytes. Throws <see cref="FormatException"/> for
/// what has no such form: a member that stands twice, half a surrogate pair, a number beyond a double.
/// </summary>
internal static class CanonicalJson
{
    /// <summary>The bytes of a value; members of the outermost object that are to be left out are skipped.</summary>
    internal static byte[] Serialize(JsonElement value, params ReadOnlySpan<string> leaveOut)
    {
        var writer = new CanonicalWriter();
        Write(writer, value, leaveOut);
        return writer.Written.ToArray();
    }

    private static void Write(CanonicalWriter writer, JsonElement value, ReadOnlySpan<string> leaveOut)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                WriteObject(writer, value, leaveOut);
                break;
            case JsonValueKind.Array:
                writer.StartArray();
                foreach (var item in value.EnumerateArray())
                {
                    Write(writer, item, []);
                }

                writer.EndArray();
                break;
            case JsonValueKind.String:
                writer.String(Text(value));
                break;
            case JsonValueKind.Number:
                writer.Number(value.GetDouble());
                break;
            case JsonValueKind.True:
                writer.Literal("true"u8);
                break;
            case JsonValueKind.False:
                writer.Literal("false"u8);
                break;
            case JsonValueKind.Null:
                writer.Literal("null"u8);
                break;
            default:
                throw new FormatException("There is no value to write.");
        }
    }

    private static void WriteObject(CanonicalWriter writer, JsonElement value, ReadOnlySpan<string> leaveOut)
    {
        var members = new List<(string Name, JsonElement Value)>();
        foreach (var member in value.EnumerateObject())
        {
            var name = Name(member);
            if (!leaveOut.Contains(name))
            {
                members.Add((name, member.Value));
            }
        }

        members.Sort(static (left, right) => string.CompareOrdinal(left.Name, right.Name));
        writer.StartObject();
        foreach (var (name, item) in members)
        {
            writer.Name(name);
            Write(writer, item, []);
        }

        writer.EndObject();
    }

    private static string Text(JsonElement value)
    {
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw new FormatException("A string has half of a surrogate pair.");
        }
    }

    private static string Name(JsonProperty member)
    {
        try
        {
            return member.Name;
        }
        catch (InvalidOperationException)
        {
            throw new FormatException("A name has half of a surrogate pair.");
        }
    }
}
