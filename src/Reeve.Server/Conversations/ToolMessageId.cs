using System.Buffers.Binary;

namespace Reeve.Server.Conversations;

/// <summary>
/// Ids of tool messages, which have no row: the id of the run's user message plus the number of the call. Ids of one
/// process lie at least a random step of 56 bits apart, so that the sum is nobody else's.
/// </summary>
internal static class ToolMessageId
{
    private const string Alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

    internal static string Of(string userMessageId, int call)
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, Value(userMessageId) + (UInt128)call);
        return Id.Encode(Id.Message, bytes);
    }

    /// <summary>The number of the call, when the id is that of a tool message after the given user message.</summary>
    internal static int? Call(string userMessageId, string id)
    {
        var distance = Value(id) - Value(userMessageId);
        return distance > 0 && distance < int.MaxValue ? (int)distance : null;
    }

    private static UInt128 Value(string id)
    {
        var body = id.AsSpan(id.Length - Id.BodyLength);
        UInt128 value = 0;
        foreach (var character in body[..^1])
        {
            value = (value << 5) | (uint)Alphabet.IndexOf(character, StringComparison.Ordinal);
        }

        return (value << 3) | (uint)(Alphabet.IndexOf(body[^1], StringComparison.Ordinal) >> 2);
    }
}
