using System.Security.Cryptography;
using System.Text;
using Reeve.Server.Audit;
using Reeve.Server.Http;
using Reeve.Server.Storage;

namespace Reeve.Server.Webhooks;

/// <summary>What a caller wants of a new webhook.</summary>
internal sealed record NewWebhook(string Url, IReadOnlyList<string> Events, string? Description, bool Enabled);

/// <summary>Makes, changes and deletes webhooks; what they hear of follows from the next event on.</summary>
internal sealed class WebhookRegister(
    Database database, WebhookSubscriptions subscriptions, WebhookOutbox outbox, WebhookFlights flights,
    WebhookSecrets secrets, IdGenerator ids, TimeProvider time)
{
    internal const int PerAccountMax = 20;

    private static readonly TimeSpan OldSecretLife = TimeSpan.FromHours(24);

    // Whole milliseconds, as they are stored.
    private DateTimeOffset Now => DateTimeOffset.FromUnixTimeMilliseconds(time.GetUtcNow().ToUnixTimeMilliseconds());

    /// <summary>Answers the webhook and its secret, which nobody is shown again.</summary>
    internal async Task<(Webhook Webhook, string Secret)> CreateAsync(TenantContext tenant, NewWebhook wanted)
    {
        var (id, secret) = (ids.New(Id.Webhook), WebhookSecrets.Make());
        var webhook = new Webhook
        {
            Id = id,
            Tenant = tenant,
            Url = wanted.Url,
            Events = wanted.Events,
            Description = wanted.Description,
            Enabled = wanted.Enabled,
            Secret = secrets.Seal(secret, tenant.AccountId, id),
            CreatedAt = Now,
            UpdatedAt = Now,
        };
        await database.WriteAsync(session =>
        {
            if (WebhookStore.Count(session, tenant) >= PerAccountMax)
            {
                throw new ApiException(ApiErrorCodes.Conflict,
                    $"An account has at most {PerAccountMax} webhooks; delete one first.");
            }

            WebhookStore.Insert(session, webhook);
            AuditLog.Append(session, tenant, AuditTypes.WebhookCreated, id, webhook.CreatedAt, Facts(webhook));
        });
        subscriptions.Changed();
        return (webhook, WebhookSecrets.Text(secret));
    }

    internal Webhook Get(TenantContext tenant, string id) =>
        database.Read(session => WebhookStore.Find(session, tenant, id)) ?? throw ApiException.NotFound("webhook");

    internal List<Webhook> List(TenantContext tenant, PageQuery page) =>
        database.Read(session => WebhookStore.List(session, tenant, page.After, page.Limit + 1));

    internal List<WebhookDelivery> Deliveries(TenantContext tenant, string id, PageQuery page) =>
        database.Read(session => WebhookStore.Find(session, tenant, id) is null
            ? throw ApiException.NotFound("webhook")
            : WebhookStore.Deliveries(session, tenant, id, page.After, page.Limit + 1));

    /// <summary>Turning a webhook off ends what is on its way to it; turning it on clears its past.</summary>
    internal async Task<Webhook> ChangeAsync(TenantContext tenant, string id, Func<Webhook, Webhook> change)
    {
        var now = Now;
        var changed = await database.WriteAsync(session =>
        {
            var webhook = WebhookStore.Find(session, tenant, id) ?? throw ApiException.NotFound("webhook");
            var next = change(webhook) with { UpdatedAt = now };
            next = next.Enabled && !webhook.Enabled ? next with { FailingSince = null } : next;
            WebhookStore.Update(session, next);
            AuditLog.Append(session, tenant, AuditTypes.WebhookChanged, id, now, Facts(next));
            if (!next.Enabled)
            {
                WebhookStore.GiveUp(session, tenant, id, now);
            }

            return next;
        });
        subscriptions.Changed();
        flights.Cancel(id); // What is under way goes to the old address, or to one that is off.
        return changed;
    }

    /// <summary>When it returns, nothing more is sent.</summary>
    internal async Task DeleteAsync(TenantContext tenant, string id)
    {
        await database.WriteAsync(session =>
        {
            if (!WebhookStore.Delete(session, tenant, id))
            {
                throw ApiException.NotFound("webhook");
            }

            AuditLog.Append(session, tenant, AuditTypes.WebhookDeleted, id, Now);
        });

        subscriptions.Changed();
        flights.Cancel(id);
    }

    /// <summary>A new secret; those before it sign too for a day.</summary>
    internal async Task<(Webhook Webhook, string Secret)> RotateAsync(TenantContext tenant, string id)
    {
        var secret = WebhookSecrets.Make();
        var webhook = await ChangeSecretAsync(tenant, id, secrets.Seal(secret, tenant.AccountId, id));
        return (webhook, WebhookSecrets.Text(secret));
    }

    private Task<Webhook> ChangeSecretAsync(TenantContext tenant, string id, byte[] sealedSecret) =>
        database.WriteAsync(session =>
        {
            var webhook = WebhookStore.Find(session, tenant, id) ?? throw ApiException.NotFound("webhook");
            var next = webhook with
            {
                Secret = sealedSecret,
                OldSecret = WebhookSecrets.Older(webhook, Now),
                OldSecretUntil = Now + OldSecretLife,
                UpdatedAt = Now,
            };
            WebhookStore.Update(session, next);
            AuditLog.Append(session, tenant, AuditTypes.WebhookRotated, id, next.UpdatedAt);
            return next;
        });

    // Where content goes changes trust; the address is told by its hash, for it may be a secret itself.
    private static string Facts(Webhook webhook) => AuditLog.Detail(
        ("url_sha256", Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(webhook.Url)))),
        ("events", string.Join(' ', webhook.Events)), ("enabled", webhook.Enabled ? "true" : "false"));

    internal Task<WebhookDelivery> TestAsync(TenantContext tenant, string id) => database.WriteAsync(session =>
        outbox.Test(session, tenant, id) ?? throw ApiException.NotFound("webhook"));
}
