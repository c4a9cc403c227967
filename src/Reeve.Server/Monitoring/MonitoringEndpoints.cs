using Reeve.Server.Accounts;
using Reeve.Server.Http;
using Reeve.Server.Storage;

namespace Reeve.Server.Monitoring;

/// <summary>Records of requests and what they add up to (wire-mesh 5.3).</summary>
internal static class MonitoringEndpoints
{
    internal static void AddMonitoring(this IServiceCollection services)
    {
        services.AddSingleton(MonitoringSchemas.All);
        services.AddSingleton<RequestLog>();
        services.AddHostedService(static provider => provider.GetRequiredService<RequestLog>());
    }

    internal static void MapMonitoring(this IEndpointRouteBuilder app)
    {
        app.MapGet("/v1/logs", LogsAsync).RequireScope(ApiKeyScopes.Usage).WithTags("Monitoring")
            .WithName("listLogs").WithSummary("Lists records of requests without content, newest first.")
            .Lists("RequestRecord")
            .Query("accountId", "Another account, for an admin key of the first one.", static () => Schema.Text(1))
            .Misses("account");
        app.MapGet("/v1/monitoring/summary", SummaryAsync).RequireScope(ApiKeyScopes.Usage).WithTags("Monitoring")
            .WithName("getMonitoringSummary").WithSummary("Sums requests, runs and charges of a window of time.")
            .Query("window", "1h when left out.", static () => Schema.Word(MonitoringSchemas.Windows))
            .Answers(200, "MonitoringSummary", "The summary.");
    }

    private static async Task LogsAsync(HttpContext context, RequestLog log, Database database)
    {
        var query = new RequestQuery(context, "limit", "after", "accountId");
        var page = PageQuery.Read(query, Id.Request);
        var tenant = AccountEndpoints.TenantOf(context, database, query.Text("accountId"));
        await log.FlushAsync();
        var records = database.Read(session => RequestLogStore.List(session, tenant, page.After, page.Limit + 1));
        await ApiJson.WriteAsync(context, 200,
            Page<RequestRecord>.Of(records, page.Limit, static one => one.RequestId).Map(RequestBodyRecord.Of),
            MonitoringJson.Wire.PageRequestBodyRecord);
    }

    private static async Task SummaryAsync(HttpContext context, RequestLog log, Database database, TimeProvider time)
    {
        var query = new RequestQuery(context, "window");
        var window = query.Word("window", "5m", "1h", "24h", "7d") ?? "1h";
        var from = time.GetUtcNow() - window switch
        {
            "5m" => TimeSpan.FromMinutes(5),
            "1h" => TimeSpan.FromHours(1),
            "24h" => TimeSpan.FromDays(1),
            _ => TimeSpan.FromDays(7),
        };
        var tenant = context.Caller().Tenant;
        await log.FlushAsync();
        await ApiJson.WriteAsync(context, 200, database.Read(session => Sum(session, tenant, window, from)),
            MonitoringJson.Wire.MonitoringSummary);
    }

    private static MonitoringSummary Sum(DbSession session, TenantContext tenant, string window, DateTimeOffset from)
    {
        var requests = RequestLogStore.Since(session, tenant, from);
        var errors = requests.Count(static one => one.Status >= 500);
        var latencies = requests.Select(static one => one.Latency).Order().ToList();
        var ended = RequestLogStore.Ended(session, tenant, from);
        return new MonitoringSummary(window, requests.Count, errors,
            requests.Count == 0 ? 0 : Math.Round((decimal)errors / requests.Count, 4),
            new RunCounts(ended.GetValueOrDefault("completed"), ended.GetValueOrDefault("failed"),
                ended.GetValueOrDefault("cancelled"), RequestLogStore.Active(session, tenant)),
            new LatencyParts(Part(latencies, 50), Part(latencies, 95), Part(latencies, 99)),
            Money.Usd(RequestLogStore.Charged(session, tenant, from)));
    }

    /// <summary>The least of them that so many percent do not exceed.</summary>
    private static long? Part(List<long> ordered, int percent) =>
        ordered.Count == 0 ? null : ordered[Math.Max(0, ((ordered.Count * percent) + 99) / 100 - 1)];
}
