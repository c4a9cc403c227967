using System.Text;

namespace Reeve.Reliability.Fuzz.ParserFuzz;

/// <summary>
/// A parser and what it may say of an input: it returns, or throws what it documents. <c>Read</c> throws
/// <see cref="FuzzException"/> where the parser took something that it must not have. <c>Share</c> is its part of 1,000
/// inputs, so that slow parsers get fewer.
/// </summary>
internal sealed record FuzzTarget(
    string Name, int Share, Action<ReadOnlyMemory<byte>> Read, Func<Exception, bool> IsRefusal, params string[] Seeds)
{
    internal IReadOnlyList<byte[]> SeedBytes { get; } = [.. Seeds.Select(Encoding.UTF8.GetBytes)];
}

internal sealed class FuzzException(string message) : Exception(message);
