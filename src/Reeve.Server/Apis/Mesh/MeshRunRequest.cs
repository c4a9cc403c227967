using System.Text.Json;
using Reeve.Server.Accounts;
using Reeve.Server.Http;
using Reeve.Server.Privacy;
using Reeve.Server.Runs;
using Reeve.Server.Tools;

namespace Reeve.Server.Apis.Mesh;

/// <summary>The body of <c>POST /v1/agents/runs</c> and of the legacy route (wire-mesh 2.1), checked.</summary>
internal sealed record MeshRunRequest(StartRun Start, bool Stream, bool Background)
{
    internal const string Route = "/v1/agents/runs";
    internal const string LegacyRoute = "/v1/agents/{agentId}/chat";

    internal const decimal CreditsMax = 1_000_000_000;
    private const int OutputSchemaBytesMax = 32 * 1024;

    /// <summary>
    /// Reads the request; <paramref name="agentInPath"/> is the legacy route's, whose body has no agent.
    /// </summary>
    internal static async Task<MeshRunRequest> ReadAsync(HttpContext context, ReeveOptions options, string? agentInPath)
    {
        var query = new RequestQuery(context, "stream");
        var streamInQuery = query.Word("stream", "true", "1", "false", "0");
        var idempotencyKey = IdempotencyKey.Read(context);
        using var document = await RequestBody.ReadAsync(context, options.Limits.BodyBytesMax);
        var body = new RequestObject(document.RootElement);
        var agent = agentInPath ?? body.RequiredString("agent", 1, 256);
        var input = RunInput.Read(body, "input");
        var conversationId = body.String("conversation_id", 1, 256);
        var streamInBody = body.Boolean("stream") ?? false;
        var background = body.Boolean("background") ?? false;
        var onBusy = body.Word("on_busy", "reject", "queue", "interrupt");
        var onDisconnect = body.Word("on_disconnect", "continue", "cancel");
        var privacyClass = body.Word("privacy_class", PrivacyClasses.Words);
        var creditsMax = body.Number("max_credits", 0, CreditsMax, 3);
        if (creditsMax == 0)
        {
            throw body.Wrong("max_credits", "must be above 0");
        }

        var user = RunUser.Read(body.Object("user"), "id", "name");
        var metadata = body.Metadata("metadata");
        var schema = ReadSchema(body);
        body.RejectUnknown();

        var caller = context.Caller();
        var stream = streamInQuery is null ? streamInBody : streamInQuery is "true" or "1";
        return new MeshRunRequest(
            new StartRun
            {
                Payer = Payers.Of(caller),
                RequestId = context.TraceIdentifier,
                Agent = agent,
                Input = input,
                ConversationId = conversationId is null ? null : RunInput.Conversation(conversationId),
                UserId = user?.Id,
                UserName = user?.Name,
                User = user?.Shown,
                UserMetadata = user?.Metadata,
                Metadata = metadata,
                OnBusy = onBusy switch { "queue" => OnBusy.Queue, "interrupt" => OnBusy.Interrupt, _ => OnBusy.Reject },
                CancelOnDisconnect = onDisconnect == "cancel" && !background,
                Whole = !stream && !background,
                PrivacyClass = privacyClass is null ? PrivacyClass.Standard : PrivacyClasses.Parse(privacyClass),
                CreditsMax = creditsMax is { } credits
                    ? (long)decimal.Floor(credits * options.Credits.MicroUsdPerCredit)
                    : null,
                OutputSchema = schema,
                Idempotency = idempotencyKey?.Scope(caller.Account.Id,
                    agentInPath is null ? Route : LegacyRoute, agent, document.RootElement),
            },
            stream, background);
    }

    private static JsonElement? ReadSchema(RequestObject body)
    {
        if (body.Object("output_schema") is not { } schema)
        {
            return null;
        }

        schema.TakeAll();
        if (System.Text.Encoding.UTF8.GetByteCount(schema.Element.GetRawText()) > OutputSchemaBytesMax)
        {
            throw body.Wrong("output_schema", "must be at most 32 KiB of JSON");
        }

        if (!RequestObject.IsFinite(schema.Element))
        {
            throw body.Wrong("output_schema", "has a number that is larger than a double can hold");
        }

        try
        {
            _ = JsonSchema.Parse(schema.Element);
        }
        catch (JsonSchemaException error)
        {
            throw ApiException.Invalid(
                $"output_schema is not a schema that can be used: {error.Message}", "output_schema");
        }

        return schema.Element.Clone();
    }
}
