using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Extensions.AI;
using Reeve.Server.Http;
using Reeve.Server.Inference;
using Reeve.Server.Inference.Providers.Builtin;

namespace Reeve.Server.Runs;

/// <summary>What a chunk says of an answer: where the passage begins in its text, and the passage.</summary>
internal sealed record SupportingQuote(string ChunkId, int Start, string Text);

/// <summary>An answer held against the chunks that its model had.</summary>
/// <param name="IsSupported">It says something, and nothing that no chunk supports.</param>
/// <param name="Quotes">At most one a chunk: the passage that supports most.</param>
internal sealed record CheckedAnswer(bool IsSupported, IReadOnlyList<SupportingQuote> Quotes);

/// <summary>
/// Holds the sentences of an answer against chunks, by their words: a chunk supports a sentence when it has
/// <see cref="SupportMin"/> of the words that carry its meaning, and each of its numbers. A sentence that names chunks
/// is held against these alone.
/// </summary>
/// <remarks>
/// It finds what was made up or taken from elsewhere. It cannot find a sentence that turns the words of a chunk round.
/// </remarks>
internal sealed partial class CitationCheck
{
    internal const double SupportMin = 0.7;

    /// <summary>What a strict agent's model is told, so that it knows how to decline.</summary>
    internal const string Instruction = "Say only what the sources state, and stay close to their words. When they do "
        + "not answer the question, say exactly: " + QuoteAnswer.NotAnswered;

    private static readonly string[] Refusals = [QuoteAnswer.NotAnswered, QuoteAnswer.NoDocuments];
    private static readonly HashSet<string> Empty = new(StringComparer.Ordinal) { "ye", "no", "okai", "sure" };

    private readonly TermReader _reader = new();
    private readonly List<Source> _sources = [];

    internal CitationCheck(IEnumerable<SourceContent> chunks)
    {
        foreach (var chunk in chunks.DistinctBy(static chunk => chunk.ChunkId))
        {
            var terms = TermsOf($"{chunk.DocumentName}\n{string.Join('\n', chunk.Headings)}\n{chunk.Text}");
            _sources.Add(new Source(chunk, terms, [.. Sentences.Split(chunk.Text).Select(range =>
            {
                var (start, length) = range.GetOffsetAndLength(chunk.Text.Length);
                return (start, length, TermsOf(chunk.Text.AsSpan(start, length)));
            })]));
        }
    }

    /// <summary>The chunks that were put before the model, by retrieval or by the knowledge tool.</summary>
    internal static IEnumerable<SourceContent> Chunks(RunContext context, RunState state)
    {
        var retrieved = (context.Chunks ?? []).Select(static chunk => chunk.ToContent());
        var found = state.ToolCalls.Where(static call => call is { Tool: "knowledge", IsFinished: true })
            .SelectMany(static call => SourceContent.Found(call.Result))
            .Where(found => state.Sources.Any(source => source.ChunkId == found.ChunkId));
        return retrieved.Concat(found);
    }

    /// <summary>The end of a run that has an answer, after the quotes that were found for its sources.</summary>
    internal static List<RunEventData> Conclude(
        RunContext context, RunState state, string answer, IReadOnlyList<RunSource> sources)
    {
        var unquoted = sources.Where(static source => source.Quote is null).ToList();
        if (context.AgentId is null || (unquoted.Count == 0 && !context.Config.StrictCitations))
        {
            return [new RunCompleted()];
        }

        var chunks = Chunks(context, state).DistinctBy(static chunk => chunk.ChunkId).ToList();
        var result = new CitationCheck(chunks).Check(
            answer, context.OutputSchema is not null || context.Chat?.Format is ChatResponseFormatJson);
        if (context.Config.StrictCitations && !result.IsSupported)
        {
            return
            [
                new RunFailed(ApiErrorCodes.OutputInvalid.Code,
                    "The answer has a sentence that no retrieved passage supports, which strict_citations refuses.")
                {
                    Param = "strict_citations",
                },
            ];
        }

        var quotes = new List<QuotedSource>();
        foreach (var quote in result.Quotes)
        {
            if (unquoted.Find(source => source.ChunkId == quote.ChunkId) is { } source)
            {
                var text = chunks.Find(chunk => chunk.ChunkId == quote.ChunkId)!.Text;
                var placed = Place(source, text, quote.Start, quote.Text);
                quotes.Add(new QuotedSource(quote.ChunkId, placed.Start, placed.End, quote.Text));
            }
        }

        return quotes.Count > 0 ? [new SourcesQuoted(quotes), new RunCompleted()] : [new RunCompleted()];
    }

