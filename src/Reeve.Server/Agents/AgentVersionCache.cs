using System.Collections.Concurrent;

namespace Reeve.Server.Agents;

/// <summary>
/// Versions by what they hold. The hash of the config is part of the key, so that a version that was read inside a
/// transaction which was rolled back later can never stand in for the one that took its number.
/// </summary>
/// <remarks>Two generations bound it: a full younger one becomes the older, and that one is dropped.</remarks>
internal sealed class AgentVersionCache(long charactersMax = AgentVersionCache.CharactersMaxDefault)
{
    internal const long CharactersMaxDefault = 32L << 20;

    private readonly Lock _lock = new();
    private ConcurrentDictionary<AgentVersionKey, Entry> _young = new();
    private ConcurrentDictionary<AgentVersionKey, Entry> _old = new();
    private long _characters;

    internal AgentVersion? Find(AgentVersionKey key)
    {
        if (_young.TryGetValue(key, out var entry))
        {
            return entry.Version;
        }

        if (_old.TryGetValue(key, out entry))
        {
            Add(key, entry.Version, entry.Characters);
            return entry.Version;
        }

        return null;
    }

    internal void Add(AgentVersionKey key, AgentVersion version, int characters)
    {
        lock (_lock)
        {
            _characters += characters;
            if (_characters > charactersMax)
            {
                _characters = characters;
                _old = _young;
                _young = new ConcurrentDictionary<AgentVersionKey, Entry>();
            }

            _young[key] = new Entry(version, characters);
        }
    }

    private readonly record struct Entry(AgentVersion Version, int Characters);
}

internal readonly record struct AgentVersionKey(string AccountId, string AgentId, int Version, string Sha256);
