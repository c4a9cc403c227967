using System.Data.Common;
using Reeve.Server.Storage;

namespace Reeve.Server.Webhooks;

/// <summary>All SQL of webhooks and their deliveries. Only the deliverer looks beyond one account.</summary>
internal static class WebhookStore
{
    private const string Columns = "id, account_id, url, events, description, enabled, secret, old_secret, "
        + "old_secret_until, failing_since, created_at, updated_at";

    private const string DeliveryColumns = "webhook_id, event_id, account_id, sequence, type, subject, available, "
        + "status, attempts, next_at, response_status, error, created_at, finished_at";

    internal static long Count(DbSession session, TenantContext tenant) =>
        session.Count("SELECT count(*) FROM webhooks WHERE account_id = $1", tenant.AccountId);

    internal static void Insert(DbSession session, Webhook webhook) => session.Execute(
        "INSERT INTO webhooks (" + Columns + ", sequence) "
        + "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0)",
        webhook.Id, webhook.Tenant.AccountId, webhook.Url, string.Join(' ', webhook.Events), webhook.Description,
        webhook.Enabled ? 1 : 0, webhook.Secret, webhook.OldSecret, webhook.OldSecretUntil?.ToUnixTimeMilliseconds(),
        webhook.FailingSince?.ToUnixTimeMilliseconds(), webhook.CreatedAt.ToUnixTimeMilliseconds(),
        webhook.UpdatedAt.ToUnixTimeMilliseconds());

    internal static void Update(DbSession session, Webhook webhook) => session.Execute(
        "UPDATE webhooks SET url = $3, events = $4, description = $5, enabled = $6, secret = $7, old_secret = $8, "
        + "old_secret_until = $9, failing_since = $10, updated_at = $11 WHERE id = $1 AND account_id = $2",
        webhook.Id, webhook.Tenant.AccountId, webhook.Url, string.Join(' ', webhook.Events), webhook.Description,
        webhook.Enabled ? 1 : 0, webhook.Secret, webhook.OldSecret, webhook.OldSecretUntil?.ToUnixTimeMilliseconds(),
        webhook.FailingSince?.ToUnixTimeMilliseconds(), webhook.UpdatedAt.ToUnixTimeMilliseconds());

    internal static bool Delete(DbSession session, TenantContext tenant, string id)
    {
        session.Execute(
            "DELETE FROM webhook_deliveries WHERE webhook_id = $1 AND account_id = $2", id, tenant.AccountId);
        return session.Execute("DELETE FROM webhooks WHERE id = $1 AND account_id = $2", id, tenant.AccountId) == 1;
    }

    internal static Webhook? Find(DbSession session, TenantContext tenant, string id) => session.Single(
        "SELECT " + Columns + " FROM webhooks WHERE id = $1 AND account_id = $2", Map, id, tenant.AccountId);

    internal static List<Webhook> List(DbSession session, TenantContext tenant, string? after, int limit) =>
        session.List(
            "SELECT " + Columns + " FROM webhooks WHERE account_id = $1 AND ($2 IS NULL OR id < $2) "
            + "ORDER BY id DESC LIMIT $3", Map, tenant.AccountId, after, limit);

    /// <summary>The next number of a webhook's deliveries; null when it is gone, or off and not just tested.</summary>
    internal static long? NextSequence(DbSession session, TenantContext tenant, string id, bool asTest) =>
        session.ExecuteNumber(
            "UPDATE webhooks SET sequence = sequence + 1 WHERE id = $1 AND account_id = $2 AND (enabled = 1 OR $3 = 1) "
            + "RETURNING sequence", id, tenant.AccountId, asTest ? 1 : 0);

    internal static void Insert(DbSession session, WebhookDelivery delivery) => session.Execute(
        "INSERT INTO webhook_deliveries (" + DeliveryColumns + ") "
        + "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        delivery.WebhookId, delivery.EventId, delivery.Tenant.AccountId, delivery.Sequence, delivery.Type,
        delivery.Subject, delivery.Available, delivery.Status, delivery.Attempts,
        delivery.NextAt?.ToUnixTimeMilliseconds(), delivery.ResponseStatus, delivery.Error,
        delivery.CreatedAt.ToUnixTimeMilliseconds(), delivery.FinishedAt?.ToUnixTimeMilliseconds());

    /// <summary>Writes how an attempt went, unless the delivery is over already.</summary>
    internal static void Record(DbSession session, WebhookDelivery delivery) => session.Execute(
        "UPDATE webhook_deliveries SET status = $4, attempts = $5, next_at = $6, response_status = $7, error = $8, "
        + "finished_at = $9 WHERE webhook_id = $1 AND event_id = $2 AND account_id = $3 AND next_at IS NOT NULL",
        delivery.WebhookId, delivery.EventId, delivery.Tenant.AccountId, delivery.Status, delivery.Attempts,
        delivery.NextAt?.ToUnixTimeMilliseconds(), delivery.ResponseStatus, delivery.Error,
        delivery.FinishedAt?.ToUnixTimeMilliseconds());

    /// <summary>Ends all that is on its way to a webhook that is off.</summary>
    internal static void GiveUp(DbSession session, TenantContext tenant, string webhookId, DateTimeOffset now) =>
        session.Execute(
            "UPDATE webhook_deliveries SET status = 'failed', next_at = NULL, error = 'disabled', finished_at = $3 "
            + "WHERE webhook_id = $1 AND account_id = $2 AND next_at IS NOT NULL",
            webhookId, tenant.AccountId, now.ToUnixTimeMilliseconds());

