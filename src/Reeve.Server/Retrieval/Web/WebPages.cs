using System.Text;
using Reeve.Server.Http;
using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval.Web;

/// <summary>
/// Documents that are pages of the web. A page is fetched before anything is written, so one that cannot be had is the
/// caller's error and no document; fetched again, it takes the place of the old at once, or the old stays.
/// </summary>
internal sealed class WebPages(
    Database database, Documents documents, WebFetcher fetcher, ReeveOptions options, TimeProvider time)
{
    // A page is held whole while it is read.
    private const int FetchesMax = 12;
    private const int FetchesOfAnAccountMax = 4;
    private const int RetryAfterSeconds = 5;

    private readonly Dictionary<string, int> _fetches = new(StringComparer.Ordinal);

    internal async Task<DocumentAddition> AddAsync(
        TenantContext tenant, string agentId, NewDocument added, CancellationToken cancellationToken) =>
        database.Read(session => DocumentStore.FindByUrl(session, tenant, agentId, added.Page!.Url)) is { } present
            ? new DocumentAddition(documents.Get(tenant, present.Id), Created: false)
            : await documents.AddAsync(
                tenant, agentId, await FetchAsync(tenant, added, cancellationToken), cancellationToken);

    /// <summary>Puts a page under the id of a document.</summary>
    internal async Task<Document> ReplaceAsync(
        TenantContext tenant, string id, NewDocument added, CancellationToken cancellationToken)
    {
        RequireOpen(documents.Get(tenant, id));
        return await documents.ReplaceAsync(
            tenant, id, await FetchAsync(tenant, added, cancellationToken), cancellationToken);
    }

    /// <summary>Fetches a document's page again because somebody asks.</summary>
    /// <exception cref="ApiException">The page cannot be had, or the document is no longer of it.</exception>
    internal async Task<Document> RetryAsync(TenantContext tenant, string id, CancellationToken cancellationToken)
    {
        using var place = Enter(tenant);
        return await RefreshAsync(tenant, id, cancellationToken);
    }

    /// <summary>Fetches a document's page again because it is due; however that goes, it is due later then.</summary>
    /// <exception cref="ApiException">The page cannot be had, or the document is no longer of it.</exception>
    internal async Task<Document> RefreshAsync(TenantContext tenant, string id, CancellationToken cancellationToken)
    {
        var document = documents.Get(tenant, id);
        var page = document.Page ?? throw new ApiException(ApiErrorCodes.Conflict, "The document is no web page.");
        FetchedPage fetched;
        try
        {
            // A document that failed has nothing, so its page is wanted whole.
            var asked = document.Status == DocumentStatuses.Ready ? page : new WebPage(page.Url);
            fetched = await fetcher.FetchAsync(asked, BytesMax, cancellationToken);
        }
        catch (WebFetchException error)
        {
            await documents.StampAsync(tenant, id, page, page.Later(Now()));
            throw new ApiException(ApiErrorCodes.Conflict, $"{error.Message} The document stays as it was.");
        }

        var next = (page with { ETag = fetched.ETag, LastModified = fetched.LastModified }).At(Now());
        if (fetched.Bytes is not { } bytes || (document.Status == DocumentStatuses.Ready && document.IsOf(bytes)))
        {
            await documents.StampAsync(tenant, id, page, next);
            return documents.Get(tenant, id);
        }

        try
        {
            return await documents.ReplaceAsync(tenant, id, new NewDocument
            {
                Name = document.Name,
                Bytes = bytes,
                FileName = fetched.FileName,
                Page = next,
            }, cancellationToken, page);
        }
        catch (ApiException error) when (error.Code != ApiErrorCodes.NotFound)
        {
            await documents.StampAsync(tenant, id, page, page.Later(Now()));
            throw new ApiException(ApiErrorCodes.Conflict, $"{error.Message} The document stays as it was.");
        }
    }

    /// <summary>Says that a page is not to be looked at before its next time, whatever came in between.</summary>
    internal async Task PostponeAsync(TenantContext tenant, string id)
    {
        if (documents.Get(tenant, id).Page is { } page)
        {
            await documents.StampAsync(tenant, id, page, page.Later(Now()));
        }
    }

    private int BytesMax => (int)Math.Min(options.Limits.UploadBytesMax, int.MaxValue);

    private async Task<NewDocument> FetchAsync(
        TenantContext tenant, NewDocument added, CancellationToken cancellationToken)
    {
        try
        {
            FetchedPage fetched;
            using (Enter(tenant))
            {
                fetched = await fetcher.FetchAsync(added.Page!, BytesMax, cancellationToken);
            }

            return fetched.Bytes is not { Length: > 0 } bytes
                ? throw ApiException.Invalid("The page is empty.", "url")
                : added with
                {
                    Name = added.Name.Length > 0 ? added.Name : NameOf(fetched, added.Page!),
                    Bytes = bytes,
                    FileName = fetched.FileName,
                    Page = (added.Page! with { ETag = fetched.ETag, LastModified = fetched.LastModified }).At(Now()),
                };
        }
        catch (WebFetchException error)
        {
            throw ApiException.Invalid(error.Message, "url");
        }
    }

    private static string NameOf(FetchedPage fetched, WebPage page)
    {
        var url = new Uri(page.Url);
        var name = fetched.Title ?? (fetched.FileName.Length > 0 && fetched.FileName != "page.html"
            ? fetched.FileName
            : url.Host + url.AbsolutePath.TrimEnd('/'));
        var shown = string.Concat(name.EnumerateRunes().Where(static rune => !Rune.IsControl(rune))
            .Take(Documents.NameCharactersMax));
        return shown.Length > 0 ? shown : url.Host;
    }

    private static void RequireOpen(Document document)
    {
        if (document.IsSealed)
        {
            throw ApiException.Invalid(
                "The document is confidential, and what is confidential is not asked for by its address.", "url");
        }
    }

    /// <summary>Slow sites must not keep everybody's places.</summary>
    private Place Enter(TenantContext tenant)
    {
        lock (_fetches)
        {
            var own = _fetches.GetValueOrDefault(tenant.AccountId);
            if (own >= FetchesOfAnAccountMax || _fetches.Values.Sum() >= FetchesMax)
            {
                throw new ApiException(ApiErrorCodes.RateLimited,
                    "Too many web pages are being fetched; try again in a moment.")
                {
                    RetryAfterSeconds = RetryAfterSeconds,
                };
            }

            _fetches[tenant.AccountId] = own + 1;
            return new Place(this, tenant.AccountId);
        }
    }

    private DateTimeOffset Now() =>
        DateTimeOffset.FromUnixTimeMilliseconds(time.GetUtcNow().ToUnixTimeMilliseconds());

    private sealed class Place(WebPages pages, string accountId) : IDisposable
    {
        public void Dispose()
        {
            lock (pages._fetches)
            {
                if (--pages._fetches[accountId] == 0)
                {
                    pages._fetches.Remove(accountId);
                }
            }
        }
    }
}
