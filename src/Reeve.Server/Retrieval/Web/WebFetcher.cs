using System.Buffers;
using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text;
using Reeve.Server.Egress;

namespace Reeve.Server.Retrieval.Web;

/// <summary>A page could not be fetched; the message is a sentence for who asked for it.</summary>
internal sealed class WebFetchException(string message) : Exception(message);

/// <summary>What came of a page: its bytes, text in UTF-8.</summary>
/// <param name="Bytes">Null: it is as it was.</param>
/// <param name="Title">What it calls itself, when it does.</param>
/// <param name="FileName">Tells the type of bytes that do not tell it themselves.</param>
/// <param name="ETag">See <see cref="WebPage.ETag"/>.</param>
/// <param name="LastModified">See <see cref="WebPage.LastModified"/>.</param>
internal sealed record FetchedPage(
    byte[]? Bytes, string? Title, string FileName, string? ETag, string? LastModified);

/// <summary>
/// Fetches pages that accounts name, as a polite robot does: it asks <c>robots.txt</c> of each site first, follows at
/// most three redirects, each through the same guard, and asks only for what has changed.
/// </summary>
internal sealed class WebFetcher(SafeHttp http, EgressOptions options, TimeProvider time)
{
    private const int RedirectsMax = 3;
    private const int SitesRemembered = 100;
    private const int ValidatorCharactersMax = 1_024;
    private static readonly TimeSpan DurationMax = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan RobotsKept = TimeSpan.FromHours(1);

