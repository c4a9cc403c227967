using Microsoft.AspNetCore.Http;
using Reeve.Server.Inference;
using Reeve.Server.Tests.Inference;
using Reeve.Server.Tests.Runs;

namespace Reeve.Server.Tests.Chat;

/// <summary>More texts than a request may have go to the provider in several, of which a later one fails.</summary>
public sealed class EmbeddingLossTests
{
    private const int TextsMax = 256;
    private const int Texts = 300;

    private static readonly string[] Providers = ["first", "second"];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task LaterBatch_Fails_WhatWasAnsweredBeforeIsTheOperatorsLossOnce(bool hasAnother)
    {
        // Whoever of the two is asked first fails in its second request.
        var asked = 0;
        Task NextAsync(HttpContext context) => AnswerAsync(context, Interlocked.Increment(ref asked) switch
        {
            1 or 3 => TextsMax,
            2 => null,
            _ => Texts - TextsMax,
        });
        await using var first = await LoopbackProvider.StartAsync((context, _) => NextAsync(context));
        await using var second = await LoopbackProvider.StartAsync((context, _) => NextAsync(context));
        await using var server = await TestServer.StartAsync(options => options with
        {
            Inference = new InferenceOptions
            {
                Providers = [.. new[] { first, second }.Take(hasAnother ? 2 : 1).Select(static (provider, at) =>
                    new ProviderOptions
                    {
                        Name = Providers[at],
                        Kind = ProviderKinds.OpenAI,
                        BaseUrl = new Uri(provider.Address, "v1"),
                        Models = [ScriptedEmbeddings.Model(Providers[at])],
                    })],
            },
        });
        var texts = string.Join(',', Enumerable.Range(0, Texts).Select(static number => $"\"text {number}\""));

        var answer = await server.Client.PostAsync(
            "/v1/embeddings", $$"""{"model":"mesh/house-e","input":[{{texts}}]}""");

        Assert.Equal(hasAnother ? 200 : 503, answer.Status);
        Assert.Equal(hasAnother ? 4 : 2, asked);
        var answered = 20L * Enumerable.Range(0, TextsMax).Sum(static number => TokenCounter.Count($"text {number}"));
        Assert.Equal(answered, Sum(server, "loss"));
        Assert.Equal(1, server.Database.Read(static session =>
            session.Count("SELECT count(*) FROM ledger_entries WHERE type = 'loss'")));
        var charged = hasAnother ? 20 * 2 * 700 : 0;
        Assert.Equal(charged, Sum(server, "settle"));
        Assert.Equal(10m - (charged / 1_000_000m),
            (await server.AccountAsync()).GetProperty("balanceUsd").GetDecimal());
        await server.AssertSoundAsync();
    }

    private static long Sum(TestServer server, string type) => server.Database.Read(session =>
        session.Count("SELECT sum(amount) FROM ledger_entries WHERE type = $1", type));

    /// <summary>As many vectors with a usage of 700 tokens; null: an error.</summary>
    private static async Task AnswerAsync(HttpContext context, int? vectors)
    {
        if (vectors is not { } count)
        {
            context.Response.StatusCode = StatusCodes.Status500InternalServerError;
            return;
        }

        await context.Response.WriteAsync("{\"usage\":{\"prompt_tokens\":700},\"data\":["
            + string.Join(',', Enumerable.Repeat("{\"embedding\":[1,2,3,4]}", count)) + "]}");
    }
}
