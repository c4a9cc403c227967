using System.Security.Cryptography;
using System.Text;

namespace Reeve.Reliability.Privacy;

/// <summary>Where bytes come to rest or are shown.</summary>
[Flags]
internal enum Sinks
{
    None = 0,

    /// <summary>What the server writes for people and programs, at its finest level, and what commands print.</summary>
    Log = 1,

    /// <summary>Answers that say no.</summary>
    Error = 2,

    /// <summary>Answers and streams for the account whose content it is.</summary>
    Answer = 4,

    /// <summary>Answers to another account.</summary>
    Others = 8,

    /// <summary>What operators and accountants read: logs of requests, usage, receipts, states of providers.</summary>
    Export = 16,

    /// <summary>What the address of a webhook is sent, headers too.</summary>
    Webhook = 32,

    /// <summary>What a provider is sent, address and headers too.</summary>
    Provider = 64,

    /// <summary>Every file of the data folder.</summary>
    Folder = 128,
}

/// <summary>
/// Secrets that are planted, each with the sinks where it may be found. To try another one, plant it with
/// <see cref="New"/> or <see cref="Add(string, string, Sinks)"/> and take the sink out of those it may be in.
/// </summary>
internal sealed class Canaries
{
    /// <summary>Content of an account: its own, and stored as it is.</summary>
    internal const Sinks Content = Sinks.Answer | Sinks.Webhook | Sinks.Provider | Sinks.Folder;

    private readonly List<(string Name, string[] Texts, Sinks Allowed)> _planted = [];
    private readonly HashSet<string> _problems = [];
    private long _bytes;

    internal IReadOnlyCollection<string> Problems => _problems;

    internal int Count => _planted.Count;

    internal long Bytes => _bytes;

    internal int Searches { get; private set; }

    /// <summary>Makes a secret that no other text has in it: lower-case letters and digits.</summary>
    internal string New(string name, Sinks allowed = Sinks.None)
    {
        var text = $"zq{RandomNumberGenerator.GetHexString(32, lowercase: true)}";
        Add(name, text, allowed);
        return text;
    }

    internal void Add(string name, string text, Sinks allowed = Sinks.None) =>
        Add(name, Encoding.UTF8.GetBytes(text), allowed);

    /// <summary>Bytes are looked for as they are, in hex and in base64.</summary>
    internal void Add(string name, byte[] bytes, Sinks allowed = Sinks.None)
    {
        lock (_planted)
        {
            _planted.Add((name,
                [
                    Encoding.Latin1.GetString(bytes).ToLowerInvariant(), Convert.ToHexStringLower(bytes),
                    Convert.ToBase64String(bytes).TrimEnd('=').ToLowerInvariant()[..^1],
                ], allowed));
        }
    }

    internal void Search(Sinks sink, string where, string text) => Search(sink, where, Encoding.UTF8.GetBytes(text));

    internal void Search(Sinks sink, string where, ReadOnlySpan<byte> bytes)
    {
        var text = Encoding.Latin1.GetString(bytes).ToLowerInvariant();
        lock (_planted)
        {
            Searches++;
            _bytes += bytes.Length;
            foreach (var (name, texts, allowed) in _planted)
            {
                if (!allowed.HasFlag(sink) && Array.Find(texts,
                    one => text.Contains(one, StringComparison.Ordinal)) is { } found)
                {
                    var at = text.IndexOf(found, StringComparison.Ordinal);
                    _problems.Add($"{name} is in {where} ({sink}): "
                        + text[Math.Max(0, at - 60)..Math.Min(text.Length, at + found.Length + 40)]);
                }
            }
        }
    }
}
