using System.Collections.Concurrent;
using System.Globalization;
using Reeve.Server.Storage;

namespace Reeve.Server.Accounts;

/// <summary>
/// The counters of all accounts and keys. They count in memory and are written down once a second and at the end, so a
/// crash forgets at most the last second of requests; a start goes on from what was written.
/// </summary>
internal sealed partial class RequestCounters(Database database, TimeProvider time, ILogger<RequestCounters> logger)
    : BackgroundService
{
    private static readonly TimeSpan WriteInterval = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<string, RequestCounter> _accounts = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, (TenantContext Tenant, RequestCounter Counter)> _keys =
        new(StringComparer.Ordinal);

    internal RequestCounter OfAccount(TenantContext tenant)
    {
        if (_accounts.TryGetValue(tenant.AccountId, out var counter))
        {
            return counter;
        }

        // No key of the account was used since the start, or its counter would stand: the rows are complete.
        var month = RequestCounter.MonthOf(time.GetUtcNow());
        var requests = database.Read(session => ApiKeyStore.RequestsOfAccount(session, tenant, MonthText(month)));
        return _accounts.GetOrAdd(tenant.AccountId, new RequestCounter(month, requests));
    }

    internal RequestCounter OfKey(TenantContext tenant, string keyId)
    {
        if (_keys.TryGetValue(keyId, out var known))
        {
            return known.Counter;
        }

        var month = RequestCounter.MonthOf(time.GetUtcNow());
        var requests = database.Read(session => ApiKeyStore.RequestsOfKey(session, tenant, keyId, MonthText(month)));
        return _keys.GetOrAdd(keyId, (tenant, new RequestCounter(month, requests))).Counter;
    }

    /// <summary>When the key was last used since the server started; null when it was not.</summary>
    internal DateTimeOffset? LastUsedAt(string keyId) =>
        _keys.TryGetValue(keyId, out var known) && known.Counter.LastUsedAt is var at && at != default ? at : null;

    /// <summary>A month as the column <c>key_months.month</c> has it: <c>2026-11</c>.</summary>
    internal static string MonthText(int month) =>
        string.Create(CultureInfo.InvariantCulture, $"{month / 12:0000}-{(month % 12) + 1:00}");

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await WriteAsync();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(WriteInterval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                await WriteAsync();
            }
        }
        catch (OperationCanceledException)
        {
            // StopAsync writes the rest.
        }
    }

    private async Task WriteAsync()
    {
        var counts = new List<(string KeyId, MonthCount Count)>();
        foreach (var (keyId, (_, counter)) in _keys)
        {
            counter.TakeUnwritten(keyId, counts);
        }

        if (counts.Count == 0)
        {
            return;
        }

        try
        {
            await database.WriteAsync(session =>
            {
                foreach (var (keyId, count) in counts)
                {
                    ApiKeyStore.WriteUse(session, _keys[keyId].Tenant, keyId, MonthText(count.Month), count);
                }
            });
        }
        catch (StorageException error)
        {
            LogNotWritten(error); // The next request of each key makes its whole number due again.
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The request counters could not be written down.")]
    private partial void LogNotWritten(Exception error);
}
