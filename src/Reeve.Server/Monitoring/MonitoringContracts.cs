using System.Text.Json.Serialization;
using Reeve.Server.Http;

namespace Reeve.Server.Monitoring;

/// <summary>A record of a request on the wire (wire-mesh 5.3).</summary>
internal sealed record RequestBodyRecord(
    string RequestId, string Method, string Path, int Status, string? Code, string KeyId, string? RunId, string? Model,
    long LatencyMs, DateTimeOffset CreatedAt)
{
    internal static RequestBodyRecord Of(RequestRecord record) => new(record.RequestId, record.Method, record.Path,
        record.Status, record.Code, record.KeyId, record.RunId, record.Model, record.LatencyMilliseconds,
        record.CreatedAt);
}

internal sealed record RunCounts(long Completed, long Failed, long Cancelled, long Active);

/// <summary>Milliseconds that so many of the requests took at most; null when there were none.</summary>
internal sealed record LatencyParts(long? P50, long? P95, long? P99);

internal sealed record MonitoringSummary(
    string Window, long Requests, long Errors, decimal ErrorRate, RunCounts Runs, LatencyParts LatencyMs,
    decimal TotalUsd);

[JsonSerializable(typeof(Page<RequestBodyRecord>))]
[JsonSerializable(typeof(MonitoringSummary))]
internal sealed partial class MonitoringJson : JsonSerializerContext
{
    internal static readonly MonitoringJson Wire = new(ApiJson.Options());
}

/// <summary>The same for the OpenAPI document.</summary>
internal static class MonitoringSchemas
{
    internal static readonly string[] Windows = ["5m", "1h", "24h", "7d"];

    internal static readonly OpenApiSchemas All = new(
        ("RequestRecord", Schema.Record(
            ("request_id", Schema.Id(Id.Request)),
            ("method", Schema.Text(1)),
            ("path", Schema.Text(1).About("Without the query; at most 256 characters.")),
            ("status", Schema.Integer(100, 599).About("499: the caller left before the answer was whole.")),
            ("code", Schema.Text().OrNull()),
            ("key_id", Schema.Id(Id.Key)),
            ("run_id", Schema.Id(Id.Run).OrNull()),
            ("model", Schema.Text().OrNull()),
            ("latency_ms", Schema.Integer()),
            ("created_at", Schema.Time()))),
        ("MonitoringSummary", Schema.Record(
            ("window", Schema.Word(Windows)),
            ("requests", Schema.Integer()),
            ("errors", Schema.Integer().About("Answers with a status of 500 and more.")),
            ("error_rate", Schema.Number(0, 1)),
            ("runs", Schema.Record(
                ("completed", Schema.Integer()), ("failed", Schema.Integer()), ("cancelled", Schema.Integer()),
                ("active", Schema.Integer().About("Now, whenever they were started.")))),
            ("latency_ms", Schema.Record(
                ("p50", Schema.Integer().OrNull()), ("p95", Schema.Integer().OrNull()),
                ("p99", Schema.Integer().OrNull()))),
            ("total_usd", Schema.Number(0)))));
}
