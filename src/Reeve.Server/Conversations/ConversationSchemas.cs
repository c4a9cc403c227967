using Reeve.Server.Http;

namespace Reeve.Server.Conversations;

/// <summary>Conversations and messages as the wire shows and takes them (wire-mesh 3.3).</summary>
internal static class ConversationSchemas
{
    internal static readonly OpenApiSchemas All = new(
        ("Conversation", Schema.Record(
            ("id", Schema.Id(Id.Conversation)),
            ("agent_id", Schema.Id(Id.Agent)),
            ("title", Schema.Text()),
            ("status", Schema.Word(ConversationStatuses.Active, ConversationStatuses.Ended)),
            ("user", Schema.Ref("User").OrNull()),
            ("metadata", Schema.Free()),
            ("run_count", Schema.Integer()),
            ("message_count", Schema.Integer()),
            ("credits_used", Schema.Number(0)),
            ("active_run_id", Schema.Id(Id.Run).OrNull()),
            ("forked_from", Schema.Record(
                ("conversation_id", Schema.Id(Id.Conversation)),
                ("message_id", Schema.Id(Id.Message).OrNull())).OrNull()),
            ("created_at", Schema.Time()),
            ("updated_at", Schema.Time()))),
        ("ConversationCreate", Schema.Body(
            ["agent"],
            ("agent", Schema.Text(1, 200).About("agt_X, agt_X@N or the slug.")),
            ("title", Schema.Text(1, 200)),
            ("user", Schema.Ref("User")),
            ("metadata", Schema.Metadata()))),
        ("ConversationChange", Schema.Body(
            [],
            ("title", Schema.Text(1, 200)),
            ("status", Schema.Word(ConversationStatuses.Active, ConversationStatuses.Ended)),
            ("metadata", Schema.Metadata()))),
        ("ConversationFork", Schema.Body(
            [],
            ("message_id", Schema.Text(1).About("Copies up to and with it; left out: all.")))),
        ("Message", Schema.Record(
            ("id", Schema.Id(Id.Message)),
            ("conversation_id", Schema.Id(Id.Conversation)),
            ("role", Schema.Word(MessageRoles.User, MessageRoles.Assistant)),
            ("content", Schema.Text()),
            ("status", Schema.Word("completed", "incomplete")),
            ("run_id", Schema.Id(Id.Run).OrNull()),
            ("sources", Schema.List(Schema.Ref("Source"))),
            ("tool_calls", Schema.List(Schema.Ref("ToolCall"))),
            ("created_at", Schema.Time()))),
        ("User", Schema.Body(
            [],
            ("id", Schema.Text(1, 128)),
            ("name", Schema.Text(0, 200)),
            ("metadata", Schema.Metadata()))),
        ("Source", Schema.Record(
            ("documentId", Schema.Id(Id.Document)),
            ("chunkId", Schema.Id(Id.Chunk)),
            ("score", Schema.Number(0, 1)))),
        ("ToolCall", Schema.Record(
            ("id", Schema.Text()),
            ("tool", Schema.Text()),
            ("action", Schema.Text()),
            ("params", Schema.Free()),
            ("result_summary", Schema.Text()),
            ("is_error", Schema.Flag()))));
}
