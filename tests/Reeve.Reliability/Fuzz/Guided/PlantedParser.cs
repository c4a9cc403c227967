using System.Buffers.Binary;
using Reeve.Reliability.Fuzz.ParserFuzz;

namespace Reeve.Reliability.Fuzz.Guided;

/// <summary>A parser with a bug that no lucky change reaches: every byte before it has to be the right one.</summary>
internal static class PlantedParser
{
    internal static readonly FuzzTarget Target = new(
        "planted", 1, static bytes => Read(bytes.Span), static error => error is FormatException, "hello", "a value");

    private static void Read(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < 4)
        {
            throw new FormatException("It is too short.");
        }

        if (bytes[0] == 'R' && bytes[1] == 0xC3 && bytes[2] == '!' && bytes[3] == 0x7E)
        {
            _ = BinaryPrimitives.ReadInt32LittleEndian(bytes[4..]); // There may be less than four more.
        }
    }
}
