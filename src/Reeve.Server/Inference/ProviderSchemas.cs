using System.Text.Json.Nodes;
using Reeve.Server.Http;

namespace Reeve.Server.Inference;

/// <summary>Providers as the wire shows and takes them (wire-mesh 5.4).</summary>
internal static class ProviderSchemas
{
    internal static readonly OpenApiSchemas All = new(
        ("Provider", Schema.Record(
            ("provider", Schema.Text()),
            ("enabled", Schema.Flag()),
            ("priority", Schema.Integer(0, ProviderSettings.PriorityMax)),
            ("routingWeight", Schema.Integer(0, ProviderSettings.WeightMax)),
            ("timeoutMs", Timeout()),
            ("maxConcurrency", Schema.Integer(1, ProviderSettings.ConcurrencyMax)),
            ("circuitBreaker", Schema.Record(("errorRate", Schema.Number(0, 1)), ("cooldownMs", Cooldown()))),
            ("privacy", Schema.Record(
                ("zero_retention", Schema.Flag()),
                ("operator_run", Schema.Flag()),
                ("in_process", Schema.Flag()))),
            ("credential", Schema.Word("configured", "none")))),
        ("ProviderPage", Page("Provider")),
        ("ProviderChange", Schema.Change(
            [],
            ("enabled", Schema.Flag()),
            ("priority", Schema.Integer(0, ProviderSettings.PriorityMax)
                .About("Among providers of the same model the lowest is asked first.")),
            ("routingWeight", Schema.Integer(0, ProviderSettings.WeightMax)
                .About("The share among providers of the same model and priority.")),
            ("timeoutMs", Timeout().About("The longest silence.")),
            ("maxConcurrency", Schema.Integer(1, ProviderSettings.ConcurrencyMax)),
            ("circuitBreaker", Schema.Change(
                [],
                ("errorRate", Schema.Number(0, 1).About("At most 6 decimals.")),
                ("cooldownMs", Cooldown()))))),
        ("ProviderHealth", Schema.Record(
            ("provider", Schema.Text()),
            ("status", Schema.Word("healthy", "degraded", "open", "disabled")),
            ("error_rate", Schema.Number(0, 1).About("Of the last minute.")),
            ("latency_ms", Schema.Record(("p50", Schema.Integer().OrNull()), ("p95", Schema.Integer().OrNull()))),
            ("in_flight", Schema.Integer()),
            ("last_success_at", Schema.Time().OrNull()),
            ("last_error", Schema.Record(("code", Schema.Text()), ("at", Schema.Time())).OrNull()))),
        ("ProviderHealthPage", Page("ProviderHealth")));

    private static JsonObject Timeout() =>
        Schema.Integer(ProviderOptions.TimeoutMillisecondsMin, ProviderOptions.TimeoutMillisecondsMax);

    private static JsonObject Cooldown() => Schema.Integer(
        ProviderSettings.CooldownMillisecondsMin, ProviderSettings.CooldownMillisecondsMax);

    private static JsonObject Page(string item) => Schema.Record(
        ("data", Schema.List(Schema.Ref(item))),
        ("has_more", Schema.Flag()),
        ("next_cursor", Schema.Text().OrNull()));
}