    /// <summary>Ends the oldest of what is on its way, so that no more than so many are left.</summary>
    internal static void GiveUpOldest(
        DbSession session, TenantContext tenant, string webhookId, int kept, DateTimeOffset now)
    {
        var pending = session.Count("SELECT count(*) FROM webhook_deliveries "
            + "WHERE webhook_id = $1 AND next_at IS NOT NULL", webhookId);
        if (pending > kept)
        {
            session.Execute(
                "UPDATE webhook_deliveries SET status = 'failed', next_at = NULL, error = 'overflow', finished_at = $3 "
                + "WHERE webhook_id = $1 AND account_id = $2 AND event_id IN (SELECT event_id FROM webhook_deliveries "
                + "WHERE webhook_id = $1 AND next_at IS NOT NULL ORDER BY sequence LIMIT $4)",
                webhookId, tenant.AccountId, now.ToUnixTimeMilliseconds(), pending - kept);
        }
    }

    internal static List<WebhookDelivery> Deliveries(
        DbSession session, TenantContext tenant, string webhookId, string? after, int limit) => session.List(
        "SELECT " + DeliveryColumns + " FROM webhook_deliveries WHERE webhook_id = $1 AND account_id = $2 "
        + "AND ($3 IS NULL OR event_id < $3) ORDER BY event_id DESC LIMIT $4",
        MapDelivery, webhookId, tenant.AccountId, after, limit);

    /// <summary>
    /// Whom something is due to, whoever's they are, with whether the newest attempt failed; the longest due first.
    /// </summary>
    internal static List<(string Id, string AccountId, string Url, bool IsFailing)> DueWebhooks(
        DbSession session, DateTimeOffset now) => session.List(
        "SELECT id, account_id, url, failing FROM (SELECT w.id, w.account_id, w.url, "
        + "w.failing_since IS NOT NULL AS failing, (SELECT min(d.next_at) FROM webhook_deliveries d "
        + "WHERE d.webhook_id = w.id AND d.next_at IS NOT NULL) AS due FROM webhooks w) WHERE due <= $1 ORDER BY due",
        static row => (row.GetString(0), row.GetString(1), row.GetString(2), row.GetInt64(3) == 1),
        now.ToUnixTimeMilliseconds());

    /// <summary>What is due to a webhook, the longest due first.</summary>
    internal static List<WebhookDelivery> Due(DbSession session, string webhookId, DateTimeOffset now, int limit) =>
        session.List(
            "SELECT " + DeliveryColumns + " FROM webhook_deliveries WHERE webhook_id = $1 AND next_at <= $2 "
            + "ORDER BY next_at, event_id LIMIT $3",
            MapDelivery, webhookId, now.ToUnixTimeMilliseconds(), limit);

    /// <summary>When the next delivery is due that is not due yet.</summary>
    internal static DateTimeOffset? NextDue(DbSession session, DateTimeOffset now) => session.Single(
        "SELECT min((SELECT min(d.next_at) FROM webhook_deliveries d "
        + "WHERE d.webhook_id = w.id AND d.next_at > $1)) FROM webhooks w",
        static row => row.IsDBNull(0) ? (DateTimeOffset?)null : row.Time(0), now.ToUnixTimeMilliseconds());

    /// <summary>Drops a share of the deliveries that were over by then; true: there may be more.</summary>
    internal static bool Forget(DbSession session, DateTimeOffset before, int limit) => session.Execute(
        "DELETE FROM webhook_deliveries WHERE (webhook_id, event_id) IN (SELECT webhook_id, event_id "
        + "FROM webhook_deliveries WHERE next_at IS NULL AND finished_at < $1 LIMIT $2)",
        before.ToUnixTimeMilliseconds(), limit) == limit;

    internal static bool IsClosed(DbSession session, TenantContext tenant) => session.Exists(
        "SELECT 1 FROM accounts WHERE id = $1 AND status = 'closed'", tenant.AccountId);

    /// <summary>True the first time that an account is found below the limit.</summary>
    internal static bool MarkLow(DbSession session, string accountId, DateTimeOffset now) => session.Execute(
        "INSERT INTO low_balances (account_id, at) VALUES ($1, $2) ON CONFLICT (account_id) DO NOTHING",
        accountId, now.ToUnixTimeMilliseconds()) == 1;

    internal static void UnmarkLow(DbSession session, string accountId) =>
        session.Execute("DELETE FROM low_balances WHERE account_id = $1", accountId);

    private static Webhook Map(DbDataReader row) => new()
    {
        Id = row.GetString(0),
        Tenant = new TenantContext(row.GetString(1)),
        Url = row.GetString(2),
        Events = row.GetString(3).Split(' '),
        Description = row.StringOrNull(4),
        Enabled = row.GetInt64(5) == 1,
        Secret = row.GetFieldValue<byte[]>(6),
        OldSecret = row.BytesOrNull(7),
        OldSecretUntil = TimeOrNull(row, 8),
        FailingSince = TimeOrNull(row, 9),
        CreatedAt = row.Time(10),
        UpdatedAt = row.Time(11),
    };

    private static WebhookDelivery MapDelivery(DbDataReader row) => new()
    {
        WebhookId = row.GetString(0),
        EventId = row.GetString(1),
        Tenant = new TenantContext(row.GetString(2)),
        Sequence = row.GetInt64(3),
        Type = row.GetString(4),
        Subject = row.GetString(5),
        Available = row.LongOrNull(6),
        Status = row.GetString(7),
        Attempts = row.GetInt32(8),
        NextAt = TimeOrNull(row, 9),
        ResponseStatus = (int?)row.LongOrNull(10),
        Error = row.StringOrNull(11),
        CreatedAt = row.Time(12),
        FinishedAt = TimeOrNull(row, 13),
    };

    private static DateTimeOffset? TimeOrNull(DbDataReader row, int column) =>
        row.IsDBNull(column) ? null : row.Time(column);
}
