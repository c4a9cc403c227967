using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Reeve.Server.Tests.Process;

/// <summary>
/// A provider on the loopback that speaks the OpenAI protocol, streamed and whole: a few words for every prompt. The
/// first prompt that says "wait" gets a word, and the rest only when the gate opens.
/// </summary>
internal sealed class MockModel : IAsyncDisposable
{
    internal const int PromptTokens = 40;
    internal const int AnswerTokens = 20;

    private static readonly string[] Words = ["Every ", "coin ", "is ", "counted ", "once", "."];

    private readonly WebApplication _app;
    private int _waiting;
    private int _calls;

    private MockModel(WebApplication app) => _app = app;

    internal TaskCompletionSource Gate { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal int Calls => _calls;

    internal static string Answer => string.Concat(Words);

    internal static async Task<MockModel> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var app = builder.Build();
        var model = new MockModel(app);
        app.Run(model.AnswerAsync);
        await app.StartAsync(TestContext.Current.CancellationToken);
        return model;
    }

    /// <summary>Writes the configuration that makes this the model <c>mesh/house-1</c> of a server.</summary>
    internal void Configure(string folder) => File.WriteAllText(Path.Combine(folder, "reeve.json"),
        $$"""
        {"inference":{"providers":[{"name":"house","kind":"openai","base_url":"{{_app.Urls.First()}}/v1",
          "models":[{"id":"mesh/house-1","upstream":"house-1","context_tokens":128000,"max_output_tokens":4096,
            "quality":50,"input_usd_per_million":3,"output_usd_per_million":15}]}]} }
        """);

    public ValueTask DisposeAsync()
    {
        Gate.TrySetResult();
        return _app.DisposeAsync();
    }

    private async Task AnswerAsync(HttpContext context)
    {
        Interlocked.Increment(ref _calls);
        using var body = await JsonDocument.ParseAsync(context.Request.Body);
        var usage = $$"""{"prompt_tokens":{{PromptTokens}},"completion_tokens":{{AnswerTokens}},"total_tokens":60}""";
        var isStreamed = body.RootElement.TryGetProperty("stream", out var stream) && stream.GetBoolean();
        var waits = body.RootElement.GetRawText().Contains("wait", StringComparison.Ordinal)
            && Interlocked.Exchange(ref _waiting, 1) == 0;
        if (!isStreamed)
        {
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync(
                $$"""
                {"id":"c","object":"chat.completion","model":"house-1","choices":[{"index":0,
                 "message":{"role":"assistant","content":"{{Answer}}"},"finish_reason":"stop"}],"usage":{{usage}} }
                """,
                context.RequestAborted);
            return;
        }

        context.Response.ContentType = "text/event-stream";
        for (var i = 0; i < Words.Length; i++)
        {
            await FrameAsync(
                context, $$"""[{"index":0,"delta":{"content":"{{Words[i]}}"},"finish_reason":null}]""", "");
            await (waits && i == 0
                ? Gate.Task.WaitAsync(context.RequestAborted)
                : Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, context.RequestAborted));
        }

        await FrameAsync(context, """[{"index":0,"delta":{},"finish_reason":"stop"}]""", "");
        await FrameAsync(context, "[]", $",\"usage\":{usage}");
        await context.Response.WriteAsync("data: [DONE]\n\n", context.RequestAborted);
    }

    private static async Task FrameAsync(HttpContext context, string choices, string more)
    {
        await context.Response.WriteAsync(
            "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"house-1\","
            + $"\"choices\":{choices}{more}}}\n\n",
            context.RequestAborted);
        await context.Response.Body.FlushAsync(context.RequestAborted);
    }
}
