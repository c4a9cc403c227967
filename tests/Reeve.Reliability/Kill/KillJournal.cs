using System.Collections.Concurrent;
using Reeve.Reliability.Load;

namespace Reeve.Reliability.Kill;

/// <summary>What a violation is about; the scoreboard counts each kind by itself.</summary>
internal enum KillFault
{
    /// <summary>Something acknowledged does not exist.</summary>
    Lost,

    /// <summary>Credits are doubled, missing, or held by nobody.</summary>
    Money,

    /// <summary>Bytes that were sent are not those that come again.</summary>
    Changed,

    /// <summary>A run does not end.</summary>
    Stuck,

    /// <summary>An answer that no client should get, or an invariant that the verifier names.</summary>
    Wrong,
}

/// <summary>
/// All that the clients know for certain: what was acknowledged, and what they saw. The checker holds it against the
/// server.
/// </summary>
internal sealed class KillJournal
{
    private readonly ConcurrentQueue<(KillFault Fault, string Text)> _problems = new();
    private int _unknown;

    /// <summary>The cycle that goes on, for the text of problems.</summary>
    internal int Cycle { get; set; }

    /// <summary>Acknowledged runs with the last status that was seen, null while none was final.</summary>
    internal ConcurrentDictionary<string, string?> Runs { get; } = new(StringComparer.Ordinal);

    /// <summary>The run of each idempotency key.</summary>
    internal ConcurrentDictionary<string, string> Keys { get; } = new(StringComparer.Ordinal);

    /// <summary>Streams with what their readers saw, whole or not.</summary>
    internal ConcurrentQueue<StreamClient> Streams { get; } = new();

    /// <summary>Streams that are being read, by the operation that reads them.</summary>
    internal ConcurrentDictionary<string, StreamClient> Reading { get; } = new(StringComparer.Ordinal);

    /// <summary>How often a top-up was sent and acknowledged, by its note.</summary>
    internal ConcurrentDictionary<string, (int Sent, int Acknowledged)> TopUps { get; } = new(StringComparer.Ordinal);

    internal ConcurrentDictionary<string, byte> Documents { get; } = new(StringComparer.Ordinal);

    /// <summary>Requests of which nobody knows what became of them.</summary>
    internal int Unknown => _unknown;

    internal int Resumes;

    /// <summary>Runs that the server gave up, having failed on them again and again.</summary>
    internal int Poisoned { get; set; }

    internal IReadOnlyCollection<(KillFault Fault, string Text)> Problems => _problems;

    internal void Report(KillFault fault, string text) => _problems.Enqueue((fault, $"cycle {Cycle}: {text}"));

    internal void CountUnknown() => Interlocked.Increment(ref _unknown);

    internal void Acknowledge(string run, string? key = null, string? status = null)
    {
        Runs.AddOrUpdate(run, status, (_, old) =>
        {
            if (old is not null && status is not null && old != status)
            {
                Report(KillFault.Changed, $"{run} was {old} and is {status}");
            }

            return status ?? old;
        });
        if (key is not null && Keys.GetOrAdd(key, run) is var first && first != run)
        {
            Report(KillFault.Money, $"key {key} has two runs, {first} and {run}");
        }
    }
}

/// <summary>Lets clients through one operation at a time, and can be closed until all have come out.</summary>
internal sealed class Turnstile
{
    private readonly Lock _lock = new();
    private TaskCompletionSource? _closed;
    private TaskCompletionSource? _empty;
    private readonly HashSet<string> _inside = new(StringComparer.Ordinal);

    /// <summary>Who is inside now, for the text of problems.</summary>
    internal string Inside
    {
        get
        {
            lock (_lock)
            {
                return string.Join(", ", _inside);
            }
        }
    }

    internal async Task EnterAsync(string name, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task wait;
            lock (_lock)
            {
                if (_closed is null)
                {
                    _inside.Add(name);
                    return;
                }

                wait = _closed.Task;
            }

            await wait.WaitAsync(cancellationToken);
        }
    }

    internal void Leave(string name)
    {
        lock (_lock)
        {
            _inside.Remove(name);
            if (_inside.Count == 0)
            {
                _empty?.TrySetResult();
            }
        }
    }

    /// <summary>Completes when nobody is inside any more.</summary>
    internal Task CloseAsync()
    {
        lock (_lock)
        {
            _closed ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _empty = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            if (_inside.Count == 0)
            {
                _empty.SetResult();
            }

            return _empty.Task;
        }
    }

    internal void Open()
    {
        lock (_lock)
        {
            _closed?.SetResult();
            _closed = null;
        }
    }
}
