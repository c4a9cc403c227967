using System.Text;
using Microsoft.Extensions.AI;

namespace Reeve.Server.Inference.Providers.Builtin;

/// <summary>A bit of the answer, small enough to stream; the first bit of a quote carries its citation.</summary>
/// <param name="Text">One char or more.</param>
/// <param name="Citation">Of the quote that begins with it.</param>
/// <param name="Begins">With it something begins that is said whole or not at all.</param>
internal readonly record struct QuotePiece(string Text, CitationAnnotation? Citation, bool Begins = false);

/// <summary>The whole answer, made before its first bit is sent.</summary>
internal sealed record QuoteAnswer(IReadOnlyList<QuotePiece> Pieces, int OutputTokens, ChatFinishReason FinishReason)
{
    internal const string NotAnswered = "The documents do not answer this.";
    internal const string NoDocuments = "There are no documents to answer from.";

    private const int PieceCharacters = 32;

    internal static QuoteAnswer Of(string fixedSentence, int tokensMax) => Cut(Pieced(fixedSentence, null), tokensMax);

    /// <summary>The quotes of each document, then its name in brackets; an empty line between documents.</summary>
    internal static QuoteAnswer Of(List<List<Quote>> groups, int tokensMax)
    {
        var pieces = new List<QuotePiece>();
        foreach (var group in groups)
        {
            for (var i = 0; i < group.Count; i++)
            {
                var quote = group[i];
                var before = (pieces.Count == 0 ? "" : i == 0 ? "\n\n" : quote.IsItem ? "\n" : " ") + quote.Lead;
                if (before.Length > 0)
                {
                    pieces.Add(new QuotePiece(before, null, Begins: true));
                }

                var bits = Pieced(quote.Text, new CitationAnnotation
                {
                    FileId = quote.Source.ChunkId,
                    Title = quote.Source.DocumentName,
                    Snippet = quote.Text,
                });
                bits[0] = bits[0] with { Begins = before.Length == 0 };
                pieces.AddRange(bits);
            }

            pieces.Add(new QuotePiece($" ({group[0].Source.DocumentName})", null));
        }

        return Cut(pieces, tokensMax);
    }

    /// <summary>The answer as one part, each citation with the place of its quote.</summary>
    internal TextContent ToContent()
    {
        var text = new StringBuilder();
        var annotations = new List<AIAnnotation>();
        foreach (var piece in Pieces)
        {
            if (piece.Citation is { } citation)
            {
                annotations.Add(new CitationAnnotation
                {
                    FileId = citation.FileId,
                    Title = citation.Title,
                    Snippet = citation.Snippet,
                    AnnotatedRegions =
                    [
                        new TextSpanAnnotatedRegion
                        {
                            StartIndex = text.Length,
                            EndIndex = text.Length + citation.Snippet!.Length,
                        },
                    ],
                });
            }

            text.Append(piece.Text);
        }

        return new TextContent(text.ToString()) { Annotations = annotations.Count > 0 ? annotations : null };
    }

    private static List<QuotePiece> Pieced(string text, CitationAnnotation? citation)
    {
        var pieces = new List<QuotePiece>();
        for (var start = 0; start < text.Length;)
        {
            var end = Math.Min(start + PieceCharacters, text.Length);
            if (end < text.Length)
            {
                var space = text.AsSpan(end).IndexOf(' ');
                end = space < 0 ? text.Length : end + space;
            }

            pieces.Add(new QuotePiece(text[start..end], start == 0 ? citation : null));
            start = end;
        }

        return pieces;
    }

    // A quote that does not fit is left out whole: half of one would be no quote.
    private static QuoteAnswer Cut(List<QuotePiece> pieces, int tokensMax)
    {
        var tokens = 0;
        var quoteStart = 0;
        var quoteTokens = 0;
        for (var i = 0; i < pieces.Count; i++)
        {
            if (pieces[i].Begins)
            {
                (quoteStart, quoteTokens) = (i, tokens);
            }

            var more = WordCount.Of(pieces[i].Text);
            if (tokens + more > tokensMax)
            {
                return new QuoteAnswer(pieces[..quoteStart], quoteTokens, ChatFinishReason.Length);
            }

            tokens += more;
        }

        return new QuoteAnswer(pieces, tokens, ChatFinishReason.Stop);
    }
}
