using Reeve.Server.Accounts;
using Reeve.Server.Credits;
using Reeve.Server.Egress;
using Reeve.Server.Http;
using Reeve.Server.Retrieval;
using Reeve.Server.Runs;
using Reeve.Server.Storage;

namespace Reeve.Server.Webhooks;

/// <summary>Webhooks and their deliveries (wire-mesh 5.5).</summary>
internal static class WebhookEndpoints
{
    private const int EventsMax = 100;

    internal static void AddWebhooks(this IServiceCollection services)
    {
        services.AddSingleton(WebhookSchemas.All);
        services.AddSingleton(static provider => provider.GetRequiredService<ReeveOptions>().Webhooks);
        services.AddSingleton(static provider =>
            new WebhookSecrets(provider.GetRequiredService<MasterKey>().Derive("webhooks")));
        services.AddSingleton<WebhookSubscriptions>();
        services.AddSingleton<WebhookOutbox>();
        services.AddSingleton<WebhookFlights>();
        services.AddSingleton<WebhookBodies>();
        services.AddSingleton<WebhookRegister>();
        services.AddHostedService<WebhookDeliverer>();
        services.AddSingleton<RunEndNews>(static provider => provider.GetRequiredService<WebhookOutbox>().News);
        services.AddSingleton<BalanceWatch>(static provider => provider.GetRequiredService<WebhookOutbox>().Watch);
        services.AddSingleton<DocumentNews>(static provider => (tenant, document) =>
            provider.GetRequiredService<WebhookOutbox>().News(
                tenant, $"document.{document.Status}", document.Id, document.UpdatedAt));
    }

    internal static void MapWebhooks(this IEndpointRouteBuilder app)
    {
        var webhooks = app.MapGroup("/v1/webhooks").RequireScope(ApiKeyScopes.Agents).WithTags("Webhooks");
        webhooks.MapGet("", List).WithName("listWebhooks").WithSummary("Lists webhooks, newest first.")
            .Lists("Webhook");
        webhooks.MapPost("", CreateAsync).WithName("createWebhook")
            .WithSummary("Makes a webhook; its secret is shown once.")
            .Takes("WebhookCreate").Answers(201, "Webhook", "The webhook with its secret.")
            .Refuses(ApiErrorCodes.Conflict);
        webhooks.MapGet("/{id}", Show).WithName("getWebhook").WithSummary("Shows a webhook.")
            .Answers(200, "Webhook", "The webhook.");
        webhooks.MapPatch("/{id}", ChangeAsync).WithName("changeWebhook").WithSummary("Changes a webhook.")
            .Takes("WebhookChange").Answers(200, "Webhook", "The webhook.");
        webhooks.MapDelete("/{id}", DeleteAsync).WithName("deleteWebhook")
            .WithSummary("Deletes a webhook with its deliveries; nothing more is sent to it.")
            .AnswersNothing("The webhook is gone.");
        webhooks.MapPost("/{id}/test", TestAsync).WithName("testWebhook")
            .WithSummary("Sends webhook.test, once; the deliveries show what became of it.")
            .Takes("Nothing", required: false).Answers(202, "WebhookDelivery", "It is on its way.");
        webhooks.MapPost("/{id}/rotate", RotateAsync).WithName("rotateWebhookSecret")
            .WithSummary("Makes a new secret, shown once; the old one signs too for 24 hours.")
            .Takes("Nothing", required: false).Answers(200, "Webhook", "The webhook with its new secret.");
        webhooks.MapGet("/{id}/deliveries", Deliveries).WithName("listWebhookDeliveries")
            .WithSummary("Lists deliveries of the last 30 days, newest first.").Lists("WebhookDelivery");
    }

    private static Task List(HttpContext context, WebhookRegister webhooks)
    {
        var page = PageQuery.Read(new RequestQuery(context, "limit", "after"), Id.Webhook);
        var found = webhooks.List(context.Caller().Tenant, page);
        return ApiJson.WriteAsync(context, 200,
            Page<Webhook>.Of(found, page.Limit, static one => one.Id).Map(WebhookRecord.Of),
            WebhookJson.Wire.PageWebhookRecord);
    }

    private static async Task CreateAsync(HttpContext context, WebhookRegister webhooks, ReeveOptions options)
    {
        _ = new RequestQuery(context);
        NewWebhook wanted;
        using (var json = await RequestBody.ReadAsync(context, options.Limits.BodyBytesMax))
        {
            var body = new RequestObject(json.RootElement);
            wanted = new NewWebhook(
                Url(body, options) ?? throw body.Wrong("url", "is required"),
                Events(body) ?? throw body.Wrong("events", "is required"),
                body.String("description", 0, WebhookSchemas.DescriptionMax), body.Boolean("enabled") ?? true);
            body.RejectUnknown();
        }

        var (webhook, secret) = await webhooks.CreateAsync(context.Caller().Tenant, wanted);
        await ApiJson.WriteAsync(context, 201,
            WebhookRecord.Of(webhook) with { Secret = secret }, WebhookJson.Wire.WebhookRecord);
    }

