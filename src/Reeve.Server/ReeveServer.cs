using Reeve.Server.Accounts;
using Reeve.Server.Agents;
using Reeve.Server.Apis.Auteryn;
using Reeve.Server.Apis.Mesh;
using Reeve.Server.Apis.OpenAI;
using Reeve.Server.Conversations;
using Reeve.Server.Credits;
using Reeve.Server.Egress;
using Reeve.Server.Http;
using Reeve.Server.Inference;
using Reeve.Server.Monitoring;
using Reeve.Server.Receipts;
using Reeve.Server.Retrieval;
using Reeve.Server.Runs;
using Reeve.Server.Storage;
using Reeve.Server.Telemetry;
using Reeve.Server.Tools;
using Reeve.Server.Webhooks;

namespace Reeve.Server;

/// <summary>The server's table of contents.</summary>
internal static class ReeveServer
{
    /// <summary>
    /// Makes a server that is ready to run: options read, data folder locked and checked, schema current.
    /// </summary>
    internal static WebApplication Build(string[] args, Action<WebApplicationBuilder>? configure = null)
    {
        var options = ReeveOptionsReader.Read(args);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = "reeve" });
        builder.WebHost.UseReeveKestrel(options.Urls);
        builder.AddReeveLogging();

        var services = builder.Services;
        services.AddSingleton(options);
        services.AddSingleton(static provider => provider.GetRequiredService<ReeveOptions>().Credits);
        services.AddSingleton(TimeProvider.System);
        services.AddSingleton(Console.Out);
        services.AddSingleton(Failpoints.Parse(Environment.GetEnvironmentVariable(Failpoints.Variable)));
        services.AddSingleton(StartSecrets.FromEnvironment());
        services.AddSingleton<IdGenerator>();
        services.AddRoutingCore();
        services.Configure<RouteHandlerOptions>(static handlers => handlers.ThrowOnBadRequest = true);
        services.Configure<HostOptions>(static host => host.ShutdownTimeout = TimeSpan.FromSeconds(20));
        services.AddOpenApiDocument();
        services.AddHealth();
        services.AddStorage();
        services.AddEngine();
        services.AddEgress();
        services.AddWebhooks();
        services.AddMonitoring();
        services.AddSingleton<FirstStartStep>(DemoAgent.CreateAsync);
        services.AddHostedService<FirstStart>();
        configure?.Invoke(builder);

        var app = builder.Build();
        try
        {
            app.OpenStorage();
        }
        catch
        {
            ((IDisposable)app).Dispose(); // Gives the lock on the data folder back.
            throw;
        }

        app.UseMiddleware<RequestRecorder>();
        app.UseMiddleware<ApiErrorHandler>();
        app.UseRouting();
        app.UseMiddleware<ApiKeyGate>();
        app.MapOpenApiDocument();
        app.MapHealth();
        app.MapAccounts();
        app.MapApiKeys();
        app.MapCredits();
        app.MapAgents();
        app.MapDocuments();
        app.MapConversations();
        app.MapReceipts();
        app.MapProviders();
        app.MapWebhooks();
        app.MapMonitoring();
        app.MapMesh();
        app.MapOpenAI();
        app.MapAuteryn();
        return app;
    }

    /// <summary>All that runs agents and speaks for them, without a web server, files or a clock.</summary>
    internal static void AddEngine(this IServiceCollection services)
    {
        services.AddAccounts();
        services.AddCredits();
        services.AddInference();
        services.AddTools();
        services.AddRetrieval();
        services.AddAgents();
        services.AddConversations();
        services.AddReceipts();
        services.AddRuns();
        services.AddMesh();
        services.AddOpenAI();
        services.AddAuteryn();
    }
}
