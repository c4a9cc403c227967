using System.Text.Json.Nodes;
using Reeve.Server.Http;
using Reeve.Server.Privacy;
using Reeve.Server.Runs;

namespace Reeve.Server.Apis.Mesh;

/// <summary>Runs as the wire shows and takes them (wire-mesh 2).</summary>
internal static class MeshSchemas
{
    internal static readonly OpenApiHeader ReceiptId = new("x-mesh-receipt-id", "The id of the run's receipt.");

    internal static readonly OpenApiHeader Replayed =
        new("Idempotent-Replayed", "true when an Idempotency-Key was known.");

    internal static readonly OpenApiHeader[] RunHeaders =
    [
        ReceiptId,
        new("x-mesh-upstream-cost-usd", "What the model calls cost, with six decimals."),
        new("x-mesh-margin-usd", "The operator's margin, with six decimals."),
        new("x-mesh-total-usd", "What the run is charged, with six decimals."),
        Replayed,
    ];

    /// <summary>The error of a run that was admitted has its receipt and its amounts too.</summary>
    internal static readonly OpenApiHeaders OfFailedRuns = new("run", true, RunHeaders);

    internal static readonly OpenApiHeaders Sunset = new("legacy", false,
    [
        new("Deprecation", "true"),
        new("Sunset", "When the endpoint ends."),
        new("Link", "What to use instead, as rel=\"successor-version\"."),
    ]);

    internal static readonly OpenApiSchemas All = new(
        ("RunCreate", Input([("agent", Schema.Text(1, 256).About("agt_X, agt_X@N or the slug."))])),
        ("ChatCreate", Input([])),
        ("RunBody", Schema.Record(BodyMembers()).Maybe("required_actions", Actions())),
        ("Run", Schema.Record([.. BodyMembers(), .. ObjectMembers()])),
        ("RunEvent", Events()),
        ("Nothing", Schema.Body([])));

    private static JsonObject Input((string, JsonObject)[] agent) => Schema.Body(
        [.. agent.Select(static one => one.Item1), "input"],
        [
            .. agent,
            ("input", Schema.Text(1, RunInput.CharactersMax, @"\S").About("Not only white space.")),
            ("conversation_id", Schema.Text(1, 256).About("Left out or null: a new conversation.")),
            ("stream", Schema.Flag().About("The query's stream wins.")),
            ("user", Schema.Ref("User")),
            ("metadata", Schema.Metadata()),
            ("background", Schema.Flag().About("Answers 202 at once.")),
            ("on_busy", Schema.Word("reject", "queue", "interrupt")),
            ("on_disconnect", Schema.Word("continue", "cancel")),
            ("privacy_class", Schema.Word(PrivacyClasses.Words).About("Can only raise the class.")),
            ("max_credits", Schema.Number(0.001m, MeshRunRequest.CreditsMax).About("At most 3 decimals.")),
            ("output_schema", Schema.Free()
                .About("A JSON Schema (2020-12) of at most 32 KiB; the output is then JSON text that fits it.")),
        ]);

    private static (string, JsonObject)[] BodyMembers() =>
    [
        ("id", Schema.Id(Id.Message).About("The assistant message.")),
        ("agent_id", Schema.Id(Id.Agent).OrNull().About("Null for a chat without an agent.")),
        ("conversation_id", Schema.Id(Id.Conversation).OrNull().About("Null for a chat.")),
        ("output", Schema.Text()),
        ("sources", Schema.List(Schema.Ref("Source"))),
        ("usage", Schema.Record(("input_tokens", Schema.Integer()), ("output_tokens", Schema.Integer()))),
        ("route", Schema.Record(
            ("tier", Schema.Word("auto", "cheapest", "fast", "best", "direct").OrNull()),
            ("model", Schema.Text().OrNull()))),
        ("run_id", Schema.Id(Id.Run)),
        ("status", Schema.Word(RunStatuses.All)),
        ("tool_calls", Schema.List(Schema.Ref("ToolCall"))),
        ("credits_used", Schema.Number(0)),
        ("receipt_id", Schema.Id(Id.Receipt).OrNull().About("Null until the run has ended.")),
    ];

    private static (string, JsonObject)[] ObjectMembers() =>
    [
        ("agent_version", Schema.Integer(1).OrNull()),
        ("mode", Schema.Word("live", "test")),
        ("kind", Schema.Word(RunKinds.Words)),
        ("input", Schema.Text()),
        ("privacy_class", Schema.Word(PrivacyClasses.Words)),
        ("required_actions", Actions()),
        ("error", Failure().OrNull()),
        ("user", Schema.Record(("id", Schema.Text().OrNull()), ("name", Schema.Text().OrNull()))
            .Maybe("metadata", Schema.Free()).OrNull()),
        ("metadata", Schema.Free()),
        ("created_at", Schema.Time()),
        ("started_at", Schema.Time().OrNull()),
        ("finished_at", Schema.Time().OrNull()),
        ("duration_ms", Schema.Integer().OrNull()),
        ("route_reason", Schema.Text().OrNull()),
        ("citations", Schema.List(Schema.Record(
            ("documentId", Schema.Id(Id.Document)),
            ("chunkId", Schema.Id(Id.Chunk)),
            ("name", Schema.Text()),
            ("page", Schema.Integer(1).OrNull()),
            ("start", Schema.Integer()),
            ("end", Schema.Integer()),
            ("quote", Schema.Text().OrNull())))),
    ];

    private static JsonObject Actions() => Schema.List(Schema.Free()).About("What the run waits for.");

    private static JsonObject Failure() => Schema.Record(("code", Schema.Text()), ("message", Schema.Text()));

    /// <summary>An event of the stream with the value of its <c>data</c>.</summary>
    private static JsonObject Events() => Schema.OneOf(
        Event("run.started", Schema.Record(
            ("id", Schema.Id(Id.Message)),
            ("run_id", Schema.Id(Id.Run)),
            ("agent_id", Schema.Id(Id.Agent).OrNull()),
            ("conversation_id", Schema.Id(Id.Conversation).OrNull()))),
        Event("message.sources", Schema.Record(("sources", Schema.List(Schema.Ref("Source"))))),
        Event("message.delta", Schema.Record(("delta", Schema.Text(1)))),
        Event("tool.call", Schema.Record(
            ("id", Schema.Text()),
            ("tool", Schema.Text()),
            ("action", Schema.Text()),
            ("params", Schema.Free()))),
        Event("tool.result", Schema.Record(
            ("id", Schema.Text()),
            ("tool", Schema.Text()),
            ("result", Schema.Any()),
            ("is_error", Schema.Flag()))),
        Event("output.reset", Schema.Record(
            ("reason", Schema.Word("provider_fallback", "schema_retry", "tool_step", "recovered")))),
        Event("run.completed", Schema.Ref("RunBody")),
        Event("run.failed", Failure()),
        Event("run.cancelled", Schema.Record()));

    private static JsonObject Event(string name, JsonObject data) => Schema.Record(
        ("id", Schema.Integer(1)), ("event", Schema.Const(name)), ("data", data));
}