    private static Task Show(HttpContext context, string id, WebhookRegister webhooks)
    {
        _ = new RequestQuery(context);
        return ApiJson.WriteAsync(context, 200,
            WebhookRecord.Of(webhooks.Get(context.Caller().Tenant, Canonical(id))), WebhookJson.Wire.WebhookRecord);
    }

    private static async Task ChangeAsync(
        HttpContext context, string id, WebhookRegister webhooks, ReeveOptions options)
    {
        _ = new RequestQuery(context);
        Func<Webhook, Webhook> change;
        using (var json = await RequestBody.ReadAsync(context, options.Limits.BodyBytesMax))
        {
            change = ReadChange(new RequestObject(json.RootElement), options);
        }

        var webhook = await webhooks.ChangeAsync(context.Caller().Tenant, Canonical(id), change);
        await ApiJson.WriteAsync(context, 200, WebhookRecord.Of(webhook), WebhookJson.Wire.WebhookRecord);
    }

    private static Func<Webhook, Webhook> ReadChange(RequestObject body, ReeveOptions options)
    {
        var (url, events) = (Url(body, options), Events(body));
        foreach (var (name, value) in (ReadOnlySpan<(string, object?)>)[("url", url), ("events", events)])
        {
            if (body.Has(name) && value is null)
            {
                throw body.Wrong(name, "is required");
            }
        }

        var description = body.String("description", 0, WebhookSchemas.DescriptionMax);
        var enabled = body.Boolean("enabled") ?? true;
        var (hasDescription, hasEnabled) = (body.Has("description"), body.Has("enabled"));
        body.RejectUnknown();
        return webhook => webhook with
        {
            Url = url ?? webhook.Url,
            Events = events ?? webhook.Events,
            Description = hasDescription ? description : webhook.Description,
            Enabled = hasEnabled ? enabled : webhook.Enabled,
        };
    }

    private static async Task DeleteAsync(HttpContext context, string id, WebhookRegister webhooks)
    {
        _ = new RequestQuery(context);
        await webhooks.DeleteAsync(context.Caller().Tenant, Canonical(id));
        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    private static async Task TestAsync(HttpContext context, string id, WebhookRegister webhooks, ReeveOptions options)
    {
        await ReadNothingAsync(context, options);
        var delivery = await webhooks.TestAsync(context.Caller().Tenant, Canonical(id));
        await ApiJson.WriteAsync(context, 202, DeliveryRecord.Of(delivery), WebhookJson.Wire.DeliveryRecord);
    }

    private static async Task RotateAsync(
        HttpContext context, string id, WebhookRegister webhooks, ReeveOptions options)
    {
        await ReadNothingAsync(context, options);
        var (webhook, secret) = await webhooks.RotateAsync(context.Caller().Tenant, Canonical(id));
        await ApiJson.WriteAsync(context, 200,
            WebhookRecord.Of(webhook) with { Secret = secret }, WebhookJson.Wire.WebhookRecord);
    }

    private static Task Deliveries(HttpContext context, string id, WebhookRegister webhooks)
    {
        var page = PageQuery.Read(new RequestQuery(context, "limit", "after"), Id.Event);
        var found = webhooks.Deliveries(context.Caller().Tenant, Canonical(id), page);
        return ApiJson.WriteAsync(context, 200,
            Page<WebhookDelivery>.Of(found, page.Limit, static one => one.EventId).Map(DeliveryRecord.Of),
            WebhookJson.Wire.PageDeliveryRecord);
    }

    private static async Task ReadNothingAsync(HttpContext context, ReeveOptions options)
    {
        _ = new RequestQuery(context);
        using var document = await RequestBody.ReadOptionalAsync(context, options.Limits.BodyBytesMax);
        new RequestObject(document.RootElement).RejectUnknown();
    }

    private static string Canonical(string id) =>
        Id.TryParse(Id.Webhook, id, out var webhook) ? webhook : throw ApiException.NotFound("webhook");

    private static string? Url(RequestObject body, ReeveOptions options) =>
        body.String("url", 1, EgressUrl.LengthMax) is not { } text ? null
            : EgressUrl.TryRead(text, options.Egress, out _, out var problem) ? text
            : throw body.Wrong("url", problem);

    private static List<string>? Events(RequestObject body)
    {
        if (body.Strings("events", EventsMax, 64) is not { } events)
        {
            return null;
        }

        if (events.Count == 0)
        {
            throw body.Wrong("events", "must not be empty");
        }

        for (var i = 0; i < events.Count; i++)
        {
            if (!WebhookEvents.All.Contains(events[i]))
            {
                throw body.Wrong($"events[{i}]", $"must be one of {string.Join(", ", WebhookEvents.All)}");
            }
        }

        return [.. events.Distinct()];
    }
}
