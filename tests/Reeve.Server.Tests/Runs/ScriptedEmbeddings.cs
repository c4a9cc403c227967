using System.Collections.Concurrent;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Reeve.Server.Inference;
using Reeve.Server.Privacy;

namespace Reeve.Server.Tests.Runs;

/// <summary>
/// A model for embeddings whose vectors follow from the text alone; it fails or waits as a test says.
/// </summary>
internal sealed class ScriptedEmbeddings : IEmbeddingGenerator<string, Embedding<float>>
{
    internal const int Length = 4;

    /// <summary>What it was asked, one list a request.</summary>
    internal ConcurrentQueue<IReadOnlyList<string>> Asked { get; } = new();

    /// <summary>Texts of a request; more are asked for one after the other.</summary>
    internal int TextsMax { get; set; } = 2_048;

    /// <summary>Tokens that it reports; null: none.</summary>
    internal long? Tokens { get; set; } = 5;

    internal ProviderException? Fault { get; set; }

    internal Task Gate { get; set; } = Task.CompletedTask;

    /// <summary>True: whatever length is asked for, it makes its own.</summary>
    internal bool IgnoresDimensions { get; set; }

    internal static Model Model(string provider = "house-e", decimal input = 20, bool anyLength = true) => new()
    {
        Id = "mesh/house-e",
        Provider = provider,
        Upstream = "e",
        ContextTokens = 8_191,
        OutputTokensMax = 0,
        InputUsdPerMillion = input,
        OutputUsdPerMillion = 0,
        Dimensions = Length,
        Capabilities = new HashSet<string>(anyLength ? Capabilities.EmbeddingWords : [Capabilities.Embeddings]),
    };

    internal static float[] Vector(string text, int length = Length) =>
        [.. Enumerable.Range(0, length).Select(at => (text.Sum(static one => one) + at) / 10f)];

    internal void AddTo(WebApplicationBuilder builder, Model? model = null, PrivacyMarks? marks = null) =>
        builder.Services.AddSingleton(new EmbeddingEntry(model ?? Model(), this, marks ?? PrivacyMarks.Nothing));

    public async Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(
        IEnumerable<string> values, EmbeddingGenerationOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        var texts = new List<string>();
        foreach (var batch in values.Chunk(TextsMax))
        {
            texts.AddRange(batch);
            Asked.Enqueue(batch);
            await Gate.WaitAsync(cancellationToken);
        }

        if (Fault is not null)
        {
            throw Fault;
        }

        var length = IgnoresDimensions ? Length : options?.Dimensions ?? Length;
        return new GeneratedEmbeddings<Embedding<float>>(
            texts.Select(text => new Embedding<float>(Vector(text, length))))
        {
            Usage = Tokens is null ? null : new UsageDetails { InputTokenCount = Tokens, TotalTokenCount = Tokens },
        };
    }

    public object? GetService(Type serviceType, object? serviceKey = null) => null;

    public void Dispose()
    {
    }
}
