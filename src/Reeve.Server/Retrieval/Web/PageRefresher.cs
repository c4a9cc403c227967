using Reeve.Server.Http;
using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval.Web;

/// <summary>
/// Fetches pages again when they are due, in rounds of one page an account, so that nobody's slow sites hold up others.
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
        while (database.Read(session => DocumentStore.DuePages(session, time.GetUtcNow(), LookAhead)) is
            { Count: > 0 } due)
        {
            await Parallel.ForEachAsync(due, new ParallelOptions
            {
                MaxDegreeOfParallelism = AtOnce,
                CancellationToken = stoppingToken,
            }, async (page, cancellationToken) => await RefreshAsync(page.Tenant, page.Id, cancellationToken));
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
        catch (ApiException error)
        {
            LogStale(id, error.Message); // It is due again later.
        }
    }

    [LoggerMessage(
        Level = LogLevel.Warning, Message = "The page of the document {DocumentId} was not refreshed: {Why}")]
    private partial void LogStale(string documentId, string why);

    [LoggerMessage(Level = LogLevel.Error, Message = "Refreshing web pages failed.")]
    private partial void LogFault(Exception error);
}