    /// <summary>The source with a quote that begins at that char of its chunk's text.</summary>
    internal static RunSource Place(RunSource source, string text, int at, string quote)
    {
        var start = source.Start + RequestObject.ScalarCount(text[..at]);
        return source with { Start = start, End = start + RequestObject.ScalarCount(quote), Quote = quote };
    }

    /// <summary>Of JSON, the strings and numbers are what it says.</summary>
    internal CheckedAnswer Check(string answer, bool isJson)
    {
        if (Refusals.Contains(answer.Trim()))
        {
            return new CheckedAnswer(true, []);
        }

        var best = new Dictionary<string, (double Weight, SupportingQuote Quote)>(StringComparer.Ordinal);
        var (supported, unsupported) = (0, 0);
        foreach (var (text, ids) in isJson ? Values(answer) : Claims(answer))
        {
            var terms = TermsOf(text);
            terms.RemoveWhere(Empty.Contains);
            if (terms.Count == 0)
            {
                continue;
            }

            var supporters = _sources.FindAll(source =>
                (ids.Count == 0 || ids.Contains(source.Chunk.ChunkId)) && source.Supports(terms));
            supported += supporters.Count > 0 ? 1 : 0;
            unsupported += supporters.Count > 0 ? 0 : 1;
            foreach (var source in supporters)
            {
                var (weight, quote) = source.QuoteFor(terms);
                if (quote is not null && weight > best.GetValueOrDefault(source.Chunk.ChunkId).Weight)
                {
                    best[source.Chunk.ChunkId] = (weight, quote);
                }
            }
        }

        return new CheckedAnswer(supported > 0 && unsupported == 0, [.. best.Values.Select(static one => one.Quote)]);
    }

    /// <summary>
    /// The sentences without the ids in them, each with the ids that it or what follows it names; in a line that begins
    /// with an id, those that stand before it.
    /// </summary>
    private static List<Claim> Claims(string answer)
    {
        var ids = new List<(int At, string Id)>();
        var taken = 0;
        var text = Marker().Replace(answer, marker =>
        {
            ids.AddRange(Id().Matches(marker.Value).Select(id => (marker.Index - taken, id.Value)));
            taken += marker.Length;
            return "";
        });
        var places = Places(text, ids);
        var claims = new List<Claim>();
        foreach (var range in Sentences.Split(text))
        {
            var (start, length) = range.GetOffsetAndLength(text.Length);
            var said = text.AsSpan(start, length).TrimStart();
            claims.Add(new Claim(
                said[Sentences.MarkerLength(said)..].ToString(),
                places.Where(id => id.At >= start && id.At < start + length).Select(static id => id.Id)
                    .ToHashSet(StringComparer.OrdinalIgnoreCase)));
        }

        return claims;
    }

    /// <summary>Of each id the place of a character in the sentence that is meant by it.</summary>
    private static List<(int At, string Id)> Places(string text, List<(int At, string Id)> ids)
    {
        var (line, leads) = (-1, false);
        return ids.ConvertAll(id =>
        {
            var start = text.AsSpan(0, id.At).LastIndexOf('\n') + 1;
            if (start != line)
            {
                (line, leads) = (start, Leads(text, start, id.At));
            }

            // At the end of such a line there is nothing more that it could stand before.
            var next = text.Length - text.AsSpan(id.At).TrimStart().Length;
            return leads && next < text.Length && !text.AsSpan(id.At, next - id.At).Contains('\n')
                ? (next, id.Id)
                : (Math.Max(0, text.AsSpan(0, id.At).TrimEnd().Length - 1), id.Id);
        });
    }

