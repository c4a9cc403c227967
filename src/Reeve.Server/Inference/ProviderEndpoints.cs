using System.Text.Json;
using Reeve.Server.Accounts;
using Reeve.Server.Http;

namespace Reeve.Server.Inference;

/// <summary>The providers as the operator sees and steers them (wire-mesh 5.4).</summary>
internal static class ProviderEndpoints
{
    internal static void MapProviders(this IEndpointRouteBuilder app)
    {
        var providers = app.MapGroup("/v1/providers").RequireScope(ApiKeyScopes.Admin).WithTags("Providers");
        providers.MapGet("/config", List).WithName("listProviders")
            .WithSummary("The providers with their settings; no credential is shown.")
            .Answers(200, "ProviderPage", "All providers; the list is not paged.").Refuses(ApiErrorCodes.Forbidden);
        providers.MapPatch("/config/{provider}", ChangeAsync).WithName("changeProvider")
            .WithSummary("Changes the settings of a provider at once.").Path("provider", "The provider's name.")
            .Takes("ProviderChange").Answers(200, "Provider", "The provider.");
        providers.MapGet("/health", Health).WithName("getProvidersHealth")
            .WithSummary("How the providers have been of late.")
            .Answers(200, "ProviderHealthPage", "All providers; the list is not paged.");
    }

    private static Task List(HttpContext context, ProviderRegister register)
    {
        _ = new RequestQuery(context);
        AccountEndpoints.RequireOperator(context.Caller(), null);
        return ApiJson.WriteAsync(context, 200, ApiJson.Bytes(register.List(), static (writer, providers) =>
        {
            writer.WriteStartObject();
            writer.WriteStartArray("data"u8);
            foreach (var provider in providers)
            {
                Write(writer, provider);
            }

            writer.WriteEndArray();
            WriteEndOfPage(writer);
        }));
    }

    private static async Task ChangeAsync(
        HttpContext context, string provider, ProviderRegister register, ReeveOptions options)
    {
        _ = new RequestQuery(context);
        AccountEndpoints.RequireOperator(context.Caller(), null);
        using var json = await RequestBody.ReadAsync(context, options.Limits.BodyBytesMax);
        var body = new RequestObject(json.RootElement);
        var change = Read(body);
        body.RejectUnknown();
        if (register.Find(provider) is null)
        {
            throw ApiException.NotFound("provider");
        }

        await register.ChangeAsync(context.Caller().Tenant, provider, change);
        await ApiJson.WriteAsync(context, 200, ApiJson.Bytes(register.Find(provider)!, Write));
    }

    /// <summary>What is left out stays; null resets to what the configuration says.</summary>
    private static Func<ProviderChange, ProviderChange> Read(RequestObject body)
    {
        var enabled = body.Boolean("enabled");
        var priority = (int?)body.Integer("priority", 0, ProviderSettings.PriorityMax);
        var weight = (int?)body.Integer("routingWeight", 0, ProviderSettings.WeightMax);
        var timeout = (int?)body.Integer(
            "timeoutMs", ProviderOptions.TimeoutMillisecondsMin, ProviderOptions.TimeoutMillisecondsMax);
        var concurrency = (int?)body.Integer("maxConcurrency", 1, ProviderSettings.ConcurrencyMax);
        var breaker = body.Object("circuitBreaker");
        var errorRate = (double?)breaker?.Number("errorRate", 0, 1, 6);
        var cooldown = (int?)breaker?.Integer("cooldownMs",
            ProviderSettings.CooldownMillisecondsMin, ProviderSettings.CooldownMillisecondsMax);
        foreach (var name in (ReadOnlySpan<string>)["privacy", "credential"])
        {
            if (body.Has(name))
            {
                throw body.Wrong(name, "is set by the operator's configuration and not here");
            }
        }

        var resetsBreaker = body.Has("circuitBreaker") && breaker is null;
        return before => before with
        {
            Enabled = body.Has("enabled") ? enabled : before.Enabled,
            Priority = body.Has("priority") ? priority : before.Priority,
            RoutingWeight = body.Has("routingWeight") ? weight : before.RoutingWeight,
            TimeoutMilliseconds = body.Has("timeoutMs") ? timeout : before.TimeoutMilliseconds,
            MaxConcurrency = body.Has("maxConcurrency") ? concurrency : before.MaxConcurrency,
            ErrorRate = resetsBreaker || breaker?.Has("errorRate") == true ? errorRate : before.ErrorRate,
            CooldownMilliseconds = resetsBreaker || breaker?.Has("cooldownMs") == true
                ? cooldown
                : before.CooldownMilliseconds,
        };
    }

