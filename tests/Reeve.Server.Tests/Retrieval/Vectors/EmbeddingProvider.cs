using System.Collections.Concurrent;
using Microsoft.AspNetCore.Http;
using Reeve.Server.Inference;
using Reeve.Server.Tests.Inference;

namespace Reeve.Server.Tests.Retrieval.Vectors;

/// <summary>A provider of embeddings over HTTP, with the vectors of <see cref="TinyModel"/>.</summary>
internal sealed class EmbeddingProvider : IAsyncDisposable
{
    internal const string Model = "mesh/house-e";

    private LoopbackProvider _provider = null!;

    /// <summary>All texts that reached it.</summary>
    internal ConcurrentQueue<string> Texts { get; } = new();

    /// <summary>What it answers with; 200 is well.</summary>
    internal int Status { get; set; } = 200;

    /// <summary>Decides about a request by its texts; null answers it.</summary>
    internal Func<IReadOnlyList<string>, Task<int>>? Judge { get; set; }

    internal static async Task<EmbeddingProvider> StartAsync()
    {
        var provider = new EmbeddingProvider();
        provider._provider = await LoopbackProvider.StartAsync(provider.AnswerAsync);
        return provider;
    }

    internal ReeveOptions Configure(ReeveOptions options, bool isOperatorRun = false) => options with
    {
        Retrieval = options.Retrieval with { Embeddings = Model },
        Inference = new InferenceOptions
        {
            Providers =
            [
                new ProviderOptions
                {
                    Name = "house",
                    Kind = ProviderKinds.OpenAI,
                    BaseUrl = new Uri(_provider.Address, "v1"),
                    ZeroRetention = true,
                    OperatorRun = isOperatorRun,
                    Models =
                    [
                        new Model
                        {
                            Id = Model,
                            Provider = "house",
                            Upstream = "house-e",
                            ContextTokens = 8_191,
                            OutputTokensMax = 0,
                            InputUsdPerMillion = 1,
                            OutputUsdPerMillion = 0,
                            Capabilities = new HashSet<string>([Capabilities.Embeddings]),
                        },
                    ],
                },
            ],
        },
    };

    public ValueTask DisposeAsync() => _provider.DisposeAsync();

    private async Task AnswerAsync(HttpContext context, int number)
    {
        List<string> texts;
        lock (_provider.Bodies)
        {
            texts = [.. _provider.Bodies[number - 1].GetProperty("input").EnumerateArray()
                .Select(static text => text.GetString()!)];
        }

        texts.ForEach(Texts.Enqueue);
        var status = Judge is null ? Status : await Judge(texts);
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync(status != 200 ? "{}" : "{\"data\":["
            + string.Join(',', texts.Select(static text =>
                $"{{\"embedding\":{Numbers(text)}}}")) + "]}");
    }

    // What it knows no word of has a vector of its own, far from all others.
    private static string Numbers(string text) => "[" + string.Join(',', TinyModel.Vector(text)) + "]";
}
