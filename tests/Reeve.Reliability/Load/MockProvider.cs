using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Reeve.Reliability.Load;

/// <summary>
/// A provider on the loopback that speaks OpenAI's protocol, streamed and whole, and says what a
/// <see cref="MockPrompt"/> asks for. It counts its calls.
/// </summary>
internal sealed class MockProvider : IAsyncDisposable
{
    internal const string Model = "mesh/house-1";

    private readonly WebApplication _app;
    private long _calls;
    private int _open;
    private volatile bool _isFinishing;

    private MockProvider(WebApplication app) => _app = app;

    /// <summary>Requests that came.</summary>
    internal long Calls => Interlocked.Read(ref _calls);

    /// <summary>Requests that wait for the end of their answer.</summary>
    internal int Open => Volatile.Read(ref _open);

    internal Uri Url => new(_app.Urls.First());

    /// <summary>Brings every answer of stamped pieces to its end, however many pieces are left.</summary>
    internal void Finish() => _isFinishing = true;

    internal static async Task<MockProvider> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(static kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var app = builder.Build();
        var provider = new MockProvider(app);
        app.Run(provider.AnswerAsync);
        await app.StartAsync();
        return provider;
    }

    /// <summary>
    /// Writes the configuration of a server that has this as its only provider, reached through
    /// <paramref name="through"/> where that is given, and that never runs out of requests or money.
    /// </summary>
    /// <param name="folder">Of the server.</param>
    /// <param name="through">What stands before this.</param>
    /// <param name="timeoutMilliseconds">The longest silence.</param>
    /// <param name="members">More members of the configuration, each behind a comma.</param>
    /// <param name="hedgeAfterMilliseconds">
    /// When this is asked a second time under another name, and so how long one may take; null: never.
    /// </param>
    internal void Configure(
        string folder, Uri? through = null, int timeoutMilliseconds = 30_000, string members = "",
        int? hedgeAfterMilliseconds = null)
    {
        string Provider(string name) => string.Create(CultureInfo.InvariantCulture,
            $$"""
            {"name":"{{name}}","kind":"openai","base_url":"{{through ?? Url}}v1","timeout_ms":{{timeoutMilliseconds}},
              "models":[{"id":"{{Model}}","upstream":"house-1","context_tokens":400000,"max_output_tokens":100000,
                "capabilities":["chat","tools","streaming"],
                "quality":50,"input_usd_per_million":3,"output_usd_per_million":15} ] }
            """);
        var inference = hedgeAfterMilliseconds is { } silence
            ? string.Create(CultureInfo.InvariantCulture,
                $"[{Provider("house")},{Provider("spare")}],\"hedge_after_ms\":{silence}")
            : $"[{Provider("house")}]";
        File.WriteAllText(Path.Combine(folder, "reeve.json"), string.Create(CultureInfo.InvariantCulture,
            $$"""
            {"inference":{"providers":{{inference}} },
             "limits":{"requests_per_minute":{"enterprise":10000000} },
             "credits":{"starting_balance_usd":1000000}{{members}} }
            """));
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task AnswerAsync(HttpContext context)
    {
        Interlocked.Increment(ref _calls);
        using var request = await JsonDocument.ParseAsync(context.Request.Body);
        if (context.Request.Path == "/v1/embeddings")
        {
            var count = request.RootElement.GetProperty("input").GetArrayLength();
            var vectors = string.Join(',', Enumerable.Repeat("{\"embedding\":[0.5,-0.5]}", count));
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync($"{{\"data\":[{vectors}],{Usage}}}");
            return;
        }

        var (prompt, toolsLeft, isStreamed) = MockPrompt.Read(request.RootElement);
        Interlocked.Increment(ref _open);
        try
        {
            await (isStreamed
                ? StreamAsync(context, prompt, toolsLeft > 0)
                : WholeAsync(context, prompt, toolsLeft > 0));
        }
        catch (Exception error) when (error is OperationCanceledException or IOException)
        {
            context.Abort(); // The server was killed, or a proxy cut the connection.
        }
        finally
        {
            Interlocked.Decrement(ref _open);
        }
    }

    private static async Task WholeAsync(HttpContext context, MockPrompt prompt, bool asksTool)
    {
        var text = new StringBuilder();
        for (var i = 0; !asksTool && i < prompt.Pieces; i++)
        {
            text.Append(prompt.Piece(i, TimeProvider.System));
            await PauseAsync(prompt, context.RequestAborted);
        }

        context.Response.ContentType = "application/json";
        var message = asksTool ? $"\"content\":null,{ToolCall}" : $"\"content\":\"{text}\"";
        await context.Response.WriteAsync(
            $$"""
            {"id":"c","object":"chat.completion","model":"house-1","choices":[{"index":0,
             "message":{"role":"assistant",{{message}}},"finish_reason":"{{Finish(asksTool)}}"}],{{Usage}} }
            """,
            context.RequestAborted);
    }

    private async Task StreamAsync(HttpContext context, MockPrompt prompt, bool asksTool)
    {
        context.Response.ContentType = "text/event-stream";
        for (var i = 0; i < (asksTool ? 1 : prompt.Pieces); i++)
        {
            if (_isFinishing && prompt.Text == MockText.Stamped)
            {
                break;
            }

            await FrameAsync(context, Choice($$"""{"content":"{{prompt.Piece(i, TimeProvider.System)}}"}""", null), "");
            await PauseAsync(prompt, context.RequestAborted);
        }

        if (asksTool)
        {
            await FrameAsync(context, Choice($"{{{ToolCall}}}", null), "");
        }

        await FrameAsync(context, Choice("{}", Finish(asksTool)), "");
        await FrameAsync(context, "", "," + Usage);
        await context.Response.WriteAsync("data: [DONE]\n\n", context.RequestAborted);
    }

    private const string Usage =
        """
        "usage":{"prompt_tokens":40,"completion_tokens":20,"total_tokens":60}
        """;

    private const string ToolCall =
        """
        "tool_calls":[{"index":0,"id":"p1","type":"function","function":{"name":"time-now","arguments":"{}"}}]
        """;

    private static string Finish(bool asksTool) => asksTool ? "tool_calls" : "stop";

    private static string Choice(string delta, string? finish) =>
        $$"""{"index":0,"delta":{{delta}},"finish_reason":{{(finish is null ? "null" : $"\"{finish}\"")}}}""";

    private static Task PauseAsync(MockPrompt prompt, CancellationToken cancellationToken) => prompt.Pause == 0
        ? Task.CompletedTask
        : Task.Delay(TimeSpan.FromMilliseconds(prompt.Pause), TimeProvider.System, cancellationToken);

    private static async Task FrameAsync(HttpContext context, string choice, string more)
    {
        await context.Response.WriteAsync(
            "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"house-1\","
            + $"\"choices\":[{choice}]{more}}}\n\n",
            context.RequestAborted);
        await context.Response.Body.FlushAsync(context.RequestAborted);
    }
}