    /// <summary>True when the line begins with the id that stood here.</summary>
    private static bool Leads(string text, int start, int at)
    {
        var line = text.AsSpan(start);
        line = line.IndexOf('\n') is var end and >= 0 ? line[..end] : line;
        var marker = Sentences.MarkerLength(line.TrimStart());
        var before = line[..(at - start)];
        return marker == 0 ? before.IsWhiteSpace() : before.TrimStart().Length <= marker;
    }

    private static List<Claim> Values(string json)
    {
        var values = new List<Claim>();
        try
        {
            Collect(JsonElement.Parse(json), values);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or ArgumentException)
        {
            return Claims(json); // It was cut, or has half a surrogate pair, and is text as good as any.
        }

        return values;
    }

    private static void Collect(JsonElement element, List<Claim> values)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var member in element.EnumerateObject())
                {
                    Collect(member.Value, values);
                }

                break;
            case JsonValueKind.Array:
                foreach (var item in element.EnumerateArray())
                {
                    Collect(item, values);
                }

                break;
            case JsonValueKind.String:
                values.AddRange(Claims(element.GetString()!));
                break;
            case JsonValueKind.Number:
                values.Add(new Claim(element.TryGetDecimal(out var value)
                    ? value.ToString(CultureInfo.InvariantCulture)
                    : element.GetRawText(), []));
                break;
            default:
                break; // true, false and null say nothing that could be looked up.
        }
    }

    private HashSet<string> TermsOf(ReadOnlySpan<char> text)
    {
        // 1,450 and 1450 are one number, and so are 9.50, 9.5 and 9,5; no number is two.
        var terms = new List<string>();
        var numbers = Decimals().Replace(Thousands().Replace(text.ToString(), ""), static number =>
            number.Groups["part"].Value.TrimEnd('0') is { Length: > 0 } part
                ? $"{number.Groups["whole"].Value}d{part}"
                : number.Groups["whole"].Value);
        _reader.Read(numbers, terms);
        return [.. terms.Where(static term => !StopWords.Contains(term))];
    }

    /// <param name="Text">Of one statement.</param>
    /// <param name="Ids">Of the chunks that are named for it.</param>
    private sealed record Claim(string Text, HashSet<string> Ids);

    private sealed record Source(
        SourceContent Chunk, HashSet<string> Terms, IReadOnlyList<(int Start, int Length, HashSet<string> Terms)> Parts)
    {
        internal bool Supports(HashSet<string> claim) => claim.Count(Terms.Contains) >= SupportMin * claim.Count
            && claim.All(term => Terms.Contains(term) || !term.AsSpan().ContainsAnyInRange('0', '9'));

        /// <summary>The sentence with most of the claim's words; null when none has half of them.</summary>
        internal (double Weight, SupportingQuote? Quote) QuoteFor(HashSet<string> claim)
        {
            var (start, length, terms) = Parts.MaxBy(part => claim.Count(part.Terms.Contains));
            var weight = claim.Count(terms.Contains);
            if (2 * weight < claim.Count)
            {
                return (0, null);
            }

            var text = Chunk.Text.AsSpan(start, length);
            var inset = length - text.TrimStart().Length;
            return (weight, new SupportingQuote(Chunk.ChunkId, start + inset, text.Trim().ToString()));
        }
    }

    [GeneratedRegex("(?<=[0-9])[,.](?=[0-9]{3}(?![0-9]))")]
    private static partial Regex Thousands();

    // Of three or more with a point or comma between them it is a version, a date or a list.
    [GeneratedRegex("(?<![0-9.,])(?<whole>[0-9]{1,30})[.,](?<part>[0-9]{1,30})(?![0-9]|[.,][0-9])")]
    private static partial Regex Decimals();

    [GeneratedRegex("""[ ]{0,8}[\[(【]?[ ]{0,8}chk_[0-9A-Z]{26}(?:[ ,;]{1,8}chk_[0-9A-Z]{26})*(?:[ ]{0,8}[\])】])?""",
        RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Marker();

    [GeneratedRegex("chk_[0-9A-Z]{26}", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Id();
}
