using System.Globalization;
using System.Net;
using Reeve.Server.Http;
using Reeve.Server.Runs;
using Reeve.Server.Storage;

namespace Reeve.Server;

/// <summary>What an operator's tools ask: is it alive, does it take work, which version, how much.</summary>
internal static class HealthEndpoints
{
    internal static void AddHealth(this IServiceCollection services) => services.AddSingleton(new OpenApiSchemas(
        ("Health", Schema.Record(("status", Schema.Word("live", "degraded", "ready")))),
        ("Version", Schema.Record(("version", Schema.Text(1)), ("commit", Schema.Text().OrNull())))));

    internal static void MapHealth(this IEndpointRouteBuilder app)
    {
        app.MapGet("/health/live", Live).Public().WithTags("Server")
            .WithName("isLive").WithSummary("Answers while the process runs.")
            .Answers(200, "Health", "It runs; degraded: the database takes no writes, or slowly.");
        app.MapGet("/health/ready", ReadyAsync).Public().WithTags("Server")
            .WithName("isReady").WithSummary("Answers 200 while the server takes work.")
            .Answers(200, "Health", "It takes work.").Refuses(ApiErrorCodes.StorageFull);
        app.MapGet("/version", ShowVersion).Public().WithTags("Server")
            .WithName("getVersion").WithSummary("Shows the server's version.")
            .Answers(200, "Version", "The version.");
        app.MapGet("/metrics", Metrics).Public().WithTags("Server")
            .WithName("getMetrics").WithSummary("Shows counters in Prometheus' text format, to this machine alone.")
            .AnswersText("text/plain", "The counters.").Misses("path");
    }

    /// <summary>Always 200, so that nobody restarts a server for its disk's sake.</summary>
    private static Task Live(HttpContext context, Database database) =>
        ApiJson.WriteAsync(context, StatusCodes.Status200OK, database.TakesWrites && !database.IsSlow
            ? """{"status":"live"}"""u8.ToArray()
            : """{"status":"degraded"}"""u8.ToArray());

    private static async Task ReadyAsync(HttpContext context, IHostApplicationLifetime lifetime, Database database)
    {
        if (!lifetime.ApplicationStarted.IsCancellationRequested
            || lifetime.ApplicationStopping.IsCancellationRequested)
        {
            throw new ApiException(ApiErrorCodes.Unavailable, "The server is starting or stopping.")
            {
                RetryAfterSeconds = 1,
            };
        }

        if (database.IsSlow)
        {
            throw new ApiException(ApiErrorCodes.Unavailable, "The database takes too long to write.")
            {
                RetryAfterSeconds = 1,
            };
        }

        if (!database.TakesWrites)
        {
            await database.ProbeAsync(); // A failure answers 503 or 507 by itself.
        }

        await ApiJson.WriteAsync(context, StatusCodes.Status200OK, """{"status":"ready"}"""u8.ToArray());
    }

    private static Task ShowVersion(HttpContext context)
    {
        var commit = ServerVersion.Commit is { } known ? $"\"{known}\"" : "null";
        return ApiJson.WriteAsync(context, StatusCodes.Status200OK,
            System.Text.Encoding.UTF8.GetBytes($$"""{"version":"{{ServerVersion.Number}}","commit":{{commit}}}"""));
    }

    private static Task Metrics(HttpContext context, Database database, Capacity capacity)
    {
        if (context.Connection.RemoteIpAddress is not { } address || !IPAddress.IsLoopback(address))
        {
            throw ApiException.NotFound("path");
        }

        context.Response.ContentType = "text/plain; version=0.0.4; charset=utf-8";
        return context.Response.WriteAsync(string.Create(CultureInfo.InvariantCulture,
            $"""
            # HELP reeve_commits_total Transactions committed by the writer.
            # TYPE reeve_commits_total counter
            reeve_commits_total {database.CommitCount}
            # HELP reeve_open_runs Runs that are open.
            # TYPE reeve_open_runs gauge
            reeve_open_runs {capacity.Runs.Taken}
            # HELP reeve_open_streams Streams that are being sent.
            # TYPE reeve_open_streams gauge
            reeve_open_streams {capacity.Streams.Taken}
            # HELP reeve_refused_runs_total Runs refused because the node had as many as it takes.
            # TYPE reeve_refused_runs_total counter
            reeve_refused_runs_total {capacity.Runs.Refusals}
            # HELP reeve_refused_streams_total Streams refused because the node sent as many as it can.
            # TYPE reeve_refused_streams_total counter
            reeve_refused_streams_total {capacity.Streams.Refusals}
            # HELP process_working_set_bytes Memory of the process.
            # TYPE process_working_set_bytes gauge
            process_working_set_bytes {Environment.WorkingSet}

            """), context.RequestAborted);
    }
}
