namespace Reeve.Server.Inference.Providers.Builtin;

/// <summary>
/// The tokens of <c>reeve/quote</c>: one for each started eight characters of a run of letters and digits, one for
/// every
/// other character that is no white space. It is free, so the count needs only to be simple and always the same.
/// </summary>
internal static class WordCount
{
    private const int RunCharacters = 8;

    internal static int Of(ReadOnlySpan<char> text)
    {
        var count = 0;
        var run = 0;
        foreach (var character in text)
        {
            if (char.IsLetterOrDigit(character) || char.IsSurrogate(character))
            {
                count += run++ % RunCharacters == 0 ? 1 : 0;
            }
            else
            {
                run = 0;
                count += char.IsWhiteSpace(character) ? 0 : 1;
            }
        }

        return count;
    }
}
