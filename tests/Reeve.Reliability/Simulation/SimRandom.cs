using System.Security.Cryptography;

namespace Reeve.Reliability.Simulation;

/// <summary>The one source of chance in a history (xorshift128+ from a seed by splitmix64).</summary>
internal sealed class SimRandom
{
    private ulong _a;
    private ulong _b;

    internal SimRandom(ulong seed) => (_a, _b) = (Split(ref seed), Split(ref seed));

    internal ulong Next()
    {
        var (x, y) = (_a, _b);
        _a = y;
        x ^= x << 23;
        _b = x ^ y ^ (x >> 17) ^ (y >> 26);
        return _b + y;
    }

    /// <summary>From 0 to <paramref name="bound"/> - 1; 0 for a bound below 1.</summary>
    internal int Below(int bound) => bound < 1 ? 0 : (int)(Next() % (ulong)bound);

    /// <summary>True in <paramref name="percent"/> of 100 cases.</summary>
    internal bool Chance(int percent) => Below(100) < percent;

    internal T Pick<T>(IReadOnlyList<T> from) => from[Below(from.Count)];

    private static ulong Split(ref ulong state)
    {
        var z = state += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}

/// <summary>The random bytes of ids, from the history's seed.</summary>
internal sealed class SimIdBytes(SimRandom random) : RandomNumberGenerator
{
    public override void GetBytes(byte[] data) => GetBytes(data.AsSpan());

    public override void GetBytes(Span<byte> data)
    {
        for (var i = 0; i < data.Length; i++)
        {
            data[i] = (byte)random.Next();
        }
    }
}
