using System.Text;
using System.Text.Json;
using Reeve.Server.Accounts;
using Reeve.Server.Http;
using Reeve.Server.Receipts.Attestation;
using Reeve.Server.Receipts.Checkpoints;
using Reeve.Server.Receipts.Keys;
using Reeve.Server.Storage;

namespace Reeve.Server.Receipts;

internal static class ReceiptEndpoints
{
    internal static void AddReceipts(this IServiceCollection services)
    {
        services.AddSingleton(ReceiptSchemas.All);
        services.AddSingleton(KeyEndpoints.Schemas);
        services.AddSingleton(AttestationEndpoints.Schemas);
        services.AddSingleton<DataPreparation>(static provider => session => KeyRing.Prepare(session,
            provider.GetRequiredService<MasterKey>(), provider.GetRequiredService<TimeProvider>().GetUtcNow()));
        services.AddSingleton(static provider =>
        {
            var master = provider.GetRequiredService<MasterKey>();
            return provider.GetRequiredService<Database>().Read(session => KeyRing.Open(session, master));
        });
        services.AddSingleton(static provider => provider.GetRequiredService<KeyRing>().Signer);
        services.AddSingleton(static provider => provider.GetRequiredService<KeyRing>().Prompts);
        services.AddSingleton<AuditCheckpoints>();
        services.AddHostedService(static provider => provider.GetRequiredService<AuditCheckpoints>());
        services.AddSingleton<Attestations>();
    }

    internal static void MapReceipts(this IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/receipts/{id}", GetAsync)
            .RequireScope(ApiKeyScopes.Usage, ApiKeyScopes.Chat).WithTags("Receipts")
            .WithName("getReceipt").WithSummary("Shows the signed receipt of a run that ended.")
            .Answers(200, "Receipt", "The receipt.");
        routes.MapPost("/v1/receipts/verify", VerifyAsync).AnyKey().WithTags("Receipts")
            .WithName("verifyReceipt").WithSummary("Checks the signature of a receipt by the server's keys.")
            .Takes("ReceiptToVerify").Answers(200, "ReceiptVerdict", "Whether it is as this server signed it.");
        routes.MapKeys();
        routes.MapAttestation();
    }

    private static Task GetAsync(HttpContext context, string id, Database database) =>
        Find(database, context.Caller().Tenant, id) is { } document
            ? ApiJson.WriteAsync(context, StatusCodes.Status200OK, Encoding.UTF8.GetBytes(document))
            : throw ApiException.NotFound("receipt");

    private static async Task VerifyAsync(HttpContext context, Database database, KeyRing keys, ReeveOptions options)
    {
        _ = new RequestQuery(context);
        using var body = await RequestBody.ReadAsync(context, options.Limits.BodyBytesMax);
        var receipt = Wrapped(body.RootElement, "receipt");
        var verdict = keys.Verifier.Verify(receipt);
        var isKnown = verdict.IsValid
            && Find(database, context.Caller().Tenant, receipt.Text("id")!) is not null;
        await ApiJsonBody.WriteAsync(context, StatusCodes.Status200OK, verdict, (writer, shown) =>
        {
            writer.WriteStartObject();
            writer.WriteBoolean("valid"u8, shown.IsValid);
            writer.WriteString("key_id"u8, shown.KeyId);
            writer.WriteString("reason"u8, shown.Reason);
            writer.WriteBoolean("known"u8, isKnown);
            writer.WriteEndObject();
        });
    }

    /// <summary>
    /// The body itself, or the object that it holds under one name and nothing else. What was signed has a signature,
    /// so a body with one is itself the document, whatever else it has.
    /// </summary>
    internal static JsonElement Wrapped(JsonElement body, string name)
    {
        if (!body.TryGetProperty(name, out _) || body.TryGetProperty("signature", out _))
        {
            return body;
        }

        var wrapper = new RequestObject(body);
        var document = wrapper.Require(name);
        if (document.ValueKind != JsonValueKind.Object)
        {
            throw wrapper.Wrong(name, "must be an object");
        }

        wrapper.RejectUnknown();
        return document;
    }

    private static string? Find(Database database, TenantContext tenant, string id) =>
        Id.TryParse(Id.Receipt, id, out var parsed)
            ? database.Read(session => ReceiptStore.Find(session, tenant, parsed))
            : null;
}
