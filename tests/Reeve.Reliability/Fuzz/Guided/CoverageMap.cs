using System.Numerics;
using System.Reflection;
using System.Runtime.InteropServices;

namespace Reeve.Reliability.Fuzz.Guided;

/// <summary>
/// What instrumented code writes down while it runs: for each pair of branches taken one after the other (an edge) how
/// often that was, in one byte that wraps. The form is that of AFL (technical details, "Coverage measurements"). To be
/// made before the first instrumented line runs, and once in a process.
/// </summary>
internal sealed unsafe class CoverageMap
{
    private const int Size = 1 << 16;

    private static readonly object None = 0;

    // Never freed: instrumented code writes here until the process ends.
    private readonly byte* _counts = (byte*)NativeMemory.AllocZeroed(Size);
    private readonly byte[] _seen = new byte[Size];
    private readonly FieldInfo _previous;

    internal CoverageMap()
    {
        // By its name, since an assembly that refers to it passes for instrumented, and a test instruments this one.
        var trace = Type.GetType("SharpFuzz.Common.Trace, SharpFuzz.Common", throwOnError: true)!;
        trace.GetField("SharedMem")!.SetValue(null, Pointer.Box(_counts, typeof(byte*)));
        _previous = trace.GetField("PrevLocation")!;
    }

    /// <summary>How many edges were seen in all runs.</summary>
    internal int Edges { get; private set; }

    /// <summary>The same number for two runs: they took the same edges about as often.</summary>
    internal ulong Path { get; private set; }

    internal void Clear()
    {
        new Span<byte>(_counts, Size).Clear();
        _previous.SetValue(null, None);
    }

    /// <summary>
    /// Adds the run since <see cref="Clear"/>. True: it took an edge that no run took before, or took one so much more
    /// often (1, 2, 3, from 4, 8, 16, 32, 64 on) as none did.
    /// </summary>
    internal bool Add()
    {
        var isNew = false;
        Path = 0;
        var eights = new ReadOnlySpan<ulong>(_counts, Size / sizeof(ulong));
        for (var i = 0; i < eights.Length; i++)
        {
            if (eights[i] == 0)
            {
                continue;
            }

            for (var at = i * sizeof(ulong); at < (i + 1) * sizeof(ulong); at++)
            {
                isNew |= _counts[at] > 0 && Add(at, _counts[at]);
            }
        }

        return isNew;
    }

    private bool Add(int at, int count)
    {
        var bit = (byte)(1 << Math.Min(7, count < 4 ? count - 1 : BitOperations.Log2((uint)count) + 1));
        Path = (Path ^ ((ulong)at << 8) ^ bit) * 0x9E3779B97F4A7C15;
        if ((_seen[at] & bit) != 0)
        {
            return false;
        }

        Edges += _seen[at] == 0 ? 1 : 0;
        _seen[at] |= bit;
        return true;
    }
}
