namespace Reeve.Server.Retrieval.Web;

/// <summary>The page that a document was fetched from.</summary>
internal sealed record WebPage(string Url)
{
    /// <summary>It is fetched again so long after a fetch; null: only when somebody asks.</summary>
    internal int? RefreshSeconds { get; init; }

    /// <summary>What the site gave to ask whether the page has changed (RFC 9110, 8.8).</summary>
    internal string? ETag { get; init; }

    /// <inheritdoc cref="ETag"/>
    internal string? LastModified { get; init; }

    /// <summary>When the page was last found, changed or not.</summary>
    internal DateTimeOffset FetchedAt { get; init; }

    /// <summary>When it is due; null: not by itself.</summary>
    internal DateTimeOffset? FetchAt { get; init; }

    /// <summary>The page after a fetch at this time.</summary>
    internal WebPage At(DateTimeOffset now) => this with { FetchedAt = now, FetchAt = Next(now) };

    /// <summary>The page after a fetch that failed at this time.</summary>
    internal WebPage Later(DateTimeOffset now) => this with { FetchAt = Next(now) };

    private DateTimeOffset? Next(DateTimeOffset now) => RefreshSeconds is { } seconds ? now.AddSeconds(seconds) : null;
}
