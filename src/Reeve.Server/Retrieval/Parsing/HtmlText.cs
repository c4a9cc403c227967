using AngleSharp.Html.Parser;
using Reeve.Server.Http;

namespace Reeve.Server.Retrieval.Parsing;

/// <summary>
/// The readable part of a web page. No script runs and nothing is fetched. Nesting, elements, attributes and time are
/// bounded, since building the tree can cost the product of any two of them.
/// </summary>
internal static class HtmlText
{
    private const int DepthMax = 512;
    private const int ElementsMax = 400_000;
    private const int AttributesMax = 1_000;
    private const int ParseMillisecondsMax = 5_000;

    // Their end tags may be left out, so they close each other and do not nest.
    private static readonly HashSet<string> Shallow = new(StringComparer.OrdinalIgnoreCase)
    {
        "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
        "p", "li", "dt", "dd", "option", "optgroup", "tr", "td", "th", "thead", "tbody", "tfoot", "colgroup", "rt",
        "rp", "html", "head", "body",
    };

    internal static ExtractedText Extract(string source)
    {
        var writer = new BlockWriter();
        Write(source, writer);
        return writer.ToText();
    }

    internal static void Write(string source, BlockWriter writer)
    {
        RefuseComplex(source);
        var elements = 0;
        var end = Environment.TickCount64 + ParseMillisecondsMax;
        var parser = new HtmlParser(new HtmlParserOptions
        {
            IsScripting = false,
            OnCreated = (_, _) =>
            {
                if (++elements > ElementsMax || Environment.TickCount64 > end)
                {
                    throw TooComplex();
                }
            },
        });
        using var document = parser.ParseDocument(source);
        if (document.Body is { } body)
        {
            new HtmlWalk(writer).Read(body);
        }
    }

    /// <summary>One pass over the tags as they stand, before a tree is built of them.</summary>
    private static void RefuseComplex(string source)
    {
        var shallow = Shallow.GetAlternateLookup<ReadOnlySpan<char>>();
        var depth = 0;
        for (var i = source.IndexOf('<', StringComparison.Ordinal); i >= 0 && i + 1 < source.Length;)
        {
            var closing = source[i + 1] == '/';
            var start = i + (closing ? 2 : 1);
            var end = start;
            while (end < source.Length && end - start < 16 && char.IsAsciiLetterOrDigit(source[end]))
            {
                end++;
            }

            if (end > start && char.IsAsciiLetter(source[start]))
            {
                if (!shallow.Contains(source.AsSpan(start, end - start)))
                {
                    depth = closing ? Math.Max(0, depth - 1) : depth + 1;
                }

                end = EndOfTag(source, end, out var attributes);
                if (depth > DepthMax || attributes > AttributesMax)
                {
                    throw TooComplex();
                }
            }

            i = end < source.Length ? source.IndexOf('<', Math.Max(end, i + 1)) : -1;
        }
    }

    private static int EndOfTag(string source, int index, out int attributes)
    {
        attributes = 0;
        while (index < source.Length && source[index] != '>')
        {
            var character = source[index++];
            if (character == '=' && index < source.Length)
            {
                while (index < source.Length && char.IsWhiteSpace(source[index]))
                {
                    index++;
                }

                if (index < source.Length && source[index] is '"' or '\'')
                {
                    var close = source.IndexOf(source[index], index + 1);
                    index = close < 0 ? source.Length : close + 1;
                    attributes++;
                }
            }
            else if (char.IsWhiteSpace(character) || character == '/')
            {
                attributes += index < source.Length && !char.IsWhiteSpace(source[index]) ? 1 : 0;
            }
        }

        return index;
    }

    private static ApiException TooComplex() => ApiException.Invalid(
        $"The HTML is too complex: at most {DepthMax} elements inside each other, {ElementsMax} in all and "
        + $"{AttributesMax} attributes of one are read.", null);
}
