using System.Text.Json.Nodes;
using Reeve.Server.Http;

namespace Reeve.Server.Apis.Auteryn;

/// <summary>What the Auteryn API shows and takes (wire-auteryn 2-5).</summary>
internal static class AuterynSchemas
{
    internal static readonly OpenApiSchemas All = new(
        ("AuterynRunCreate", Schema.Body(
            ["query"],
            ("query", Schema.Text(1, RunInput.CharactersMax, @"\S").About("Not only white space.")),
            ("task_id", Schema.Text(1, 256).About("Left out: a new task.")),
            ("stream", Schema.Flag().About("Left out: true.")),
            ("context", Schema.Body(
                [],
                ("user_id", Schema.Text(1, 128)),
                ("user_name", Schema.Text(0, 200)),
                ("metadata", Schema.Metadata()))))),
        ("AuterynRun", Schema.Record(
            ("run_id", Schema.Id(Id.Run)),
            ("task_id", TaskId()),
            ("status", Status()),
            ("output", Schema.Text()),
            ("credits_used", Schema.Number(0)),
            ("duration_ms", Schema.Integer()),
            ("tool_calls", Schema.List(Schema.Record(
                ("tool", Schema.Text()),
                ("action", Schema.Text()),
                ("params", Schema.Free()),
                ("result_summary", Schema.Text())))))),
        ("AuterynEvent", Events()),
        ("AuterynTasks", Schema.Record(
            ("tasks", Schema.List(Schema.Record(TaskMembers()))), ("total", Schema.Integer()))),
        ("AuterynTask", Schema.Record(
        [
            .. TaskMembers(),
            ("agent_id", Schema.Id("agent")),
            ("user_id", Schema.Text().OrNull()),
            ("user_name", Schema.Text().OrNull()),
            ("updated_at", Time()),
            ("runs", Schema.List(Schema.Record(SummaryMembers()), max: 100)),
        ])),
        ("AuterynTaskRuns", Schema.Record(
            ("runs", Schema.List(Schema.Record(
            [
                .. SummaryMembers(),
                ("created_at", Time()),
                ("error", Failure().OrNull()),
            ]))),
            ("total", Schema.Integer()))),
        ("AuterynMessages", Schema.Record(
            ("messages", Schema.List(Messages())), ("has_more", Schema.Flag()))));

    private static JsonObject TaskId() => Schema.Id("task");

    private static JsonObject Status() =>
        Schema.Word("pending", "running", "requires_action", "completed", "failed", "cancelled");

    /// <summary>RFC 3339, UTC, whole seconds.</summary>
    private static JsonObject Time() => Schema.Text(pattern: @"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$");

    private static JsonObject Failure() => Schema.Record(("code", Schema.Text()), ("message", Schema.Text()));

    private static (string, JsonObject)[] TaskMembers() =>
    [
        ("task_id", TaskId()),
        ("title", Schema.Text()),
        ("status", Schema.Word("pending", "running", "completed", "failed")),
        ("created_at", Time()),
        ("run_count", Schema.Integer()),
        ("credits_used", Schema.Number(0)),
    ];

    private static (string, JsonObject)[] SummaryMembers() =>
    [
        ("run_id", Schema.Id(Id.Run)),
        ("task_id", TaskId()),
        ("status", Status()),
        ("query", Schema.Text()),
        ("output", Schema.Text()),
        ("credits_used", Schema.Number(0)),
        ("duration_ms", Schema.Integer()),
    ];

    private static JsonObject Messages() => Schema.OneOf(
        Message("user"),
        Message(
            "tool",
            ("run_id", Schema.Id(Id.Run)),
            ("call_id", Schema.Text()),
            ("tool", Schema.Text()),
            ("action", Schema.Text()),
            ("params", Schema.Free()),
            ("result", Schema.Any()),
            ("is_error", Schema.Flag())),
        Message(
            "assistant",
            ("run_id", Schema.Id(Id.Run).OrNull()),
            ("credits_used", Schema.Number(0)),
            ("status", Schema.Word("completed", "incomplete"))));

    private static JsonObject Message(string role, params (string, JsonObject)[] more) => Schema.Record(
    [
        ("message_id", Schema.Id(Id.Message)),
        ("role", Schema.Const(role)),
        ("content", Schema.Text()),
        ("created_at", Time()),
        .. more,
    ]);

    private static JsonObject Events() => Schema.OneOf(
        Event("run_started", ("run_id", Schema.Id(Id.Run)), ("task_id", TaskId())),
        Event("text_chunk", ("content", Schema.Text(1))),
        Event(
            "tool_call",
            ("tool", Schema.Text()),
            ("action", Schema.Text()),
            ("params", Schema.Free()),
            ("call_id", Schema.Text())),
        Event(
            "tool_result",
            ("tool", Schema.Text()),
            ("result", Schema.Any()),
            ("call_id", Schema.Text()),
            ("is_error", Schema.Flag())),
        Event(
            "output_reset",
            ("reason", Schema.Word("provider_fallback", "schema_retry", "tool_step", "recovered"))),
        Event(
            "run_completed",
            ("run_id", Schema.Id(Id.Run)),
            ("credits_used", Schema.Number(0)),
            ("duration_ms", Schema.Integer())),
        Event("run_failed", ("run_id", Schema.Id(Id.Run)), ("error", Failure())),
        Event("run_cancelled", ("run_id", Schema.Id(Id.Run))));

    /// <summary>An event of the stream with the value of its <c>data</c>; events have no names here.</summary>
    private static JsonObject Event(string type, params (string, JsonObject)[] members) => Schema.Record(
        ("id", Schema.Integer(1)), ("data", Schema.Record([("type", Schema.Const(type)), .. members])));
}
