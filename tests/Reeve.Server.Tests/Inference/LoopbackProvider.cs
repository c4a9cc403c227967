using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Reeve.Server.Egress;
using Reeve.Server.Inference;
using Reeve.Server.Inference.Providers;

namespace Reeve.Server.Tests.Inference;

/// <summary>A provider on the loopback that answers as the test says and keeps what it was asked.</summary>
internal sealed class LoopbackProvider : IAsyncDisposable
{
    private readonly WebApplication _app;

    private LoopbackProvider(WebApplication app) => _app = app;

    internal List<JsonElement> Bodies { get; } = [];

    internal List<IHeaderDictionary> Headers { get; } = [];

    internal List<string> Paths { get; } = [];

    internal List<string> Queries { get; } = [];

    internal ProviderHttp Http { get; } = new();

    internal Uri Address => new(_app.Urls.First());

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await _app.DisposeAsync();
    }

    internal static async Task<LoopbackProvider> StartAsync(Func<HttpContext, int, Task> answer)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var app = builder.Build();
        var provider = new LoopbackProvider(app);
        app.Run(async context =>
        {
            using var document = await JsonDocument.ParseAsync(context.Request.Body);
            provider.Bodies.Add(document.RootElement.Clone());
            provider.Headers.Add(new HeaderDictionary(context.Request.Headers.ToDictionary()));
            provider.Paths.Add(context.Request.Path);
            provider.Queries.Add(context.Request.QueryString.Value ?? "");
            await answer(context, provider.Bodies.Count);
        });
        await app.StartAsync(TestContext.Current.CancellationToken);
        return provider;
    }

    internal static Task<LoopbackProvider> StartAsync(
        string body, string type = "application/json", int status = 200) =>
        StartAsync(async (context, _) =>
        {
            context.Response.StatusCode = status;
            context.Response.ContentType = type;
            await context.Response.WriteAsync(body);
        });

    internal static Task<LoopbackProvider> StartStreamAsync(string body) => StartAsync(body, "text/event-stream");
}

/// <summary>Answers every request with the same bytes, read in pieces of the given sizes.</summary>
internal sealed class PiecesHandler(string body, params int[] sizes) : HttpMessageHandler
{
    protected override Task<HttpResponseMessage> SendAsync(
        HttpRequestMessage request, CancellationToken cancellationToken) =>
        Task.FromResult(new HttpResponseMessage(HttpStatusCode.OK)
        {
            Content = new StreamContent(new PiecesStream(Encoding.UTF8.GetBytes(body), sizes)),
        });
}

internal sealed class PiecesStream(byte[] bytes, int[] sizes) : MemoryStream(bytes)
{
    private int _piece;

    public override int Read(Span<byte> buffer)
    {
        var size = sizes.Length == 0 ? buffer.Length : sizes[_piece++ % sizes.Length];
        return base.Read(buffer[..Math.Min(size, buffer.Length)]);
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        await Task.Yield();
        return Read(buffer.Span);
    }
}

internal static class Sample
{
    internal static readonly Model Model = new()
    {
        Id = "mesh/sample",
        Provider = "sample",
        Upstream = "sample-1",
        ContextTokens = 1000,
        OutputTokensMax = 100,
        InputUsdPerMillion = 3,
        OutputUsdPerMillion = 15,
        Capabilities = new HashSet<string>(Capabilities.Words),
    };

    internal static ProviderTools Tools(ProviderHttp http, TimeProvider? time = null, ILogger? logger = null) =>
        new(http, new ProviderHealth(time ?? TimeProvider.System), time ?? TimeProvider.System,
            new IdGenerator(TimeProvider.System), logger ?? NullLogger.Instance);

    /// <summary>
    /// The client of a model as the catalogue makes it, so that addresses and headers are tested too. The kind
    /// <c>responses</c> is <c>openai</c> with the other of its APIs.
    /// </summary>
    internal static Microsoft.Extensions.AI.IChatClient Client(
        string kind, ProviderHttp http, Uri address, TimeProvider? time = null, ILogger? logger = null,
        Model? model = null) =>
        ConfiguredModels.Create(Options(kind, address, model ?? Model), Tools(http, time, logger))[0].Client;

    internal static Microsoft.Extensions.AI.IChatClient Client(string kind, LoopbackProvider provider) =>
        Client(kind, provider.Http, provider.Address);

    internal static Microsoft.Extensions.AI.IEmbeddingGenerator<string, Microsoft.Extensions.AI.Embedding<float>>
        Embeddings(string kind, LoopbackProvider provider) => Embeddings(kind, provider.Http, provider.Address);

    internal static Microsoft.Extensions.AI.IEmbeddingGenerator<string, Microsoft.Extensions.AI.Embedding<float>>
        Embeddings(string kind, ProviderHttp http, Uri address) => ConfiguredModels.CreateEmbeddings(
            Options(kind, address, Model with { Capabilities = new HashSet<string>(Capabilities.EmbeddingWords) }),
            Tools(http))[0].Generator;

    private static InferenceOptions Options(string kind, Uri address, Model model) => new()
    {
        Providers =
        [
            new ProviderOptions
            {
                Name = "sample",
                Kind = kind == "responses" ? ProviderKinds.OpenAI : kind,
                UsesResponses = kind == "responses",
                BaseUrl = kind is "openai" or "responses" or "anthropic" ? new Uri(address, "/v1") : address,
                ApiKey = new Secret("key-123"),
                Models = [model],
            },
        ],
    };
}

/// <summary>Keeps what was logged.</summary>
internal sealed class ListLogger : ILogger
{
    internal List<string> Lines { get; } = [];

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception,
        Func<TState, Exception?, string> formatter) => Lines.Add(formatter(state, exception));
}
