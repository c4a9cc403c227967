using System.Buffers.Binary;
using Reeve.Server.Inference;

namespace Reeve.Server.Runs;

/// <summary>
/// A run that turns its caller's texts into vectors. Neither is kept: the log has their hashes, and the vectors are
/// handed to the caller who waits for them.
/// </summary>
internal sealed record EmbeddingRequest
{
    /// <summary>What a provider may add to each text.</summary>
    private const int TextTokens = 4;

    /// <summary>A model for embeddings, or the tier that stands for one.</summary>
    internal required string Model { get; init; }

    internal required IReadOnlyList<string> Texts { get; init; }

    /// <summary>Numbers in a vector; null: as many as the model makes.</summary>
    internal int? Dimensions { get; init; }

    /// <summary>What the log keeps of the request.</summary>
    internal required EmbeddingAdmitted Admitted { get; init; }

    /// <summary>Of the texts, for the hold.</summary>
    internal required int Tokens { get; init; }

    /// <summary>What a model must be able to do for it.</summary>
    internal IEnumerable<string> Needs => Dimensions is null
        ? [Capabilities.Embeddings]
        : [Capabilities.Embeddings, Capabilities.Dimensions];

    /// <summary>One for each text, in their order; set before the run says that it is completed.</summary>
    internal IReadOnlyList<ReadOnlyMemory<float>> Vectors { get; set; } = [];

    internal static int Estimate(IEnumerable<string> texts) =>
        texts.Sum(static text => TextTokens + TokenCounter.Estimate(text));

    /// <summary>A vector as bytes: each number as four, little-endian.</summary>
    internal static byte[] Bytes(ReadOnlyMemory<float> vector)
    {
        var bytes = new byte[vector.Length * sizeof(float)];
        for (var i = 0; i < vector.Length; i++)
        {
            BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(i * sizeof(float)), vector.Span[i]);
        }

        return bytes;
    }
}

/// <summary>The part of a request for embeddings that its log holds.</summary>
internal sealed record EmbeddingAdmitted
{
    public required int Texts { get; init; }

    /// <summary>SHA-256 of the texts as a canonical JSON array, in lower-case hex.</summary>
    public required string TextsSha256 { get; init; }

    public int? Dimensions { get; init; }
}