    private static Task Health(HttpContext context, ProviderRegister register)
    {
        _ = new RequestQuery(context);
        AccountEndpoints.RequireOperator(context.Caller(), null);
        return ApiJson.WriteAsync(context, 200, ApiJson.Bytes(register.Reports(), static (writer, reports) =>
        {
            writer.WriteStartObject();
            writer.WriteStartArray("data"u8);
            foreach (var (name, report) in reports)
            {
                Write(writer, name, report);
            }

            writer.WriteEndArray();
            WriteEndOfPage(writer);
        }));
    }

    private static void Write(Utf8JsonWriter writer, ProviderRecord provider)
    {
        var (settings, marks) = (provider.Settings, provider.Marks);
        writer.WriteStartObject();
        writer.WriteString("provider"u8, provider.Name);
        writer.WriteBoolean("enabled"u8, settings.Enabled);
        writer.WriteNumber("priority"u8, settings.Priority);
        writer.WriteNumber("routingWeight"u8, settings.RoutingWeight);
        writer.WriteNumber("timeoutMs"u8, settings.TimeoutMilliseconds);
        writer.WriteNumber("maxConcurrency"u8, settings.MaxConcurrency);
        writer.WriteStartObject("circuitBreaker"u8);
        writer.WriteNumber("errorRate"u8, settings.ErrorRate);
        writer.WriteNumber("cooldownMs"u8, settings.CooldownMilliseconds);
        writer.WriteEndObject();
        writer.WriteStartObject("privacy"u8);
        writer.WriteBoolean("zero_retention"u8, marks.ZeroRetention);
        writer.WriteBoolean("operator_run"u8, marks.OperatorRun);
        writer.WriteBoolean("in_process"u8, marks.InProcess);
        writer.WriteEndObject();
        writer.WriteString("credential"u8, provider.HasCredential ? "configured" : "none");
        writer.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter writer, string name, ProviderReport report)
    {
        writer.WriteStartObject();
        writer.WriteString("provider"u8, name);
        writer.WriteString("status"u8, report.Standing switch
        {
            ProviderStanding.Healthy => "healthy",
            ProviderStanding.Degraded or ProviderStanding.Busy => "degraded",
            ProviderStanding.Open => "open",
            _ => "disabled",
        });
        writer.WriteNumber("error_rate"u8, Math.Round(report.ErrorRate, 4));
        writer.WriteStartObject("latency_ms"u8);
        WriteMilliseconds(writer, "p50"u8, report.LatencyP50);
        WriteMilliseconds(writer, "p95"u8, report.LatencyP95);
        writer.WriteEndObject();
        writer.WriteNumber("in_flight"u8, report.InFlight);
        writer.WriteString("last_success_at"u8, Time(report.LastSuccessAt));
        if (report.LastError is { } error)
        {
            writer.WriteStartObject("last_error"u8);
            writer.WriteString("code"u8, error.Code);
            writer.WriteString("at"u8, Time(error.At));
            writer.WriteEndObject();
        }
        else
        {
            writer.WriteNull("last_error"u8);
        }

        writer.WriteEndObject();
    }

    private static void WriteEndOfPage(Utf8JsonWriter writer)
    {
        writer.WriteBoolean("has_more"u8, false);
        writer.WriteNull("next_cursor"u8);
        writer.WriteEndObject();
    }

    private static void WriteMilliseconds(Utf8JsonWriter writer, ReadOnlySpan<byte> name, double? value)
    {
        if (value is { } milliseconds)
        {
            writer.WriteNumber(name, (long)Math.Round(milliseconds));
        }
        else
        {
            writer.WriteNull(name);
        }
    }

    private static string? Time(DateTimeOffset? time) => time?.UtcDateTime.ToString(
        WireTimeConverter.Format, System.Globalization.CultureInfo.InvariantCulture);
}
