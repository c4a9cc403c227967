using System.Data.Common;
using System.Text.Json;
using Reeve.Server.Http;
using Reeve.Server.Privacy;
using Reeve.Server.Storage;

namespace Reeve.Server.Conversations;

/// <summary>
/// Messages are no rows but a view of runs: the input, the tool calls, the output, in the order of the runs, after the
/// messages that a fork copied.
/// </summary>
internal static class MessageReader
{
    private const string RunColumns = "SELECT id, ordinal, status, privacy_class, charged, created_at, finished_at, "
        + "user_message_id, message_id, input, output, outcome FROM runs ";

    private const string CopyColumns = "SELECT id, position, role, status, privacy_class, in_context, created_at, "
        + "content, sources FROM copied_messages ";

    private const int HistoryBatch = 32;

    /// <summary>A page of messages; one item decides whether there are more.</summary>
    internal static Page<Message> List(
        DbSession session, TenantContext tenant, string conversationId, MessageQuery query)
    {
        var messages = query.NewestFirst
            ? Backwards(session, tenant, conversationId, query)
            : Forwards(session, tenant, conversationId, query);
        return Page<Message>.Of([.. messages.Take(query.Limit + 1)], query.Limit, message => message.Id);
    }

    /// <summary>
    /// Where a message stands. False when the conversation has no such message; the position is then the place that an
    /// id of that time would have.
    /// </summary>
    internal static bool TryLocate(
        DbSession session, TenantContext tenant, string conversationId, string messageId, out MessagePosition position)
    {
        if (session.Single("SELECT ordinal, user_message_id = $3 FROM runs "
            + "WHERE conversation_id = $1 AND account_id = $2 AND erased_at IS NULL "
            + "AND (user_message_id = $3 OR message_id = $3)",
            static row => (MessagePosition?)new MessagePosition(false, row.GetInt64(0),
                row.GetBoolean(1) ? MessagePosition.UserPart : MessagePosition.AssistantPart),
            conversationId, tenant.AccountId, messageId) is { } ofRun)
        {
            position = ofRun;
            return true;
        }

        if (session.Single(RunColumns + "WHERE conversation_id = $1 AND account_id = $2 AND user_message_id < $3 "
            + "AND erased_at IS NULL ORDER BY ordinal DESC LIMIT 1", ReadRun(session, tenant),
            conversationId, tenant.AccountId, messageId) is { } before)
        {
            var call = ToolMessageId.Call(before.UserMessageId, messageId);
            var isTool = call <= before.ToolCalls.GetArrayLength();
            position = new MessagePosition(
                false, before.Ordinal, isTool ? call!.Value : MessagePosition.AssistantPart);
            return isTool;
        }

        var copied = session.Single("SELECT position, id = $3 FROM copied_messages WHERE conversation_id = $1 "
            + "AND account_id = $2 AND id <= $3 ORDER BY position DESC LIMIT 1",
            static row => (row.GetInt64(0), row.GetBoolean(1)), conversationId, tenant.AccountId, messageId);
        position = new MessagePosition(true, copied.Item1, MessagePosition.UserPart);
        return copied.Item2;
    }

    /// <summary>
    /// What the model is shown of a conversation before a new run, from its newest turn backwards until
    /// <paramref name="charactersMax"/>. Failed runs are left out; a cancelled one keeps the text that came.
    /// </summary>
    internal static ConversationHistory History(
        DbSession session, TenantContext tenant, string conversationId, long charactersMax,
        long beforeOrdinal = long.MaxValue)
    {
        var turns = new List<HistoryTurn>();
        var isWhole = true;
        foreach (var turn in TurnsBackwards(session, tenant, conversationId, beforeOrdinal))
        {
            charactersMax -= turn.User.Length + (turn.Assistant?.Length ?? 0);
            if (charactersMax < 0)
            {
                isWhole = false;
                break;
            }

            turns.Add(turn);
        }

        turns.Reverse();
        return new ConversationHistory(turns, isWhole, Strictest(session, tenant, conversationId),
            LastOrdinal(session, tenant, conversationId));
    }

    /// <summary>Of the newest run, whatever its status; 0 when there is none. Cheap in every admission.</summary>
    internal static long LastOrdinal(DbSession session, TenantContext tenant, string conversationId) => session.Count(
        "SELECT max(ordinal) FROM runs WHERE conversation_id = $1 AND account_id = $2",
        conversationId, tenant.AccountId);

    internal static PrivacyClass Strictest(DbSession session, TenantContext tenant, string conversationId) =>
        session.List("SELECT DISTINCT privacy_class FROM runs WHERE conversation_id = $1 AND account_id = $2 "
            + "UNION SELECT privacy_class FROM copied_messages WHERE conversation_id = $1 AND account_id = $2",
            static row => PrivacyClasses.Parse(row.GetString(0)), conversationId, tenant.AccountId)
            .DefaultIfEmpty(PrivacyClass.Standard).Max();

