using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Reeve.Server.Inference;
using Reeve.Server.Privacy;

namespace Reeve.Server.Tests.Spec;

/// <summary>
/// The server that traces are replayed on: one in this process with a scripted model, or with <c>REEVE_URL</c> one that
/// runs somewhere, reached with the admin key of its first account in <c>REEVE_KEY</c>.
/// </summary>
internal sealed class TraceServer : IAsyncDisposable
{
    internal static readonly string? Url = Environment.GetEnvironmentVariable("REEVE_URL");

    private readonly TestServer? _server;
    private readonly TraceModel _model;

    private TraceServer(TestServer? server, TraceModel model, Uri url, string key)
    {
        _server = server;
        _model = model;
        OperatorKey = key;
        Http = new HttpClient { BaseAddress = url, Timeout = TestServer.Timeout };
    }

    internal HttpClient Http { get; }

    internal string OperatorKey { get; }

    internal static async Task<TraceServer> StartAsync(IReadOnlyDictionary<string, JsonElement> needs)
    {
        var model = new TraceModel();
        if (Url is not null)
        {
            return new TraceServer(null, model, new Uri(Url), Environment.GetEnvironmentVariable("REEVE_KEY") ?? "");
        }

        var server = await TestServer.StartAsync(options => Configure(options, needs), builder =>
        {
            builder.Services.AddSingleton(new CatalogEntry(TraceModel.Documented, model, PrivacyMarks.Nothing));
            if (needs.ContainsKey("second_model"))
            {
                builder.Services.AddSingleton(new CatalogEntry(TraceModel.Second, model, PrivacyMarks.Nothing));
            }
        });
        return new TraceServer(server, model, server.Url, TestServer.AdminKey);
    }

    /// <summary>
    /// Makes an account for a trace, so that it sees nothing of another one, and tells the model its lines.
    /// </summary>
    internal async Task BeginAsync(TraceSetup setup, Placeholders placeholders)
    {
        placeholders.Save("operator-key", OperatorKey);
        var account = await PostAsync("/v1/accounts", """{"name":"Trace","plan":"enterprise"}""");
        placeholders.Save("account", account.GetProperty("id").GetString()!);
        placeholders.Save("key", account.GetProperty("key").GetString()!);
        var id = account.GetProperty("id").GetString();
        await PostAsync($"/v1/accounts/{id}/credits", """{"amount_usd":25,"note":"To begin with"}""");
        _model.Begin(setup.Model);
    }

    /// <summary>Breaks what the trace wants broken, once its steps are done.</summary>
    internal async Task BreakAsync(TraceSetup setup)
    {
        if (!setup.Server.TryGetValue("fault", out var fault))
        {
            return;
        }

        switch (fault.GetString())
        {
            case "disk_full":
                await _server!.Database.WriteAsync(static session => session.List(
                    "PRAGMA max_page_count = 1", static row => row.GetInt64(0)));
                break;
            case "read_only":
                await _server!.Database.WriteAsync(static session => session.Execute("PRAGMA query_only = 1"));
                break;
            case "stopping":
                _server!.Service<IHostApplicationLifetime>().StopApplication();
                break;
            default:
                throw new InvalidOperationException($"{fault} is no fault.");
        }
    }

    internal void End() => _model.End();

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        if (_server is not null)
        {
            await _server.DisposeAsync();
        }
    }

    // The margin of the documented examples is a tenth.
    private static ReeveOptions Configure(ReeveOptions options, IReadOnlyDictionary<string, JsonElement> needs) =>
        options with
        {
            Credits = options.Credits with { MarginRate = 0.1m },
            LegacyChatSunset = needs.TryGetValue("legacy_chat_sunset", out var sunset)
                ? sunset.GetDateTimeOffset()
                : options.LegacyChatSunset,
        };

    private async Task<JsonElement> PostAsync(string path, string json)
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        using var request = new HttpRequestMessage(HttpMethod.Post, path);
        request.Headers.Authorization = new("Bearer", OperatorKey);
        request.Content = new StringContent(json, Encoding.UTF8, "application/json");
        using var answer = await Http.SendAsync(request, cancellationToken);
        var text = await answer.Content.ReadAsStringAsync(cancellationToken);
        Assert.True((int)answer.StatusCode == 201, text);
        return JsonElement.Parse(text);
    }
}
