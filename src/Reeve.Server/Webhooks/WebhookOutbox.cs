using System.Threading.Channels;
using Reeve.Server.Storage;

namespace Reeve.Server.Webhooks;

/// <summary>
/// Writes what webhooks are to hear of, in the transaction in which it happens: what was committed is delivered, and
/// nothing else is.
/// </summary>
internal sealed class WebhookOutbox(
    WebhookSubscriptions subscriptions, IdGenerator ids, TimeProvider time, CreditOptions credits,
    WebhookOptions options, Failpoints failpoints)
{
    /// <summary>The bound is looked at once in so many events: looking reads all that is pending.</summary>
    private const int BoundedEvery = 100;

    private readonly long _lowBalance = decimal.ToInt64(credits.LowBalanceUsd * 1_000_000);

    private readonly Channel<bool> _bell = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    /// <summary>
    /// Rings when something was written. It may ring before the commit: whoever hears it waits for the writer first.
    /// </summary>
    internal ChannelReader<bool> Bell => _bell.Reader;

    internal void Ring() => _bell.Writer.TryWrite(true);

    /// <summary>What the transaction has to write of an event; null when nobody wants to hear of it.</summary>
    internal Action<DbSession>? News(TenantContext tenant, string type, string subject, DateTimeOffset at)
    {
        var webhooks = subscriptions.Of(tenant, type);
        return webhooks.Count == 0 ? null : session => Write(session, tenant, webhooks, new Event(type, subject, at));
    }

    /// <summary>Looks at a live balance after each change, inside of its transaction.</summary>
    internal void Watch(DbSession session, string accountId, string mode, long available, bool isTopUp)
    {
        if (mode != "live")
        {
            return;
        }

        if (isTopUp)
        {
            if (available >= _lowBalance)
            {
                WebhookStore.UnmarkLow(session, accountId);
            }

            return;
        }

        var tenant = new TenantContext(accountId);
        if (available < _lowBalance && subscriptions.Of(tenant, WebhookEvents.BalanceLow) is { Count: > 0 } webhooks
            && WebhookStore.MarkLow(session, accountId, time.GetUtcNow()))
        {
            Write(session, tenant, webhooks,
                new Event(WebhookEvents.BalanceLow, accountId, time.GetUtcNow()) { Available = available });
        }
    }

    /// <summary>A delivery that its owner asked for; null when there is no such webhook.</summary>
    internal WebhookDelivery? Test(DbSession session, TenantContext tenant, string webhookId) =>
        Write(session, tenant, webhookId, ids.New(Id.Event),
            new Event(WebhookEvents.Test, webhookId, time.GetUtcNow()));

    private void Write(DbSession session, TenantContext tenant, IReadOnlyList<string> webhooks, Event what)
    {
        var eventId = ids.New(Id.Event);
        foreach (var webhook in webhooks)
        {
            Write(session, tenant, webhook, eventId, what);
        }

        failpoints.Hit(Failpoints.WebhookQueued);
    }

    private WebhookDelivery? Write(
        DbSession session, TenantContext tenant, string webhookId, string eventId, Event what)
    {
        var asTest = what.Type == WebhookEvents.Test;
        if (WebhookStore.NextSequence(session, tenant, webhookId, asTest) is not { } sequence)
        {
            return null; // It was deleted or turned off since its subscription was read.
        }

        var delivery = new WebhookDelivery
        {
            WebhookId = webhookId,
            EventId = eventId,
            Tenant = tenant,
            Sequence = sequence,
            Type = what.Type,
            Subject = what.Subject,
            Available = what.Available,
            Status = DeliveryStatuses.Pending,
            Attempts = 0,
            NextAt = what.At,
            CreatedAt = what.At,
        };
        WebhookStore.Insert(session, delivery);
        if (sequence % BoundedEvery == 0)
        {
            WebhookStore.GiveUpOldest(session, tenant, webhookId, options.PendingMax, what.At);
        }

        Ring();
        return delivery;
    }

    private sealed record Event(string Type, string Subject, DateTimeOffset At)
    {
        internal long? Available { get; init; }
    }
}
