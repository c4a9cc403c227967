using System.Text;
using Reeve.Server.Accounts;
using Reeve.Server.Http;
using Reeve.Server.Storage;

namespace Reeve.Server.Receipts;

internal static class ReceiptEndpoints
{
    internal static void AddReceipts(this IServiceCollection services) => services.AddSingleton(ReceiptSchemas.All);

    internal static void MapReceipts(this IEndpointRouteBuilder routes) => routes.MapGet("/v1/receipts/{id}", GetAsync)
        .RequireScope(ApiKeyScopes.Usage, ApiKeyScopes.Chat).WithTags("Receipts")
        .WithName("getReceipt").WithSummary("Shows the signed receipt of a run that ended.")
        .Answers(200, "Receipt", "The receipt.");

    private static Task GetAsync(HttpContext context, string id, Database database)
    {
        var document = Id.TryParse(Id.Receipt, id, out var parsed)
            ? database.Read(session => ReceiptStore.Find(session, context.Caller().Tenant, parsed))
            : null;
        return document is null
            ? throw ApiException.NotFound("receipt")
            : ApiJson.WriteAsync(context, StatusCodes.Status200OK, Encoding.UTF8.GetBytes(document));
    }
}