    private static readonly SearchValues<char> CharsetCharacters = SearchValues.Create(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_:.");

    private readonly ConcurrentDictionary<string, (RobotsText Rules, DateTimeOffset Until)> _robots =
        new(StringComparer.OrdinalIgnoreCase);

    /// <param name="page">Its validators are sent along, when it has any.</param>
    /// <param name="bytesMax">More than so many bytes are refused.</param>
    /// <param name="cancellationToken">Ends the fetch.</param>
    /// <exception cref="WebFetchException">Why there is no page.</exception>
    internal async Task<FetchedPage> FetchAsync(WebPage page, int bytesMax, CancellationToken cancellationToken)
    {
        var begun = time.GetTimestamp();
        var url = UrlOf(page.Url);
        for (var hop = 0; hop <= RedirectsMax; hop++)
        {
            await RequireAllowedAsync(url, begun, cancellationToken);
            var answer = await SendAsync(Request(url, page), begun, bytesMax, cancellationToken);
            switch (answer.Status)
            {
                case 200:
                    return Read(url, answer);
                case 304 when page.ETag is not null || page.LastModified is not null:
                    return new FetchedPage(null, null, "", page.ETag, page.LastModified);
                case 301 or 302 or 303 or 307 or 308 when answer.Location is { } location:
                    url = Uri.TryCreate(url, location, out var next)
                        ? UrlOf(next.GetComponents(UriComponents.HttpRequestUrl, UriFormat.UriEscaped))
                        : throw new WebFetchException("The page leads to an address that is none.");
                    break;
                default:
                    throw new WebFetchException(string.Create(
                        CultureInfo.InvariantCulture, $"The page answers with status {answer.Status}."));
            }
        }

        throw new WebFetchException($"The page leads on more than {RedirectsMax} times.");
    }

    private Uri UrlOf(string text) => EgressUrl.TryRead(text, options, out var url, out var problem)
        ? url
        : throw new WebFetchException($"The page leads to an address that is not called: it {problem}.");

    private static HttpRequestMessage Request(Uri url, WebPage page)
    {
        var request = Request(url);
        request.Headers.TryAddWithoutValidation("Accept", "text/html, application/xhtml+xml, text/*;q=0.9, */*;q=0.5");
        if (page.ETag is { } tag)
        {
            request.Headers.TryAddWithoutValidation("If-None-Match", tag);
        }

        if (page.LastModified is { } date)
        {
            request.Headers.TryAddWithoutValidation("If-Modified-Since", date);
        }

        return request;
    }

    private static HttpRequestMessage Request(Uri url)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, url);
        request.Headers.TryAddWithoutValidation("User-Agent", "Reeve/1.0 (compatible; reeve)");
        return request;
    }

    private async Task<EgressAnswer> SendAsync(
        HttpRequestMessage request, long begun, int bytesMax, CancellationToken cancellationToken)
    {
        using (request)
        {
            try
            {
                return await http.SendAsync(request, Left(begun), bytesMax, cancellationToken);
            }
            catch (EgressException error)
            {
                throw new WebFetchException($"The page could not be fetched: {error.Message}");
            }
        }
    }

    /// <summary>Sites that lead from one to the next have no more time together than one alone.</summary>
    private TimeSpan Left(long begun) => DurationMax - time.GetElapsedTime(begun) is { Ticks: > 0 } left
        ? left : throw new WebFetchException("The page took too long to answer.");

    private async Task RequireAllowedAsync(Uri url, long begun, CancellationToken cancellationToken)
    {
        var (site, now) = (url.GetLeftPart(UriPartial.Authority), time.GetUtcNow());
        if (!_robots.TryGetValue(site, out var known) || known.Until <= now)
        {
            if (_robots.Count >= SitesRemembered)
            {
                _robots.Clear();
            }

            known = (await RobotsAsync(new Uri(url, "/robots.txt"), begun, cancellationToken), now + RobotsKept);
            _robots[site] = known;
        }

        if (!known.Rules.Allows(url.PathAndQuery))
        {
            throw new WebFetchException("The site asks robots not to fetch this page (robots.txt).");
        }
    }

    /// <summary>No file: all is allowed. A site that cannot say now: nothing is (RFC 9309, 2.3.1).</summary>
    private async Task<RobotsText> RobotsAsync(Uri url, long begun, CancellationToken cancellationToken)
    {
        try
        {
            for (var hop = 0; hop <= RedirectsMax; hop++)
            {
                using var request = Request(url);
                var answer = await http.SendAsync(request, Left(begun), RobotsText.BytesMax, cancellationToken);
                if (answer.Status is 301 or 302 or 303 or 307 or 308
                    && Uri.TryCreate(url, answer.Location, out var next)
                    && EgressUrl.TryRead(next.AbsoluteUri, options, out var read, out _))
                {
                    url = read;
                    continue;
                }

                return answer.Status is 200 ? RobotsText.Parse(answer.Body.Span)
                    : answer.Status >= 500 ? RobotsText.AllowsNothing
                    : RobotsText.AllowsAll;
            }

            return RobotsText.AllowsAll;
        }
        catch (EgressException error)
        {
            throw new WebFetchException($"The page could not be fetched: {error.Message}");
        }
    }

    private static FetchedPage Read(Uri url, EgressAnswer answer)
    {
        var (type, charset) = ContentType(answer.ContentType);
        var isHtml = type is "text/html" or "application/xhtml+xml";
        var file = Path.GetFileName(url.AbsolutePath);
        var bytes = type.StartsWith("text/", StringComparison.Ordinal) || isHtml
            ? ToUtf8(answer.Body, charset ?? (isHtml ? MetaCharset(answer.Body.Span) : null))
            : answer.Body.ToArray();
        return new FetchedPage(bytes, isHtml ? TitleOf(bytes) : null,
            isHtml ? "page.html" : type == "text/markdown" ? "page.md" : Uri.UnescapeDataString(file),
            Short(answer.ETag), Short(answer.LastModified));
    }

    /// <summary>What can be sent back.</summary>
    private static string? Short(string? validator) => validator?.Length <= ValidatorCharactersMax
        && !validator.AsSpan().ContainsAnyExceptInRange(' ', '~') ? validator : null;

    private static (string Type, string? Charset) ContentType(string? header) =>
        System.Net.Http.Headers.MediaTypeHeaderValue.TryParse(header, out var parsed)
            ? (parsed.MediaType?.ToLowerInvariant() ?? "", parsed.CharSet?.Trim('"'))
            : ("", null);

    /// <summary>What a page says of itself near its beginning, as browsers look for it.</summary>
    private static string? MetaCharset(ReadOnlySpan<byte> page)
    {
        const string Mark = "charset=";
        var head = Encoding.Latin1.GetString(page[..Math.Min(page.Length, 1_024)]);
        var at = head.IndexOf(Mark, StringComparison.OrdinalIgnoreCase);
        if (at < 0)
        {
            return null;
        }

        var name = head.AsSpan(at + Mark.Length).TrimStart(" \"'");
        var end = name.IndexOfAnyExcept(CharsetCharacters);
        return (end < 0 ? name : name[..end]).ToString();
    }

    private static byte[] ToUtf8(ReadOnlyMemory<byte> bytes, string? charset)
    {
        if (charset is null || charset.Equals("utf-8", StringComparison.OrdinalIgnoreCase))
        {
            return bytes.ToArray();
        }

        try
        {
            var encoding = CodePagesEncodingProvider.Instance.GetEncoding(charset) ?? Encoding.GetEncoding(charset);
            return Encoding.UTF8.GetBytes(encoding.GetString(bytes.Span));
        }
        catch (Exception error) when (error is ArgumentException or NotSupportedException)
        {
            return bytes.ToArray(); // Nobody reads it in that: it is UTF-8, or refused as none.
        }
    }

    private static string? TitleOf(byte[] page)
    {
        const int HeadBytes = 64 * 1024;
        var head = Encoding.UTF8.GetString(page.AsSpan(0, Math.Min(page.Length, HeadBytes)));
        var open = head.IndexOf("<title", StringComparison.OrdinalIgnoreCase);
        var start = open < 0 ? -1 : head.IndexOf('>', open);
        var end = start < 0 ? -1 : head.IndexOf("</title", start, StringComparison.OrdinalIgnoreCase);
        if (end < 0)
        {
            return null;
        }

        var words = WebUtility.HtmlDecode(head[(start + 1)..end])
            .Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        return words.Length == 0 ? null : string.Join(' ', words);
    }
}
