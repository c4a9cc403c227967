using System.Globalization;
using CsCheck;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Time.Testing;
using Reeve.Server.Egress;
using Reeve.Server.Inference;

namespace Reeve.Server.Tests.Inference;

/// <summary>What happens when a provider fails, whatever its protocol.</summary>
public sealed class ProviderFaultTests
{
    private const string OpenAIDelta = "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n";
    private const string OpenAIFinish = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    private const string AnthropicStart = "data: {\"type\":\"message_start\",\"message\":{}}\n\n";

    private const string AnthropicDelta =
        AnthropicStart + "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"t"
            + "ext\":\"Hel\"}}\n\n";

    private static readonly string[] Kinds = ["openai", "responses", "anthropic", "gemini", "ollama"];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(429, "RateLimited")]
    [InlineData(500, "Overloaded")]
    [InlineData(503, "Overloaded")]
    [InlineData(529, "Overloaded")]
    [InlineData(401, "Refused")]
    [InlineData(402, "Refused")]
    [InlineData(403, "Refused")]
    [InlineData(400, "BadRequest")]
    [InlineData(404, "BadRequest")]
    [InlineData(413, "BadRequest")]
    [InlineData(302, "Malformed")]
    public async Task Call_BadStatus_HasItsFaultAndNoContent(int status, string fault)
    {
        await using var provider = await LoopbackProvider.StartAsync(
            "{\"error\":{\"type\":\"some_error\",\"code\":\"has spaces: secret\",\"message\":\"Incorrect key-123, yo"
                + "u asked Hi\"}}",
            status: status);
        foreach (var kind in Kinds)
        {
            foreach (var streamed in (bool[])[false, true])
            {
                var error = await FailAsync(Sample.Client(kind, provider), streamed);
                Assert.Equal(fault, error.Fault.ToString());
                Assert.Equal($"sample answered {status} (some_error).", error.Message);
            }
        }
    }

    [Theory]
    [InlineData("17", 17)]
    [InlineData("Wed, 21 Oct 2026 07:28:10 GMT", 10)]
    [InlineData("Wed, 21 Oct 2020 07:28:10 GMT", 0)]
    [InlineData("9999999", 86_400)]
    [InlineData("soon", null)]
    public async Task Call_RetryAfter_IsReadAndBounded(string header, int? seconds)
    {
        var now = DateTimeOffset.Parse("2026-10-21T07:28:00Z", CultureInfo.InvariantCulture);
        await using var provider = await LoopbackProvider.StartAsync((context, _) =>
        {
            context.Response.StatusCode = 429;
            context.Response.Headers.RetryAfter = header;
            return Task.CompletedTask;
        });

        var error = await FailAsync(
            Sample.Client("openai", provider.Http, provider.Address, new FakeTimeProvider(now)), streamed: false);

        Assert.Equal(seconds, error.RetryAfterSeconds);
    }

    [Theory]
    [InlineData("openai", "")]
    [InlineData("openai", "<html>")]
    [InlineData("openai", "{}")]
    [InlineData("openai", "[]")]
    [InlineData("openai", "{\"choices\":{}}")]
    [InlineData("openai", "{\"choices\":[3]}")]
    [InlineData("openai", "{\"choices\":[{\"message\":{\"content\":7}}]}")]
    [InlineData("openai", "{\"choices\":[{\"message\":{\"content\":\"a\"}}]")]
    [InlineData("openai", "{\"choices\":[{\"message\":{\"content\":\"a\"}}]} {}")]
    [InlineData("openai", "{\"choices\":[{\"message\":{\"tool_calls\":[{\"id\":\"a\",\"function\":{}}]}}]}")]
    [InlineData("anthropic", "{}")]
    [InlineData("anthropic", "{\"type\":\"message\",\"content\":[{\"type\":\"text\",\"text\":[]}]}")]
    [InlineData("anthropic", "null")]
    public async Task GetResponse_Garbage_IsMalformed(string kind, string body)
    {
        await using var provider = await LoopbackProvider.StartAsync(body);
        var error = await FailAsync(Sample.Client(kind, provider), streamed: false);
        Assert.Equal(ProviderFault.Malformed, error.Fault);
    }

    [Theory]
    [InlineData("openai", "<html>\n\n", "Malformed")]
    [InlineData("openai", "data: {\"choices\":\n\n", "Malformed")]
    [InlineData("openai", OpenAIDelta, "Unreachable")]
    [InlineData("openai", OpenAIDelta + "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n",
        "Unreachable")]
    [InlineData("openai", OpenAIDelta + "data: [DONE]\n\n", "Unreachable")]
    [InlineData("openai", OpenAIDelta + "data: {\"error\":{\"message\":\"Hi\",\"code\":502}}\n\n", "Overloaded")]
    [InlineData("openai", OpenAIDelta + "data: {\"error\":{\"type\":\"rate_limit_error\"}}\n\n", "RateLimited")]
    [InlineData("anthropic", AnthropicDelta, "Unreachable")]
    [InlineData("anthropic", "data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Hi\"}"
        + "}\n\n", "Overloaded")]
    [InlineData("anthropic", AnthropicDelta + "data: {\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error"
        + "\"}}\n\n", "BadRequest")]
    [InlineData("anthropic", "data: 7\n\n", "Malformed")]
    [InlineData("anthropic", "data: {\"type\":\"content_block_start\",\"index\":1e-400}\n\n", "Malformed")]
    public async Task GetStreamingResponse_BrokenStream_FailsInsteadOfEnding(string kind, string stream, string fault)
    {
        await using var provider = await LoopbackProvider.StartStreamAsync(stream);
        var error = await FailAsync(Sample.Client(kind, provider), streamed: true);
        Assert.Equal(fault, error.Fault.ToString());
        Assert.DoesNotContain("Hi", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("openai", OpenAIDelta)]
    [InlineData("anthropic", AnthropicDelta)]
    public async Task GetStreamingResponse_ConnectionCut_IsUnreachable(string kind, string begun)
    {
        await using var provider = await LoopbackProvider.StartAsync(async (context, _) =>
        {
            await context.Response.WriteAsync(begun);
            await context.Response.Body.FlushAsync();
            context.Abort();
        });
        var error = await FailAsync(Sample.Client(kind, provider), streamed: true);
        Assert.Equal(ProviderFault.Unreachable, error.Fault);
    }

    [Fact]
    public async Task GetStreamingResponse_CutAfterTheFinish_IsWhole()
    {
        var read = new TaskCompletionSource();
        await using var provider = await LoopbackProvider.StartAsync(async (context, _) =>
        {
            await context.Response.WriteAsync(OpenAIDelta + OpenAIFinish);
            await context.Response.Body.FlushAsync();
            await read.Task;
            context.Abort();
        });
        using var client = Sample.Client("openai", provider);
        var updates = new List<ChatResponseUpdate>();

        await foreach (var update in client.GetStreamingResponseAsync([new(ChatRole.User, "Hi")], null, Cancellation))
        {
            updates.Add(update);
            read.TrySetResult();
        }

        Assert.Equal(["Hel", ""], updates.Select(update => update.Text));
        Assert.Equal(ChatFinishReason.Stop, updates[^1].FinishReason);
        Assert.Empty(updates[^1].Contents);
    }

    [Fact]
    public async Task Call_NobodyListens_IsUnreachable()
    {
        using var http = new ProviderHttp();
        var error = await FailAsync(Sample.Client("openai", http, new Uri("http://127.0.0.1:1")), streamed: false);
        Assert.Equal(ProviderFault.Unreachable, error.Fault);
    }

    [Fact]
    public async Task Call_SilenceBeforeTheFirstByte_IsATimeout()
    {
        var time = new FakeTimeProvider();
        await using var provider = await LoopbackProvider.StartAsync(
            (context, _) => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted));
        using var client = Sample.Client("openai", provider.Http, provider.Address, time);

        var call = client.GetResponseAsync([new(ChatRole.User, "Hi")], null, Cancellation);
        time.Advance(TimeSpan.FromSeconds(29.999));
        Assert.False(call.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(0.001));

        var error = await Assert.ThrowsAsync<ProviderException>(() => call);
        Assert.Equal(ProviderFault.Timeout, error.Fault);
    }

    [Fact]
    public async Task Stream_SilenceBetweenTwoPieces_CountsFromTheLastAlone()
    {
        var time = new FakeTimeProvider();
        var next = new SemaphoreSlim(0);
        await using var provider = await LoopbackProvider.StartAsync(async (context, _) =>
        {
            while (true)
            {
                await context.Response.WriteAsync(OpenAIDelta, context.RequestAborted);
                await context.Response.Body.FlushAsync(context.RequestAborted);
                await next.WaitAsync(context.RequestAborted);
            }
        });
        using var client = Sample.Client("openai", provider.Http, provider.Address, time);
        await using var updates = client.GetStreamingResponseAsync([new(ChatRole.User, "Hi")], null, Cancellation)
            .GetAsyncEnumerator(Cancellation);
        Assert.True(await updates.MoveNextAsync());

        // What the reader takes its time for is no silence of the provider.
        time.Advance(TimeSpan.FromSeconds(300));
        var second = updates.MoveNextAsync();
        time.Advance(TimeSpan.FromSeconds(29));
        Assert.False(second.IsCompleted);
        next.Release();
        Assert.True(await second);

        var third = updates.MoveNextAsync();
        time.Advance(TimeSpan.FromSeconds(29));
        Assert.False(third.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(1));
        var error = await Assert.ThrowsAsync<ProviderException>(async () => await third);
        Assert.Equal(ProviderFault.Timeout, error.Fault);
    }

    [Fact]
    public async Task Call_CancelledByTheCaller_IsACancellation()
    {
        using var cancel = new CancellationTokenSource();
        var asked = new TaskCompletionSource();
        await using var provider = await LoopbackProvider.StartAsync((context, _) =>
        {
            asked.SetResult();
            return Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted);
        });
        using var client = Sample.Client("anthropic", provider);

        var call = client.GetResponseAsync([new(ChatRole.User, "Hi")], null, cancel.Token);
        await asked.Task;
        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
    }

    [Theory]
    [InlineData("-1")]
    [InlineData("\"NaN\"")]
    [InlineData("1e300")]
    [InlineData("9223372036854775808")]
    [InlineData("100000001")]
    [InlineData("10001")] // The model holds 1,000.
    [InlineData("1.5")]
    [InlineData("{\"a\":[1]}")]
    [InlineData("true")]
    public async Task GetResponse_ImpossibleUsage_CountsAsNotReportedAndIsLogged(string figure)
    {
        foreach (var kind in (string[])["openai", "anthropic"])
        {
            var body = kind == "openai"
                ? "{\"choices\":[{\"message\":{\"content\":\"a\"}}],\"usage\":{\"prompt_tokens\":FIG,\"completion_to"
                    + "kens\":3}}"
                : "{\"type\":\"message\",\"content\":[],\"usage\":{\"input_tokens\":FIG,\"output_tokens\":3}}";
            await using var provider = await LoopbackProvider.StartAsync(
                body.Replace("FIG", figure, StringComparison.Ordinal));
            var logger = new ListLogger();
            using var client = Sample.Client(kind, provider.Http, provider.Address, logger: logger);

            var response = await client.GetResponseAsync([new(ChatRole.User, "Hi")], null, Cancellation);

            Assert.Null(response.Usage!.InputTokenCount);
            Assert.Equal(3, response.Usage.OutputTokenCount);
            Assert.Contains("impossible token counts", Assert.Single(logger.Lines), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task GetResponse_BodyOverItsLimit_IsMalformed()
    {
        using var http = new ProviderHttp(new PiecesHandler(new string(' ', (16 * 1024 * 1024) + 1)));
        var error = await FailAsync(Sample.Client("openai", http, new Uri("http://sample")), streamed: false);
        Assert.Equal(ProviderFault.Malformed, error.Fault);
    }

    [Fact]
    public async Task GetStreamingResponse_LineOverItsLimit_IsMalformed()
    {
        using var http = new ProviderHttp(new PiecesHandler("data: " + new string('x', 5 * 1024 * 1024)));
        var error = await FailAsync(Sample.Client("openai", http, new Uri("http://sample")), streamed: true);
        Assert.Equal(ProviderFault.Malformed, error.Fault);
    }

    [Theory]
    [InlineData("content")]
    [InlineData("reasoning_content")]
    public async Task GetStreamingResponse_ThatDoesNotEnd_IsCutOffFarBeyondTheTokensThatWereAsked(string member)
    {
        var sent = 0;
        await using var provider = await LoopbackProvider.StartAsync(async (context, _) =>
        {
            context.Response.ContentType = "text/event-stream";
            var text = new string('x', 1_000);
            for (; !context.RequestAborted.IsCancellationRequested && sent < 100_000; sent++)
            {
                await context.Response.WriteAsync(
                    $$$"""data: {"choices":[{"delta":{"{{{member}}}":"{{{text}}}"}}]}""" + "\n\n", Cancellation);
            }
        });
        using var client = Sample.Client("openai", provider);
        var options = new ChatOptions { MaxOutputTokens = 1_000 };
        var received = 0;

        var error = await Assert.ThrowsAsync<ProviderException>(async () =>
        {
            await foreach (var update in client.GetStreamingResponseAsync(
                [new(ChatRole.User, "Hi")], options, Cancellation))
            {
                received++;
            }
        });

        Assert.Equal(ProviderFault.Malformed, error.Fault);
        Assert.InRange(received, 32, 98); // No answer of 1,000 tokens is cut, and not much more than 64 Ki is taken.
    }

    [Fact]
    public async Task Call_RandomBytes_FailsAsAProviderOrAnswers()
    {
        string[] pieces =
        [
            "data: ", "\n\n", "\n", "\r", ":", "{", "}", "[", "]", "\"choices\":", "\"delta\":", "\"content\":",
            "\"a\"",
            "\"finish_reason\":", ",", "null", "7", "\"usage\":", "\"tool_calls\":", "[DONE]", "\\ud800", "\uFEFF",
            "\"type\":", "\"message\"", "\"index\":", "\"error\":", "\"content_block_delta\"", "{\"choices\":[{",
            "\"candidates\":[", "\"parts\":[{\"text\":", "\"done\":true", "{\"type\":\"response.completed\"",
            "\"response\":{", "\"output\":[{\"type\":\"message\"", "{\"message\":{", "\"functionCall\":{",
        ];
        var pieceNumbers = Gen.Int[0, pieces.Length - 1].Array[1, 24];
        await Gen.Select(pieceNumbers, Gen.Int[0, Kinds.Length - 1], Gen.Bool).SampleAsync(
            async (chosen, kind, streamed) =>
            {
                using var http = new ProviderHttp(
                    new PiecesHandler(string.Concat(chosen.Select(index => pieces[index])), 3));
                using var client = Sample.Client(Kinds[kind], http, new Uri("http://sample"));
                try
                {
                    await ReadAsync(client, streamed);
                }
                catch (ProviderException)
                {
                    // The one kind of failure there is.
                }
            },
            iter: 3_000);
    }

    private static async Task<ProviderException> FailAsync(IChatClient client, bool streamed)
    {
        using (client)
        {
            return await Assert.ThrowsAsync<ProviderException>(() => ReadAsync(client, streamed));
        }
    }

    private static async Task ReadAsync(IChatClient client, bool streamed)
    {
        if (streamed)
        {
            await client.GetStreamingResponseAsync([new(ChatRole.User, "Hi")], null, Cancellation)
                .ToListAsync(Cancellation);
        }
        else
        {
            await client.GetResponseAsync([new(ChatRole.User, "Hi")], null, Cancellation);
        }
    }
}
