using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.AI;
using Reeve.Server.Inference;

namespace Reeve.Server.Tests.Inference;

public sealed class EmbeddingsTests
{
    private const string OpenAI =
        """
        {"object":"list","data":[{"object":"embedding","index":1,"embedding":[0,1]},
        {"object":"embedding","index":0,"embedding":[0.6,-0.8]}],"model":"m",
        "usage":{"prompt_tokens":5,"total_tokens":5}}
        """;

    private const string Gemini = """{"embeddings":[{"values":[3,-4]},{"values":[0,1e0]}]}""";
    private const string Ollama = """{"model":"m","embeddings":[[0.6,-0.8],[0,1]],"prompt_eval_count":5}""";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("openai", OpenAI, "/v1/embeddings", 5,
        """{"model":"sample-1","input":["a","b \"é\""],"encoding_format":"float","dimensions":2}""")]
    [InlineData("gemini", Gemini, "/v1beta/models/sample-1:batchEmbedContents", null,
        """
        {"requests":[{"model":"models/sample-1","content":{"parts":[{"text":"a"}]},"outputDimensionality":2},
        {"model":"models/sample-1","content":{"parts":[{"text":"b \"é\""}]},"outputDimensionality":2}]}
        """)]
    [InlineData("ollama", Ollama, "/api/embed", 5,
        """{"model":"sample-1","input":["a","b \"é\""],"truncate":false,"dimensions":2}""")]
    public async Task Generate_TwoTexts_GivesTheirVectorsInOrder(
        string kind, string answer, string path, int? tokens, string request)
    {
        await using var provider = await LoopbackProvider.StartAsync(answer);
        using var generator = Sample.Embeddings(kind, provider);

        var made = await generator.GenerateAsync(
            ["a", "b \"é\""], new EmbeddingGenerationOptions { Dimensions = 2 }, Cancellation);

        Assert.Equal([[0.6f, -0.8f], [0f, 1f]], made.Select(one => one.Vector.ToArray()));
        Assert.Equal(tokens, made.Usage?.InputTokenCount);
        Assert.Equal(path, provider.Paths[0]);
        Assert.True(
            JsonElement.DeepEquals(JsonElement.Parse(request), provider.Bodies[0]), provider.Bodies[0].GetRawText());
    }

    [Theory]
    [InlineData("0")]
    [InlineData("99000000")]
    public async Task Generate_ImpossibleUsage_IsNoUsage(string count)
    {
        await using var provider = await LoopbackProvider.StartAsync(Ollama.Replace(
            "\"prompt_eval_count\":5", $"\"prompt_eval_count\":{count}", StringComparison.Ordinal));
        using var generator = Sample.Embeddings("ollama", provider);
        Assert.Null((await generator.GenerateAsync(["a", "b"], null, Cancellation)).Usage);
    }

    [Theory]
    [InlineData("openai", 256, 3)]
    [InlineData("gemini", 100, 6)]
    [InlineData("ollama", 256, 3)]
    public async Task Generate_ManyTexts_GoInSeveralRequests(string kind, int most, int requests)
    {
        LoopbackProvider? asked = null;
        await using var provider = await LoopbackProvider.StartAsync(async (context, _) =>
        {
            // Each vector says which text it is of.
            var body = asked!.Bodies[^1];
            var texts = body.TryGetProperty("input", out var input)
                ? input.EnumerateArray().Select(text => text.GetString()!)
                : body.GetProperty("requests").EnumerateArray().Select(one =>
                    one.GetProperty("content").GetProperty("parts")[0].GetProperty("text").GetString()!);
            var numbers = texts.ToList();
            Assert.True(numbers.Count <= most);
            await context.Response.WriteAsync(kind switch
            {
                "openai" => "{\"usage\":{\"prompt_tokens\":2},\"data\":["
                    + string.Join(',', numbers.Select(text => $"{{\"embedding\":[1,{text}]}}")) + "]}",
                "gemini" => "{\"embeddings\":["
                    + string.Join(',', numbers.Select(text => $"{{\"values\":[1,{text}]}}")) + "]}",
                _ => "{\"prompt_eval_count\":2,\"embeddings\":["
                    + string.Join(',', numbers.Select(text => $"[1,{text}]")) + "]}",
            });
        });
        asked = provider;
        using var generator = Sample.Embeddings(kind, provider);

        var made = await generator.GenerateAsync(
            Enumerable.Range(0, 600).Select(number => $"{number}"), null, Cancellation);

        Assert.Equal(requests, provider.Bodies.Count);
        Assert.Equal(kind == "gemini" ? null : 2 * requests, made.Usage?.InputTokenCount);
        Assert.Equal(
            Enumerable.Range(0, 600),
            made.Select(one => (int)Math.Round(one.Vector.Span[1] / one.Vector.Span[0])));
    }

    [Theory]
    [InlineData("openai", """{"data":[{"index":0,"embedding":[1]}]}""")]
    [InlineData("openai", """{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}""")]
    [InlineData("openai", """{"data":[{"index":0,"embedding":[1]},{"index":7,"embedding":[1]}]}""")]
    [InlineData("openai", """{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[1,2]}]}""")]
    [InlineData("openai", """{"data":[{"index":0,"embedding":"AAA="},{"index":1,"embedding":[1]}]}""")]
    [InlineData("openai", """{"data":[{"index":0,"embedding":[]},{"index":1,"embedding":[]}]}""")]
    [InlineData("openai", """{"data":[{"index":0,"embedding":[1e300]},{"index":1,"embedding":[1]}]}""")]
    [InlineData("openai", "[]")]
    [InlineData("openai", "{")]
    [InlineData("gemini", """{"embeddings":[{"values":[1]}]}""")]
    [InlineData("gemini", """{"embeddings":[{"values":[1]},{}]}""")]
    [InlineData("gemini", """{"embedding":{"values":[1]}}""")]
    [InlineData("ollama", """{"embeddings":[[1],[1],[1]]}""")]
    [InlineData("ollama", """{"embeddings":[[1],["1"]]}""")]
    public async Task Generate_WrongAnswer_IsMalformed(string kind, string answer)
    {
        await using var provider = await LoopbackProvider.StartAsync(answer);
        Assert.Equal(ProviderFault.Malformed, (await FailAsync(kind, provider)).Fault);
    }

    [Theory]
    [InlineData("openai", 429, "{}", "RateLimited", 7)]
    [InlineData("openai", 401, "{}", "Refused", 7)]
    [InlineData("openai", 200, """{"error":{"type":"rate_limit_error"}}""", "RateLimited", null)]
    [InlineData("gemini", 400,
        """{"error":{"status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}""", "Refused", 7)]
    [InlineData("gemini", 400, """{"error":{"code":400,"status":"INVALID_ARGUMENT"}}""", "BadRequest", 7)]
    [InlineData("ollama", 404, """{"error":"model \"x\" not found"}""", "BadRequest", 7)]
    [InlineData("ollama", 500, "no JSON", "Overloaded", 7)]
    public async Task Generate_BadStatus_HasItsFault(string kind, int status, string body, string fault, int? seconds)
    {
        await using var provider = await LoopbackProvider.StartAsync(async (context, _) =>
        {
            context.Response.StatusCode = status;
            context.Response.Headers.RetryAfter = "7";
            await context.Response.WriteAsync(body);
        });

        var error = await FailAsync(kind, provider);

        Assert.Equal((fault, seconds), (error.Fault.ToString(), error.RetryAfterSeconds));
    }

    [Fact]
    public async Task Generate_RetryDelayInTheBody_IsRead()
    {
        await using var provider = await LoopbackProvider.StartAsync(
            """
            {"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"key-123","details":[{"@type":
            "type.googleapis.com/google.rpc.RetryInfo","retryDelay":"12.3s"}]}}
            """,
            status: 429);

        var error = await FailAsync("gemini", provider);

        Assert.Equal((ProviderFault.RateLimited, 13), (error.Fault, error.RetryAfterSeconds));
        Assert.Equal("sample answered 429 (RESOURCE_EXHAUSTED, 429).", error.Message);
    }

    [Fact]
    public async Task Generate_BatchWithAWrongVector_WasAnsweredAllTheSame()
    {
        await using var provider = await LoopbackProvider.StartAsync(
            """{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[1,2]}]}""");

        Assert.Equal(2, (await FailAsync("openai", provider)).TextsAnswered);
    }

    private static async Task<ProviderException> FailAsync(string kind, LoopbackProvider provider)
    {
        using var generator = Sample.Embeddings(kind, provider);
        return await Assert.ThrowsAsync<ProviderException>(
            () => generator.GenerateAsync(["a", "b"], null, Cancellation));
    }
}
