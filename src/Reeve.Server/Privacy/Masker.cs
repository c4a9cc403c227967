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
            .. names.SelectMany(static name => (string[])
                [name.Trim(), .. name.Split([' ', ',', '.'], StringSplitOptions.RemoveEmptyEntries)])
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
        _personal.Find(text, _found);
        var count = _found.Count;
        FindNames(text);
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

    /// <summary>The same value with every string in it masked, names of members too.</summary>
    internal JsonElement Mask(JsonElement value) => Rewrite(value, Mask);

    /// <summary>The same value with the placeholders in its strings taken back.</summary>
    internal JsonElement Restore(JsonElement value) => Rewrite(value, Restore);

    internal string Restore(string text)
    {
        var restorer = new Restorer(_originals, escapesJson: false);
        return restorer.Push(text) + restorer.Flush();
    }

    private void FindNames(string text)
    {
        if (_anyName is null)
        {
            return;
        }

        var at = 0;
        while (text.AsSpan(at).IndexOfAny(_anyName) is >= 0 and var next)
        {
            at += next;
            var name = Array.Find(_names,
                one => text.AsSpan(at).StartsWith(one, StringComparison.OrdinalIgnoreCase) && IsWhole(text, at, one));
            if (name is null)
            {
                at++;
                continue;
            }

            _found.Add(new PersonalDatum(at, name.Length, Name));
            at += name.Length;
        }
    }

    private static bool IsWhole(string text, int at, string name) =>
        (at == 0 || !char.IsLetterOrDigit(text[at - 1]))
        && (at + name.Length == text.Length || !char.IsLetterOrDigit(text[at + name.Length]));

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

    private static JsonElement Rewrite(JsonElement value, Func<string, string> change)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { SkipValidation = true }))
        {
            Write(writer, value, change);
        }

        return JsonElement.Parse(buffer.WrittenSpan);
    }

    private static void Write(Utf8JsonWriter writer, JsonElement value, Func<string, string> change)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                writer.WriteStartObject();
                foreach (var member in value.EnumerateObject())
                {
                    writer.WritePropertyName(change(member.Name));
                    Write(writer, member.Value, change);
                }

                writer.WriteEndObject();
                break;
            case JsonValueKind.Array:
                writer.WriteStartArray();
                foreach (var item in value.EnumerateArray())
                {
                    Write(writer, item, change);
                }

                writer.WriteEndArray();
                break;
            case JsonValueKind.String:
                writer.WriteStringValue(change(value.GetString()!));
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
