using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Reeve.Server.Retrieval.Parsing;

/// <summary>JSON as lines of path and value, under the top-level names as headings.</summary>
internal static class JsonText
{
    internal const int DepthMax = 256;
    private const int PathCharactersMax = 2_000;

    internal static void Write(string source, BlockWriter writer)
    {
        // A loop, not recursion: the depth is the author's choice.
        var reader = new Utf8JsonReader(
            Encoding.UTF8.GetBytes(source), new JsonReaderOptions { MaxDepth = 1_000_000 });
        var path = new List<Step>();
        var line = new StringBuilder();
        while (reader.Read())
        {
            switch (reader.TokenType)
            {
                case JsonTokenType.PropertyName:
                    path[^1] = path[^1] with { Name = reader.GetString()! };
                    break;
                case JsonTokenType.StartObject or JsonTokenType.StartArray:
                    Enter(path);
                    if (path is [{ Name: { Length: > 0 } heading }])
                    {
                        writer.Add(BlockKind.Heading, heading, 1);
                    }

                    path.Add(new Step(null, reader.TokenType == JsonTokenType.StartArray ? -1 : null));
                    if (path.Count > DepthMax)
                    {
                        throw ParseException.TooComplex($"The JSON is nested deeper than {DepthMax} levels.");
                    }

                    break;
                case JsonTokenType.EndObject or JsonTokenType.EndArray:
                    path.RemoveAt(path.Count - 1);
                    break;
                default:
                    Enter(path);
                    line.Clear();
                    WritePath(path, line);
                    line.Append(line.Length > 0 ? ": " : "").Append(Value(ref reader));
                    writer.Add(BlockKind.TableRow, line.ToString());
                    break;
            }
        }
    }

    /// <summary>A value begins: in an array it has the next place.</summary>
    private static void Enter(List<Step> path)
    {
        if (path.Count > 0 && path[^1].Index is { } index)
        {
            path[^1] = path[^1] with { Index = index + 1 };
        }
    }

    private static void WritePath(List<Step> path, StringBuilder line)
    {
        foreach (var step in path)
        {
            if (step.Index is { } index)
            {
                line.Append(CultureInfo.InvariantCulture, $"[{index}]");
            }
            else
            {
                line.Append(line.Length > 0 ? "." : "").Append(step.Name);
            }

            if (line.Length > PathCharactersMax)
            {
                throw ParseException.TooComplex(
                    $"The JSON has a value whose path is longer than {PathCharactersMax} characters.");
            }
        }
    }

    private static string Value(ref Utf8JsonReader reader) => reader.TokenType switch
    {
        JsonTokenType.String => reader.GetString()!.ReplaceLineEndings(" "),
        JsonTokenType.True => "true",
        JsonTokenType.False => "false",
        JsonTokenType.Null => "null",
        _ => Encoding.UTF8.GetString(reader.ValueSpan),
    };

    private readonly record struct Step(string? Name, int? Index);
}
