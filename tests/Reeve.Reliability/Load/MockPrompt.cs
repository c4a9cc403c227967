using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Reeve.Reliability.Load;

/// <summary>
/// What a harness asks of <see cref="MockProvider"/>. It travels inside the run's input, so the answer depends on the
/// input alone: an attempt after a crash says the same again.
/// </summary>
internal sealed record MockPrompt
{
    private const string Mark = "@@";

    /// <summary>Pieces of the answer, 1 or more.</summary>
    internal int Pieces { get; init; } = 6;

    /// <summary>Milliseconds between two pieces.</summary>
    internal int Pause { get; init; }

    /// <summary>Steps that ask for the tool <c>time</c> before the answer.</summary>
    internal int Tools { get; init; }

    internal MockText Text { get; init; }

    /// <summary>UTF-16 units of a piece of <see cref="MockText.Big"/>.</summary>
    internal int Size { get; init; } = 3_000;

    /// <summary>The input of a run; <paramref name="tag"/> tells runs apart.</summary>
    internal string Input(string tag) => string.Create(CultureInfo.InvariantCulture,
        $"{tag} {Mark}{Pieces} {Pause} {Tools} {(int)Text} {Size}{Mark}");

    /// <summary>Reads the newest question of a request; Left says how many tool steps are due.</summary>
    internal static (MockPrompt Prompt, int Left, bool IsStreamed) Read(JsonElement request)
    {
        var (prompt, answered) = (new MockPrompt(), 0);
        foreach (var message in request.GetProperty("messages").EnumerateArray())
        {
            switch (message.GetProperty("role").GetString())
            {
                case "user":
                    (prompt, answered) = (Parse(Flatten(message.GetProperty("content"))), 0);
                    break;
                case "tool":
                    answered++;
                    break;
                default:
                    break;
            }
        }

        return (prompt, prompt.Tools - answered,
            request.TryGetProperty("stream", out var stream) && stream.ValueKind == JsonValueKind.True);
    }

    /// <summary>What the model says at last, where a piece means the same by itself as inside of JSON.</summary>
    internal string? PlainAnswer => Text == MockText.Plain && Tools == 0
        ? string.Concat(Enumerable.Range(0, Pieces).Select(index => Piece(index, TimeProvider.System)))
        : null;

    /// <summary>A piece as the inside of a JSON string.</summary>
    internal string Piece(int index, TimeProvider time) => Text switch
    {
        MockText.Unicode => Unicode[index % Unicode.Length],
        MockText.Big => Escape(new string((char)('a' + (index % 26)), Size)),
        MockText.Stamped => string.Create(CultureInfo.InvariantCulture, $"[{time.GetTimestamp()}]"),
        _ => string.Create(CultureInfo.InvariantCulture, $"word {index} "),
    };

    // Half characters, line ends and lookalikes of the protocol, escaped as a provider may.
    private static readonly string[] Unicode =
    [
        Escape("Grüße — 日本語 "), "\\ud83c", "\\udf89 ", Escape("data: x\n\nid: 99\n\n"), Escape("\u2028\u2029\u0085"),
        Escape("👩‍👩‍👧 "), Escape("\r\nevent: run.completed\r\n"), Escape("\"\\/\t\u0001"), Escape("ﷺ \u202Eabc"),
    ];

    /// <summary>What an input asks for.</summary>
    internal static MockPrompt Parse(string text)
    {
        var start = text.IndexOf(Mark, StringComparison.Ordinal);
        var end = start < 0 ? -1 : text.IndexOf(Mark, start + Mark.Length, StringComparison.Ordinal);
        if (end < 0)
        {
            return new MockPrompt();
        }

        var numbers = text[(start + Mark.Length)..end].Split(' ')
            .Select(static number => int.Parse(number, CultureInfo.InvariantCulture)).ToArray();
        return new MockPrompt
        {
            Pieces = numbers[0],
            Pause = numbers[1],
            Tools = numbers[2],
            Text = (MockText)numbers[3],
            Size = numbers[4],
        };
    }

    private static string Flatten(JsonElement content) => content.ValueKind == JsonValueKind.Array
        ? string.Concat(content.EnumerateArray().Select(static part =>
            part.TryGetProperty("text", out var text) ? text.GetString() : ""))
        : content.GetString() ?? "";

    private static string Escape(string text)
    {
        var json = new StringBuilder();
        foreach (var unit in text)
        {
            _ = unit is >= ' ' and <= '~' and not ('"' or '\\')
                ? json.Append(unit)
                : json.Append(CultureInfo.InvariantCulture, $"\\u{(int)unit:x4}");
        }

        return json.ToString();
    }
}

internal enum MockText
{
    Plain,
    Unicode,
    Big,

    /// <summary>Each piece tells when it was sent, as a timestamp of the system's clock.</summary>
    Stamped,
}
