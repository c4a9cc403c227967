using System.Globalization;
using Reeve.Server.Http;

namespace Reeve.Server.Apis;

/// <summary>
/// Where a reader left a stream: <c>starting_after</c> in the query, else the <c>Last-Event-ID</c> header.
/// </summary>
internal static class StreamCursor
{
    internal const long Max = 1L << 53;

    internal static long Read(HttpContext context)
    {
        var query = new RequestQuery(context, "starting_after");
        if (query.Integer("starting_after", 0, Max) is { } after)
        {
            return after;
        }

        if (!context.Request.Headers.TryGetValue("Last-Event-ID", out var values))
        {
            return 0;
        }

        return values.Count == 1
            && long.TryParse(values.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var id)
            && id <= Max
            ? id
            : throw ApiException.Invalid($"Last-Event-ID must be an integer from 0 to {Max}.", "Last-Event-ID");
    }
}
