namespace Reeve.Server.Http;

/// <summary>Where a page of a list begins and how long it may be (wire-mesh 1.7).</summary>
internal readonly record struct PageQuery(int Limit, string? After)
{
    internal const int LimitDefault = 20;
    internal const int LimitMax = 100;

    /// <summary>The list's own query names together with those of a filter, for <see cref="RequestQuery"/>.</summary>
    internal static PageQuery Read(RequestQuery query, string idPrefix)
    {
        var limit = (int)(query.Integer("limit", 1, LimitMax) ?? LimitDefault);
        if (query.Text("after") is not { } after)
        {
            return new PageQuery(limit, null);
        }

        return Id.TryParse(idPrefix, after, out var id)
            ? new PageQuery(limit, id)
            : throw ApiException.Invalid($"after must be the next_cursor of an earlier page ({idPrefix}_…).", "after");
    }
}

/// <summary>One page of a list, as it stands on the wire. Stores fetch one item more than the limit.</summary>
internal sealed record Page<T>(IReadOnlyList<T> Data, bool HasMore, string? NextCursor)
{
    internal static Page<T> Of(IReadOnlyList<T> fetched, int limit, Func<T, string> idOf)
    {
        var hasMore = fetched.Count > limit;
        var data = hasMore ? fetched.Take(limit).ToList() : fetched;
        return new Page<T>(data, hasMore, hasMore ? idOf(data[^1]) : null);
    }

    internal Page<TOut> Map<TOut>(Func<T, TOut> map) => new([.. Data.Select(map)], HasMore, NextCursor);
}
