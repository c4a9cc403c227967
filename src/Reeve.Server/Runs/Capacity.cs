using Reeve.Server.Http;

namespace Reeve.Server.Runs;

/// <summary>
/// How much one node does at once (docs/configuration.md, <c>limits</c>). What finds no room is refused at the door,
/// before it has cost anything: a node that takes in more than it can do serves nobody.
/// </summary>
internal sealed class Capacity(ReeveOptions options)
{
    /// <summary>Runs that are open, whatever they wait for.</summary>
    internal Places Runs { get; } = new(options.Limits.RunsMax, "runs as it takes");

    /// <summary>Streams that are being sent; several may follow one run.</summary>
    internal Places Streams { get; } = new(options.Limits.StreamsMax, "streams as it sends");

    /// <summary>
    /// KiB of the chats and embeddings that are answered: each takes about ten times as much memory until it ends, and
    /// with images it is large.
    /// </summary>
    internal Places ChatKibibytes { get; } = new(
        Kibibytes(Math.Max(options.Limits.ChatBytesOpenMax, options.Limits.ChatBytesMax)), "KiB of chats as it takes");

    /// <summary>Room for a body of so many bytes; one that does not say how long it is counts as the longest.</summary>
    /// <exception cref="ApiException">503: there is none.</exception>
    internal TakenPlaces TakeChat(long? contentLength) => ChatKibibytes.Take(
        Kibibytes(Math.Min(contentLength ?? long.MaxValue, options.Limits.ChatBytesMax)));

    private static int Kibibytes(long bytes) => (int)((bytes + 1023) / 1024);
}

/// <summary>A bounded number of places.</summary>
internal sealed class Places(int max, string what)
{
    /// <summary>
    /// Those who are sent away in a row are told different times, so that they do not come back together.
    /// </summary>
    private const int RetryAfterSecondsMax = 5;

    private int _taken;
    private int _refusals;

    internal int Taken => Volatile.Read(ref _taken);

    internal int Refusals => Volatile.Read(ref _refusals);

    /// <summary>Takes a place.</summary>
    /// <exception cref="ApiException">503: there is none.</exception>
    internal void Enter() => Enter(1);

    private void Enter(int places)
    {
        if (Interlocked.Add(ref _taken, places) > max)
        {
            Leave(places);
            throw Full();
        }
    }

    /// <summary>Takes several places; the caller gives them back by disposal.</summary>
    /// <exception cref="ApiException">503: there are not so many.</exception>
    internal TakenPlaces Take(int places)
    {
        Enter(places);
        return new TakenPlaces(this, places);
    }

    /// <summary>Takes a place even when there is none: for what was let in before the process began.</summary>
    internal void EnterAnyway() => Interlocked.Increment(ref _taken);

    internal void Leave(int places = 1) => Interlocked.Add(ref _taken, -places);

    internal void RefuseWhenFull()
    {
        if (Taken >= max)
        {
            throw Full();
        }
    }

    private ApiException Full() =>
        new(ApiErrorCodes.Unavailable, $"The server has as many {what} at once; try again later.")
        {
            RetryAfterSeconds = 1 + (int)((uint)Interlocked.Increment(ref _refusals) % RetryAfterSecondsMax),
        };
}

/// <summary>Places that are given back by disposal.</summary>
internal readonly struct TakenPlaces(Places from, int places) : IDisposable
{
    public void Dispose() => from.Leave(places);
}