    private static IEnumerable<Message> Forwards(
        DbSession session, TenantContext tenant, string conversationId, MessageQuery query)
    {
        var from = query.From ?? new MessagePosition(true, 0, 0);
        var count = 0;
        if (from.IsCopied)
        {
            var copies = session.List(CopyColumns + "WHERE conversation_id = $1 AND account_id = $2 AND position > $3 "
                + "ORDER BY position LIMIT $4",
                ReadCopy(session, tenant), conversationId, tenant.AccountId, from.Number, query.Limit + 1);
            foreach (var copy in copies)
            {
                count++;
                yield return copy;
            }
        }

        // A run shows one message at least, save the one that the page before ended in.
        var runs = session.List(RunColumns + "WHERE conversation_id = $1 AND account_id = $2 AND ordinal >= $3 "
            + "AND erased_at IS NULL ORDER BY ordinal LIMIT $4", ReadRun(session, tenant),
            conversationId, tenant.AccountId, from.IsCopied ? long.MinValue : from.Number, query.Limit + 2 - count);
        foreach (var run in runs)
        {
            foreach (var (part, message) in run.Messages(query.WithTools))
            {
                if (from.IsCopied || run.Ordinal > from.Number || part > from.Part)
                {
                    yield return message;
                }
            }
        }
    }

    private static IEnumerable<Message> Backwards(
        DbSession session, TenantContext tenant, string conversationId, MessageQuery query)
    {
        var from = query.From ?? new MessagePosition(false, long.MaxValue, 0);
        var count = 0;
        if (!from.IsCopied)
        {
            var runs = session.List(RunColumns + "WHERE conversation_id = $1 AND account_id = $2 AND ordinal <= $3 "
                + "AND erased_at IS NULL ORDER BY ordinal DESC LIMIT $4", ReadRun(session, tenant),
                conversationId, tenant.AccountId, from.Number, query.Limit + 2);
            foreach (var run in runs)
            {
                foreach (var (part, message) in run.Messages(query.WithTools).Reverse())
                {
                    if (run.Ordinal < from.Number || part < from.Part)
                    {
                        count++;
                        yield return message;
                    }
                }
            }
        }

        if (count > query.Limit)
        {
            yield break;
        }

        var copies = session.List(CopyColumns + "WHERE conversation_id = $1 AND account_id = $2 AND position < $3 "
            + "ORDER BY position DESC LIMIT $4", ReadCopy(session, tenant), conversationId, tenant.AccountId,
            from.IsCopied ? from.Number : long.MaxValue, query.Limit + 1);
        foreach (var copy in copies)
        {
            yield return copy;
        }
    }

    private static IEnumerable<HistoryTurn> TurnsBackwards(
        DbSession session, TenantContext tenant, string conversationId, long beforeOrdinal)
    {
        for (var before = beforeOrdinal; ;)
        {
            var runs = session.List(RunColumns + "WHERE conversation_id = $1 AND account_id = $2 AND ordinal < $3 "
                + "AND erased_at IS NULL AND status IN ('completed', 'cancelled') ORDER BY ordinal DESC LIMIT $4",
                ReadRun(session, tenant), conversationId, tenant.AccountId, before, HistoryBatch);
            foreach (var run in runs)
            {
                yield return new HistoryTurn(run.Input, run.Output.Length == 0 ? null : run.Output);
                before = run.Ordinal;
            }

            if (runs.Count < HistoryBatch)
            {
                break;
            }
        }

        string? answer = null;
        foreach (var copy in session.List(CopyColumns + "WHERE conversation_id = $1 AND account_id = $2 "
            + "AND in_context = 1 ORDER BY position DESC", ReadCopy(session, tenant), conversationId, tenant.AccountId))
        {
            if (copy.Role == MessageRoles.Assistant)
            {
                answer = copy.Content.Length == 0 ? null : copy.Content;
                continue;
            }

            yield return new HistoryTurn(copy.Content, answer);
            answer = null;
        }
    }

    private static Func<DbDataReader, RunMessages> ReadRun(DbSession session, TenantContext tenant) => row =>
    {
        string? Text(int column, string name) =>
            session.Text(row, column, tenant, name, row.GetString(0));

        var outcome = Text(11, ContentColumns.RunOutcome) is { } json ? JsonElement.Parse(json) : default;
        return new RunMessages
        {
            RunId = row.GetString(0),
            Ordinal = row.GetInt64(1),
            Status = row.GetString(2),
            PrivacyClass = PrivacyClasses.Parse(row.GetString(3)),
            Charged = row.GetInt64(4),
            CreatedAt = Time(row.GetInt64(5)),
            FinishedAt = row.LongOrNull(6) is { } at ? Time(at) : null,
            UserMessageId = row.GetString(7),
            MessageId = row.GetString(8),
            Input = Text(9, ContentColumns.RunInput) ?? "",
            Output = Text(10, ContentColumns.RunOutput) ?? "",
            Sources = Member(outcome, "sources"),
            ToolCalls = Member(outcome, "tool_calls"),
        };
    };

    private static Func<DbDataReader, Message> ReadCopy(DbSession session, TenantContext tenant) => row => new Message
    {
        Id = row.GetString(0),
        Role = row.GetString(2),
        IsComplete = row.GetString(3) == "completed",
        PrivacyClass = PrivacyClasses.Parse(row.GetString(4)),
        InContext = row.GetBoolean(5),
        CreatedAt = Time(row.GetInt64(6)),
        Content = session.Text(row, 7, tenant, ContentColumns.CopiedContent, row.GetString(0))!,
        Sources = JsonElement.Parse(
            session.Text(row, 8, tenant, ContentColumns.CopiedSources, row.GetString(0))!),
    };

    private static JsonElement Member(JsonElement outcome, string name) =>
        outcome.ValueKind == JsonValueKind.Object && outcome.TryGetProperty(name, out var member)
            && member.ValueKind == JsonValueKind.Array ? member : Message.Nothing;

    private static DateTimeOffset Time(long milliseconds) => DateTimeOffset.FromUnixTimeMilliseconds(milliseconds);
}
