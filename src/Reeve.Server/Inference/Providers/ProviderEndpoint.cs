namespace Reeve.Server.Inference.Providers;

/// <summary>Where a provider takes calls, and what each of them carries.</summary>
internal sealed class ProviderEndpoint
{
    internal required string Provider { get; init; }

    internal required Uri Uri { get; init; }

    /// <summary>Where a protocol takes streamed calls elsewhere; null where it does not.</summary>
    internal Uri? StreamUri { get; init; }

    /// <summary>Sent with each request; one of them is the credential, so they are in no log and no message.</summary>
    internal required IReadOnlyList<KeyValuePair<string, string>> Headers { get; init; }

    /// <summary>The longest silence, before the first byte and between two; it may change between calls.</summary>
    internal required Func<TimeSpan> SilenceMax { get; init; }
}
