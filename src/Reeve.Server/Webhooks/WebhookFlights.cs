using System.Diagnostics.CodeAnalysis;

namespace Reeve.Server.Webhooks;

/// <summary>A delivery that is being attempted.</summary>
[SuppressMessage("Design", "CA1001", Justification = "The source of cancellation has neither timer nor wait handle.")]
internal sealed class WebhookFlight(WebhookDelivery delivery, string origin, bool isFailing)
{
    private readonly CancellationTokenSource _cancellation = new();

    internal WebhookDelivery Delivery => delivery;

    internal string Origin => origin;

    /// <summary>True: the attempt before it failed, whatever it was of.</summary>
    internal bool IsFailing => isFailing;

    internal CancellationToken Cancelled => _cancellation.Token;

    internal void Cancel() => _cancellation.Cancel();
}

/// <summary>
/// The attempts under way. So many go to one origin at once, and so many are one account's, that what does not answer
/// holds up nobody else. Webhooks whose newest attempt failed share what is left beside the places of one that works:
/// those that do not answer are always the longest due, and a few of them would take all places.
/// </summary>
internal sealed class WebhookFlights
{
    internal const int PerOriginMax = 4;

    private const int FailingPerAccountMax = WebhookRegister.PerAccountMax;
    private const int PerAccountMax = FailingPerAccountMax + PerOriginMax;

    private const int AllMax = 256;

    private readonly Lock _lock = new();
    private readonly List<WebhookFlight> _flights = [];

    /// <summary>
    /// Null: it is under way already, or has to wait for others. <paramref name="failing"/> says how many webhooks of
    /// the account fail, this one among them; 0 when it does not.
    /// </summary>
    internal WebhookFlight? TryBegin(WebhookDelivery delivery, string origin, int failing)
    {
        var share = failing == 0 ? PerOriginMax : Math.Max(1, FailingPerAccountMax / failing);
        lock (_lock)
        {
            if (_flights.Count >= AllMax
                || _flights.Count(one => one.Origin == origin) >= PerOriginMax
                || _flights.Count(one => one.Delivery.Tenant == delivery.Tenant) >= PerAccountMax
                || _flights.Count(one => one.Delivery.WebhookId == delivery.WebhookId) >= share
                || (failing > 0 && _flights.Count(static one => one.IsFailing) >= AllMax / 2)
                || _flights.Exists(one => one.Delivery.WebhookId == delivery.WebhookId
                    && one.Delivery.EventId == delivery.EventId))
            {
                return null;
            }

            var flight = new WebhookFlight(delivery, origin, failing > 0);
            _flights.Add(flight);
            return flight;
        }
    }

    internal void End(WebhookFlight flight)
    {
        lock (_lock)
        {
            _flights.Remove(flight);
        }
    }

    /// <summary>Cuts off what goes to a webhook that was deleted or turned off.</summary>
    internal void Cancel(string webhookId) => Cancel(one => one.Delivery.WebhookId == webhookId);

    internal void CancelAll() => Cancel(static _ => true);

    private void Cancel(Func<WebhookFlight, bool> which)
    {
        List<WebhookFlight> flights;
        lock (_lock)
        {
            flights = [.. _flights.Where(which)];
        }

        foreach (var flight in flights)
        {
            flight.Cancel();
        }
    }
}
