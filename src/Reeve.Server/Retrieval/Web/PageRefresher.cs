using Reeve.Server.Http;
using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval.Web;

/// <summary>
/// Fetches pages again when they are due, one page of an account at a time, so that nobody's slow sites hold up others.
/// </summary>
internal sealed partial class PageRefresher(
    Database database, WebPages pages, TimeProvider time, ILogger<PageRefresher> logger) : BackgroundService
{
    private const int AtOnce = 4;
    private const int LookAhead = 20;

    /// <summary>The shortest time between two fetches of a page is longer.</summary>
    private static readonly TimeSpan NapMax = TimeSpan.FromMinutes(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await LookAsync(stoppingToken);
                await Task.Delay(NapMax, time, stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
#pragma warning disable CA1031 // Whatever it was, pages are looked after again in a while.
            catch (Exception error)
#pragma warning restore CA1031
            {
                LogFault(error);
                await Task.WhenAny(Task.Delay(NapMax, time, stoppingToken));
            }
        }
    }

    private async Task LookAsync(CancellationToken stoppingToken)
    {
        var flights = new Dictionary<Task, string>();
        try
        {
            do
            {
                var due = database.Read(session => DocumentStore.DuePages(session, time.GetUtcNow(), LookAhead));
                foreach (var (tenant, id) in due.Where(page => !flights.ContainsValue(page.Tenant.AccountId))
                    .Take(AtOnce - flights.Count).ToList())
                {
                    flights.Add(RefreshAsync(tenant, id, stoppingToken), tenant.AccountId);
                }

                if (flights.Count > 0)
                {
                    var landed = await Task.WhenAny(flights.Keys);
                    flights.Remove(landed);
                    await landed; // What cannot be written would be due again at once.
                }
            }
            while (flights.Count > 0 && !stoppingToken.IsCancellationRequested);
        }
        finally
        {
            await Task.WhenAll(flights.Keys).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task RefreshAsync(TenantContext tenant, string id, CancellationToken cancellationToken)
    {
        try
        {
            await pages.RefreshAsync(tenant, id, cancellationToken);
        }
        catch (ApiException error) when (error.Code == ApiErrorCodes.NotFound)
        {
            // It was deleted.
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // It is still due at the next start.
        }
        catch (ApiException error)
        {
            LogStale(id, error.Message); // It is due again later.
        }
#pragma warning disable CA1031 // One page must not keep the others from being looked at; it would be the first again.
        catch (Exception error)
#pragma warning restore CA1031
        {
            LogFault(error);
            await pages.PostponeAsync(tenant, id);
        }
    }

    [LoggerMessage(
        Level = LogLevel.Warning, Message = "The page of the document {DocumentId} was not refreshed: {Why}")]
    private partial void LogStale(string documentId, string why);

    [LoggerMessage(Level = LogLevel.Error, Message = "Refreshing web pages failed.")]
    private partial void LogFault(Exception error);
}
