using System.Text;
using Reeve.Server.Inference.Providers.Builtin;
using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval;

/// <summary>Where a term stands in one document, packed by <see cref="PackedPostings"/>.</summary>
internal sealed record Posting(string Term, byte[] Chunks);

/// <summary>What a document adds to its agent's index.</summary>
internal sealed record DocumentPostings(IReadOnlyList<Posting> Terms, long TermCount)
{
    /// <summary>The headings above a chunk are searched as if they stood in it.</summary>
    internal static DocumentPostings Of(IReadOnlyList<ChunkRange> chunks)
    {
        var packed = new Dictionary<string, List<byte>>(StringComparer.Ordinal);
        var counts = new Dictionary<string, int>(StringComparer.Ordinal);
        var terms = new List<string>();
        var reader = new TermReader();
        var total = 0L;
        for (var index = 0; index < chunks.Count; index++)
        {
            terms.Clear();
            reader.Read(chunks[index].Text, terms);
            foreach (var heading in chunks[index].HeadingsAbove)
            {
                reader.Read(heading, terms);
            }

            total += terms.Count;
            counts.Clear();
            foreach (var term in terms)
            {
                counts[term] = counts.GetValueOrDefault(term) + 1;
            }

            foreach (var (term, count) in counts)
            {
                if (!packed.TryGetValue(term, out var bytes))
                {
                    packed.Add(term, bytes = new List<byte>(4));
                }

                PackedPostings.Append(bytes, index);
                PackedPostings.Append(bytes, count);
                PackedPostings.Append(bytes, terms.Count);
            }
        }

        // In the order of the index, so that writing it walks the tree once.
        return new DocumentPostings([.. packed.OrderBy(static entry => entry.Key, StringComparer.Ordinal)
            .Select(static entry => new Posting(entry.Key, [.. entry.Value]))], total);
    }

    /// <summary>The same for an encrypted document: its terms as only the account's key tells them.</summary>
    internal DocumentPostings Blinded(ContentKey key, string agentId) => this with
    {
        Terms = [.. Terms.Select(posting => posting with { Term = key.Blind(agentId, posting.Term) })
            .OrderBy(static posting => posting.Term, StringComparer.Ordinal)],
    };

    internal string TermList()
    {
        var text = new StringBuilder();
        foreach (var posting in Terms)
        {
            text.Append(posting.Term).Append('\n');
        }

        return text.ToString();
    }
}
