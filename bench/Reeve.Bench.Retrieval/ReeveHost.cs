using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Reeve.Server;
using Reeve.Server.Retrieval;
using Reeve.Server.Retrieval.Vectors;
using Reeve.Server.Storage;

namespace Reeve.Bench.Retrieval;

/// <summary>What a run answered: its text, and the documents that it cites in their order.</summary>
internal sealed record Answer(string Text, IReadOnlyList<string> Documents);

/// <summary>A whole server in this process, on an empty folder and a free port of this machine.</summary>
internal sealed class ReeveHost : IAsyncDisposable
{
    private const string NoLimits = """{"requestsPerMinute":1000000000}""";

    private readonly WebApplication _app;
    private readonly ReeveApi _api;

    private ReeveHost(WebApplication app, ReeveApi api, TenantContext tenant) =>
        (_app, _api, Tenant) = (app, api, tenant);

    internal TenantContext Tenant { get; }

    internal Retriever Retriever => _app.Services.GetRequiredService<Retriever>();

    internal Database Database => _app.Services.GetRequiredService<Database>();

    internal Documents Documents => _app.Services.GetRequiredService<Documents>();

    internal Embedder Embedder => _app.Services.GetRequiredService<Embedder>();

    internal VectorIndexes Indexes => _app.Services.GetRequiredService<VectorIndexes>();

    /// <param name="folder">Of its data.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <param name="embeddings">The folder of a local model, or the synthetic one's id; null: no vectors.</param>
    internal static async Task<ReeveHost> StartAsync(
        string folder, CancellationToken cancellationToken, string? embeddings = null)
    {
        Directory.CreateDirectory(folder);
        var key = AdminKey.New();
        var app = ReeveServer.Build(["--data", folder, "--urls", "http://127.0.0.1:0"], builder =>
        {
            builder.Services.AddSingleton(new StartSecrets(null, key));
            builder.Services.AddSingleton(TextWriter.Null);
            var options = (ReeveOptions)builder.Services.Last(
                static one => one.ServiceType == typeof(ReeveOptions)).ImplementationInstance!;
            builder.Services.AddSingleton(options with
            {
                Retrieval = options.Retrieval with { Embeddings = embeddings },
            });
            builder.Services.AddSingleton(SyntheticEmbeddings.Entry());
            builder.Logging.SetMinimumLevel(LogLevel.Error);
        });
        await app.StartAsync(cancellationToken);
        var api = new ReeveApi(new Uri(app.Urls.First()), key);
        var account = await api.GetAsync("/v1/accounts/me", cancellationToken);
        var id = account.GetProperty("id").GetString()!;
        await api.TryPatchAsync($"/v1/accounts/{id}/limits", NoLimits, cancellationToken);
        return new ReeveHost(app, api, new TenantContext(id));
    }

    /// <summary>An agent that answers with <c>reeve/quote</c>; its id.</summary>
    internal async Task<string> NewAgentAsync(string name, CancellationToken cancellationToken)
    {
        var agent = await _api.PostAsync("/v1/agents",
            $$"""{"name":"{{name}}","model":"reeve/quote","conversation_limit":1000000}""", cancellationToken);
        return agent.GetProperty("id").GetString()!;
    }

    /// <summary>Uploads each passage as a document whose name says nothing; the passage of each document.</summary>
    internal async Task<Dictionary<string, string>> UploadAsync(
        string agent, IEnumerable<Passage> passages, CancellationToken cancellationToken)
    {
        var passageOf = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var passage in passages)
        {
            var document = await _api.PostAsync($"/v1/agents/{agent}/documents",
                $$"""{"name":"text-{{passageOf.Count}}.md","text":{{Json(passage.Text)}}}""", cancellationToken);
            passageOf.Add(document.GetProperty("id").GetString()!, passage.Id);
        }

        return passageOf;
    }

    /// <summary>The documents found, best first, each once.</summary>
    internal async Task<List<string>> SearchAsync(string agent, string query, CancellationToken cancellationToken)
    {
        var page = await _api.PostAsync($"/v1/agents/{agent}/search",
            $$"""{"query":{{Json(query)}},"limit":20}""", cancellationToken);
        return [.. page.GetProperty("data").EnumerateArray()
            .Select(static found => found.GetProperty("documentId").GetString()!).Distinct().Take(RankScores.Depth)];
    }

    internal async Task<Answer> AskAsync(string agent, string question, CancellationToken cancellationToken)
    {
        var run = await _api.PostAsync("/v1/agents/runs",
            $$"""{"agent":"{{agent}}","input":{{Json(question)}}}""", cancellationToken);
        return new Answer(run.GetProperty("output").GetString()!, [.. run.GetProperty("sources").EnumerateArray()
            .Select(static source => source.GetProperty("documentId").GetString()!)]);
    }

    public async ValueTask DisposeAsync()
    {
        _api.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
    }

    private static string Json(string text) => $"\"{JavaScriptEncoder.Default.Encode(text)}\"";
}
