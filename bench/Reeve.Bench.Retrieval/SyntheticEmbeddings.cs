using System.Numerics.Tensors;
using Microsoft.Extensions.AI;
using Reeve.Server.Inference;
using Reeve.Server.Privacy;

namespace Reeve.Bench.Retrieval;

/// <summary>
/// A model whose vectors cost next to nothing: the sum of a random direction for each word, so that texts which share
/// words are near each other.
/// </summary>
internal sealed class SyntheticEmbeddings : IEmbeddingGenerator<string, Embedding<float>>
{
    internal const string Id = "bench/synthetic";
    internal const int Length = 384;

    private readonly Dictionary<string, float[]> _words = new(StringComparer.Ordinal);
    private readonly Lock _lock = new();

    internal static EmbeddingEntry Entry() => new(new Model
    {
        Id = Id,
        Provider = "bench",
        Upstream = "synthetic",
        ContextTokens = 8_192,
        OutputTokensMax = 0,
        InputUsdPerMillion = 0,
        OutputUsdPerMillion = 0,
        Capabilities = new HashSet<string>([Capabilities.Embeddings]),
    }, new SyntheticEmbeddings(), PrivacyMarks.Process);

    public Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(
        IEnumerable<string> values, EmbeddingGenerationOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        lock (_lock)
        {
            return Task.FromResult(new GeneratedEmbeddings<Embedding<float>>(
                values.Select(text => new Embedding<float>(Vector(text))).ToList()));
        }
    }

    public object? GetService(Type serviceType, object? serviceKey = null) => null;

    public void Dispose()
    {
    }

    private float[] Vector(string text)
    {
        var sum = new float[Length];
        foreach (var word in text.Split([' ', '.', '\n'], StringSplitOptions.RemoveEmptyEntries))
        {
            if (!_words.TryGetValue(word, out var direction))
            {
                _words.Add(word, direction = Direction(word));
            }

            TensorPrimitives.Add(sum, direction, sum);
        }

        return sum;
    }

    // Long words are rare ones, and say more.
    private static float[] Direction(string word)
    {
        var state = word.Aggregate(14_695_981_039_346_656_037UL, static (hash, letter) =>
            (hash ^ letter) * 1_099_511_628_211UL);
        var direction = new float[Length];
        for (var i = 0; i < Length; i++)
        {
            state = (state * 6_364_136_223_846_793_005UL) + 1_442_695_040_888_963_407UL;
            direction[i] = (((state >> 40) / (float)(1 << 24)) - 0.5f) * word.Length;
        }

        return direction;
    }
}
