namespace Reeve.Server.Runs;

/// <summary>
/// Parts the provider's text into the pieces of the log: 1-4,096 chars, nothing joined, no character split; half a
/// surrogate pair waits for its other half.
/// </summary>
internal sealed class DeltaSplitter
{
    internal const int CharactersMax = 4096;

    private char? _half;

    internal IEnumerable<string> Push(string text)
    {
        if (_half is { } half)
        {
            text = half + text;
            _half = null;
        }

        if (text.Length > 0 && char.IsHighSurrogate(text[^1]))
        {
            _half = text[^1];
            text = text[..^1];
        }

        return Cut(text);
    }

    /// <summary>What is left at the end: a half that never got its other half becomes U+FFFD.</summary>
    internal string? Flush() => _half is null ? null : "\uFFFD";

    internal static IEnumerable<string> Cut(string text)
    {
        var start = 0;
        while (start < text.Length)
        {
            var length = Math.Min(CharactersMax, text.Length - start);
            if (char.IsHighSurrogate(text[start + length - 1]) && start + length < text.Length)
            {
                length--;
            }

            yield return text.Substring(start, length);
            start += length;
        }
    }

    /// <summary>The first chars of a text, without half a character at the end.</summary>
    internal static string CutAt(string text, int length) => text.Length <= length
        ? text
        : text[..(char.IsHighSurrogate(text[length - 1]) ? length - 1 : length)];
}
