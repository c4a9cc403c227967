using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Http.Headers;
using Reeve.Server.Egress;
using Reeve.Server.Storage;

namespace Reeve.Server.Webhooks;

/// <summary>
/// Delivers what the outbox holds, at least once each:
/// <list type="number">
/// <item>look what is due, the longest due first; take as much as may be under way at once;</item>
/// <item>read webhook and event as they are now, sign, send;</item>
/// <item>write how it went: over, or due again later.</item>
/// </list>
/// What is under way is known in memory alone. After a crash its row is still due: it is sent again with the same id.
/// </summary>
internal sealed partial class WebhookDeliverer(
    Database database, WebhookOutbox outbox, WebhookSubscriptions subscriptions, WebhookFlights flights,
    WebhookBodies bodies, WebhookSecrets secrets, SafeHttp http, WebhookOptions options, TimeProvider time,
    Failpoints failpoints, ILogger<WebhookDeliverer> logger) : BackgroundService
{
    private const int ForgottenAtOnce = 500;

    private static readonly TimeSpan AnswerMax = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan NapMax = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan StopGrace = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan SweepInterval = TimeSpan.FromHours(1);
    private static readonly TimeSpan LogKept = TimeSpan.FromDays(30);

    /// <summary>A webhook that took nothing for so long is turned off.</summary>
    private static readonly TimeSpan FailingMax = TimeSpan.FromDays(5);

    private readonly ConcurrentDictionary<Task, byte> _attempts = new();
    private DateTimeOffset _sweptAt;

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        try
        {
            await Task.WhenAll(_attempts.Keys).WaitAsync(StopGrace, TimeProvider.System, cancellationToken);
        }
        catch (Exception error) when (error is TimeoutException or OperationCanceledException)
        {
            flights.CancelAll(); // They stay due.
            await Task.WhenAll(_attempts.Keys);
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            var nap = Pause;
            try
            {
                nap = await LookAsync(stoppingToken);
            }
#pragma warning disable CA1031 // Whatever it was, deliveries go on after a while.
            catch (Exception error)
#pragma warning restore CA1031
            {
                LogFault(error);
            }

            await NapAsync(nap, stoppingToken);
        }
    }

    private async Task NapAsync(TimeSpan nap, CancellationToken stoppingToken)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
        await Task.WhenAny(outbox.Bell.WaitToReadAsync(over.Token).AsTask(), Task.Delay(nap, time, over.Token));
        await over.CancelAsync();
    }

    /// <summary>Begins what is due and may begin; answers how long there is nothing else to do.</summary>
    private async Task<TimeSpan> LookAsync(CancellationToken stoppingToken)
    {
        if (outbox.Bell.TryRead(out _))
        {
            await database.WriteAsync(static _ => true); // What rang may not be committed yet; this comes after it.
        }

        var now = time.GetUtcNow();
        var dueWebhooks = database.Read(session => WebhookStore.DueWebhooks(session, now));
        var failing = dueWebhooks.Where(static one => one.IsFailing).CountBy(static one => one.AccountId)
            .ToDictionary(StringComparer.Ordinal);
        foreach (var (id, accountId, url, isFailing) in dueWebhooks)
        {
            // So many more than may be under way that those that are do not hide the others.
            var due = database.Read(session => WebhookStore.Due(session, id, now, 2 * WebhookFlights.PerOriginMax));
            foreach (var delivery in due.TakeWhile(_ => !stoppingToken.IsCancellationRequested))
            {
                var origin = new Uri(url).GetLeftPart(UriPartial.Authority);
                if (flights.TryBegin(delivery, origin, isFailing ? failing[accountId] : 0) is { } flight)
                {
                    Track(Task.Run(() => FlyAsync(flight, stoppingToken), CancellationToken.None));
                }
            }
        }

        await SweepAsync(now);
        var next = database.Read(session => WebhookStore.NextDue(session, now)) - time.GetUtcNow();
        return next is not { } wait || wait > NapMax ? NapMax : wait < TimeSpan.Zero ? TimeSpan.Zero : wait;
    }

    private void Track(Task attempt)
    {
        _attempts.TryAdd(attempt, 0);
        _ = attempt.ContinueWith(done => _attempts.TryRemove(done, out _), TaskScheduler.Default);
    }

    private async Task FlyAsync(WebhookFlight flight, CancellationToken stoppingToken)
    {
        try
        {
            await RecordAsync(flight, await TryAsync(flight), stoppingToken);
        }
        catch (OperationCanceledException)
        {
            // It stays due, or its webhook is gone.
        }
#pragma warning disable CA1031 // A delivery that stays due and fails at once would be tried as fast as the machine can.
        catch (Exception error)
#pragma warning restore CA1031
        {
            LogFault(error);
            await Task.WhenAny(Task.Delay(Pause, time, stoppingToken));
        }
        finally
        {
            flights.End(flight);
            outbox.Ring();
        }
    }

    /// <summary>One attempt; the delivery as it is after it.</summary>
    private async Task<WebhookDelivery> TryAsync(WebhookFlight flight)
    {
        var delivery = flight.Delivery;
        try
        {
            var isTest = delivery.Type == WebhookEvents.Test;
            var (webhook, isClosed) = database.Read(session => (
                WebhookStore.Find(session, delivery.Tenant, delivery.WebhookId),
                WebhookStore.IsClosed(session, delivery.Tenant)));
            if (webhook is null)
            {
                throw new OperationCanceledException();
            }

            if (isClosed || !(webhook.Enabled || isTest))
            {
                return Over(delivery, DeliveryStatuses.Failed) with { Error = "disabled" };
            }

            var answer = await SendAsync(webhook, delivery, flight.Cancelled);
            return answer.Status is >= 200 and < 300
                ? Over(delivery, DeliveryStatuses.Delivered) with
                {
                    Attempts = delivery.Attempts + 1,
                    ResponseStatus = answer.Status,
                    Error = null,
                }
                : Failed(delivery, answer.Status, null);
        }
        catch (EgressException error)
        {
            return Failed(delivery, null, error.Word);
        }
        catch (Exception error) when (error is not (OperationCanceledException or StorageException))
        {
            LogFault(error);
            return Failed(delivery, null, "internal");
        }
    }

    private async Task<EgressAnswer> SendAsync(
        Webhook webhook, WebhookDelivery delivery, CancellationToken cancellationToken)
    {
        var body = bodies.Of(delivery);
        var now = time.GetUtcNow();
        var timestamp = now.ToUnixTimeSeconds();
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(webhook.Url));
        request.Content = new ReadOnlyMemoryContent(body);
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.TryAddWithoutValidation("User-Agent", "Reeve");
        request.Headers.TryAddWithoutValidation("webhook-id", delivery.EventId);
        request.Headers.TryAddWithoutValidation(
            "webhook-timestamp", timestamp.ToString(CultureInfo.InvariantCulture));
        request.Headers.TryAddWithoutValidation(
            "webhook-signature", secrets.Sign(webhook, delivery.EventId, timestamp, body.Span, now));
        failpoints.Hit(Failpoints.WebhookSending);
        var answer = await http.SendAsync(request, AnswerMax, bodyBytesMax: 0, cancellationToken);
        failpoints.Hit(Failpoints.WebhookSent);
        return answer;
    }

    private WebhookDelivery Over(WebhookDelivery delivery, string status) =>
        delivery with { Status = status, NextAt = null, FinishedAt = time.GetUtcNow() };

    // A test is tried once: its owner looks at it now.
    private WebhookDelivery Failed(WebhookDelivery delivery, int? responseStatus, string? error)
    {
        var failed = delivery with
        {
            Attempts = delivery.Attempts + 1,
            ResponseStatus = responseStatus,
            Error = error,
        };
        return delivery.Type == WebhookEvents.Test || delivery.Attempts >= options.RetrySeconds.Count
            ? Over(failed, DeliveryStatuses.Failed)
            : failed with { NextAt = time.GetUtcNow().AddSeconds(options.RetrySeconds[delivery.Attempts]) };
    }

    // The result is written before anything else: without it the same would be sent again at once.
    private async Task RecordAsync(
        WebhookFlight flight, WebhookDelivery delivery, CancellationToken stoppingToken)
    {
        while (true)
        {
            try
            {
                if (await database.WriteAsync(session => Record(session, delivery)))
                {
                    subscriptions.Changed();
                    flights.Cancel(delivery.WebhookId);
                    LogDisabled(delivery.WebhookId);
                }

                failpoints.Hit(Failpoints.WebhookRecorded);
                return;
            }
            catch (StorageException error)
            {
                LogFault(error);
                using var either = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken, flight.Cancelled);
                await Task.Delay(Pause, time, either.Token);
            }
        }
    }

    /// <summary>True when the webhook was turned off, for it took nothing for too long.</summary>
    private bool Record(DbSession session, WebhookDelivery delivery)
    {
        WebhookStore.Record(session, delivery);
        if (delivery.Type == WebhookEvents.Test || delivery.Attempts == 0
            || WebhookStore.Find(session, delivery.Tenant, delivery.WebhookId) is not { Enabled: true } webhook)
        {
            return false;
        }

        if (delivery.Status == DeliveryStatuses.Delivered)
        {
            if (webhook.FailingSince is not null)
            {
                WebhookStore.Update(session, webhook with { FailingSince = null });
            }

            return false;
        }

        var now = time.GetUtcNow();
        var since = webhook.FailingSince ?? now;
        var isOff = now - since > FailingMax;
        if (isOff || webhook.FailingSince is null)
        {
            WebhookStore.Update(session, webhook with { FailingSince = since, Enabled = !isOff });
        }

        if (isOff)
        {
            WebhookStore.GiveUp(session, webhook.Tenant, webhook.Id, now);
        }

        return isOff;
    }

    private async Task SweepAsync(DateTimeOffset now)
    {
        if (now - _sweptAt < SweepInterval)
        {
            return;
        }

        _sweptAt = now;
        while (await database.WriteAsync(session => WebhookStore.Forget(session, now - LogKept, ForgottenAtOnce)))
        {
            // A share at a time, so that nobody waits for the writer.
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "A webhook's delivery failed through a fault of the server.")]
    private partial void LogFault(Exception error);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{WebhookId} took nothing for five days and was turned off.")]
    private partial void LogDisabled(string webhookId);
}
