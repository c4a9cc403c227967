using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Reeve.Server.Privacy;

/// <summary>
/// Puts placeholders such as <c>[EMAIL_1]</c> in the place of personal data, the same one for the same datum, and takes
/// them back. One for each model call: it goes through all that is sent in the same order each time, so that a
/// conversation that grows keeps its placeholders.
/// </summary>
internal sealed class Masker
{
    internal const string Name = "NAME";

    /// <summary>What looks like a placeholder and is the text's own; it comes back like everything else.</summary>
    private const string Literal = "TEXT";

    private const int NameMin = 2;

    private readonly PersonalData _personal;
    private readonly string[] _names;
    private readonly SearchValues<string>? _anyName;
    private readonly Dictionary<string, string> _placeholders = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _originals = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _counts = new(StringComparer.Ordinal);
    private readonly List<PersonalDatum> _found = [];

    internal Masker(PersonalData personal, IEnumerable<string> names)
    {
        _personal = personal;

        // A whole name before its parts, so that the whole of it gets one placeholder.
        _names =
        [
            .. names.Select(static name => FoldedText.Of(name).Text.ToString()).SelectMany(static name => (string[])
                [name.Trim(), .. Glued(name), .. name.Split([' ', ',', '.'], StringSplitOptions.RemoveEmptyEntries)])
                .Where(static name => name.Length >= NameMin && name.Any(char.IsLetter))
                .Distinct(StringComparer.OrdinalIgnoreCase).OrderByDescending(static name => name.Length),
        ];
        _anyName = _names.Length == 0 ? null : SearchValues.Create(_names, StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>What each placeholder stands for.</summary>
    internal IReadOnlyDictionary<string, string> Originals => _originals;

    internal string Mask(string text)
    {
        _found.Clear();
        var folded = FoldedText.Of(text);
        _personal.Find(text, folded, _found);
        var count = _found.Count;
        FindNames(folded);
        FindLiterals(text);
        if (_found.Count > count)
        {
            PersonalData.Part(_found, 0);
        }

        if (_found.Count == 0)
        {
            return text;
        }

        var masked = new StringBuilder(text.Length);
        var at = 0;
        foreach (var datum in _found)
        {
            masked.Append(text, at, datum.Start - at).Append(PlaceholderOf(text, datum));
            at = datum.End;
        }

        return masked.Append(text, at, text.Length - at).ToString();
    }

    /// <summary>
    /// The same value with every string in it masked, names of members too. A number that is personal data becomes the
    /// text of its placeholder.
    /// </summary>
    internal JsonElement Mask(JsonElement value) => Rewrite(value, Mask, withNumbers: true);

    /// <summary>As <see cref="Mask(JsonElement)"/>, but numbers are bounds and the like and stay.</summary>
    internal JsonElement MaskSchema(JsonElement schema) => Rewrite(schema, Mask, withNumbers: false);

    /// <summary>The same value with the placeholders in its strings taken back.</summary>
    internal JsonElement Restore(JsonElement value) => Rewrite(value, Restore, withNumbers: false);

    internal string Restore(string text)
    {
        var restorer = new Restorer(_originals, escapesJson: false);
        return restorer.Push(text) + restorer.Flush();
    }

    /// <summary>Where names are written without a space, the parts of one stand together too.</summary>
    private static string[] Glued(string name) =>
        name.Any(FoldedText.IsUnspaced) ? [name.Replace(" ", "", StringComparison.Ordinal)] : [];

    private void FindNames(FoldedText folded)
    {
        if (_anyName is null)
        {
            return;
        }

        var text = folded.Text.Span;
        var at = 0;
        while (text[at..].IndexOfAny(_anyName) is >= 0 and var next)
        {
            at += next;
            var length = NameAt(text, at);
            if (length > 0)
            {
                _found.Add(folded.InOriginal(new PersonalDatum(at, length, Name)));
            }

            at += Math.Max(length, 1);
        }
    }

    private int NameAt(ReadOnlySpan<char> text, int at)
    {
        if (at > 0 && FoldedText.IsWord(text[at - 1]) && FoldedText.IsWord(text[at]))
        {
            return 0;
        }

        foreach (var name in _names)
        {
            var end = at + name.Length;
            if (text[at..].StartsWith(name, StringComparison.OrdinalIgnoreCase)
                && (end == text.Length || !FoldedText.IsWord(text[end]) || !FoldedText.IsWord(text[end - 1])))
            {
                return name.Length;
            }
        }

        return 0;
    }

    private void FindLiterals(string text)
    {
        var at = 0;
        while (text.IndexOf('[', at) is >= 0 and var start)
        {
            at = start + 1;
            if (Restorer.LengthAt(text.AsSpan(start)) is { } length)
            {
                _found.Add(new PersonalDatum(start, length, Literal));
                at = start + length;
            }
        }
    }

    private string PlaceholderOf(string text, PersonalDatum datum)
    {
        var original = text.Substring(datum.Start, datum.Length);
        if (_placeholders.TryGetValue(original, out var known))
        {
            return known;
        }

        var number = _counts[datum.Kind] = _counts.GetValueOrDefault(datum.Kind) + 1;
        var placeholder = string.Create(CultureInfo.InvariantCulture, $"[{datum.Kind}_{number}]");
        _placeholders.Add(original, placeholder);
        _originals.Add(placeholder, original);
        return placeholder;
    }

    private static JsonElement Rewrite(JsonElement value, Func<string, string> change, bool withNumbers)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { SkipValidation = true }))
        {
            Write(writer, value, change, withNumbers);
        }

        return JsonElement.Parse(buffer.WrittenSpan);
    }

    private static void Write(
        Utf8JsonWriter writer, JsonElement value, Func<string, string> change, bool withNumbers)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                writer.WriteStartObject();
                foreach (var member in value.EnumerateObject())
                {
                    writer.WritePropertyName(change(member.Name));
                    Write(writer, member.Value, change, withNumbers);
                }

                writer.WriteEndObject();
                break;
            case JsonValueKind.Array:
                writer.WriteStartArray();
                foreach (var item in value.EnumerateArray())
                {
                    Write(writer, item, change, withNumbers);
                }

                writer.WriteEndArray();
                break;
            case JsonValueKind.String:
                writer.WriteStringValue(change(value.GetString()!));
                break;
            case JsonValueKind.Number when withNumbers && value.GetRawText() is var number
                && change(number) is var masked && masked != number:
                writer.WriteStringValue(masked);
                break;
            case JsonValueKind.Undefined:
                writer.WriteNullValue();
                break;
            default:
                value.WriteTo(writer);
                break;
        }
    }
}
