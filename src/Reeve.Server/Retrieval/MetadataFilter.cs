using System.Text.Json;
using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval;

/// <summary>
/// Tells documents whose metadata has every member of the filter. It is asked of every document that a query meets, so
/// each is read once, and equal metadata are compared once.
/// </summary>
internal sealed class MetadataFilter(DbSession session, TenantContext tenant, JsonElement wanted)
{
    private readonly Dictionary<long, bool> _documents = [];
    private readonly Dictionary<string, bool> _texts = new(StringComparer.Ordinal);

    internal bool Fits(long document)
    {
        if (!_documents.TryGetValue(document, out var fits))
        {
            _documents.Add(document, fits = DocumentStore.MetadataOf(session, tenant, document) is { } text
                && FitsText(text));
        }

        return fits;
    }

    private bool FitsText(string text)
    {
        if (!_texts.TryGetValue(text, out var fits))
        {
            var metadata = JsonElement.Parse(text);
            _texts.Add(text, fits = wanted.EnumerateObject().All(member =>
                metadata.TryGetProperty(member.Name, out var held) && JsonElement.DeepEquals(held, member.Value)));
        }

        return fits;
    }
}
