using System.Data.Common;
using System.Text.Json;
using Reeve.Server.Credits;
using Reeve.Server.Http;
using Reeve.Server.Storage;

namespace Reeve.Server.Runs;

/// <summary>The heads of runs and the idempotency records: all SQL on them but the log's.</summary>
internal static class RunStore
{
    private const string HeadColumns =
        "id, account_id, agent_id, conversation_id, ordinal, mode, key_id, user_id, request_id, status, epoch, "
        + "cancel_requested_at, typeof(input) = 'blob'";

    internal static void Insert(DbSession session, LiveRun run, string status)
    {
        var (head, admitted) = (run.Head, run.State.Admitted);
        session.Execute(
            "INSERT INTO runs (id, account_id, agent_id, agent_version, conversation_id, ordinal, kind, mode, status, "
            + "epoch, privacy_class, key_id, request_id, user_message_id, message_id, receipt_id, input, user_id, "
            + "user, metadata, created_at, started_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, "
            + "$14, $15, $16, $17, $18, $19, $20, $21, $22)",
            head.RunId, head.Payer.AccountId, admitted.AgentId, admitted.AgentVersion, admitted.ConversationId,
            head.Ordinal, admitted.Kind, admitted.Mode, status, run.Epoch, admitted.PrivacyClass, head.Payer.KeyId,
            head.RequestId, admitted.UserMessageId, admitted.MessageId, admitted.ReceiptId,
            run.Stored(ContentColumns.RunInput, admitted.Input), head.UserId,
            run.Stored(ContentColumns.RunUser, admitted.User?.GetRawText()),
            run.Stored(ContentColumns.RunMetadata, admitted.Metadata?.GetRawText() ?? "{}"),
            run.State.CreatedAt.ToUnixTimeMilliseconds(), run.State.StartedAt?.ToUnixTimeMilliseconds());
    }

    /// <summary>The outcome as it is stored; made outside the writer, which everybody waits for.</summary>
    internal static string Outcome(RunState state) =>
        JsonSerializer.Serialize(RunOutcome.Of(state), RunEventCodec.Json.RunOutcome);

    /// <summary>A column of a run's row that holds content.</summary>
    internal static string? Text(
        DbSession session, DbDataReader row, int index, TenantContext tenant, string column, string runId) =>
        session.Text(row, index, tenant, column, runId);

    /// <summary>The copy of the log's end that lists and sums read.</summary>
    internal static void Finish(DbSession session, LiveRun run, RunState state, string outcome) =>
        session.Execute(
            "UPDATE runs SET status = $1, output = $2, outcome = $3, error_code = $4, charged = $5, "
            + "privacy_class = $6, finished_at = $7 WHERE id = $8 AND epoch = $9",
            state.Status, state.Output.Length == 0 ? "" : run.Stored(ContentColumns.RunOutput, state.Output),
            run.Stored(ContentColumns.RunOutcome, outcome), state.Failure?.Code, state.Charged,
            Privacy.PrivacyClasses.Word(state.PrivacyClass), state.FinishedAt!.Value.ToUnixTimeMilliseconds(),
            run.RunId, run.Epoch);

    internal static void Begin(DbSession session, LiveRun run) => session.Execute(
        "UPDATE runs SET status = 'running', started_at = $1 WHERE id = $2 AND epoch = $3",
        run.State.StartedAt!.Value.ToUnixTimeMilliseconds(), run.RunId, run.Epoch);

    internal static void RaiseClass(DbSession session, LiveRun run, string privacyClass) => session.Execute(
        "UPDATE runs SET privacy_class = $1 WHERE id = $2 AND epoch = $3", privacyClass, run.RunId, run.Epoch);

    /// <summary>Takes a run over: a higher epoch, which refuses what the owner before may still write.</summary>
    internal static int? Claim(DbSession session, string runId) => (int?)session.ExecuteNumber(
        "UPDATE runs SET epoch = epoch + 1 WHERE id = $1 AND finished_at IS NULL RETURNING epoch", runId);

    internal static bool RequestCancel(DbSession session, TenantContext tenant, string runId, DateTimeOffset now) =>
        session.Execute(
            "UPDATE runs SET cancel_requested_at = COALESCE(cancel_requested_at, $1) "
            + "WHERE id = $2 AND account_id = $3 AND finished_at IS NULL",
            now.ToUnixTimeMilliseconds(), runId, tenant.AccountId) == 1;

    internal static OpenRun? Find(DbSession session, TenantContext tenant, string runId) => session.Single(
        $"SELECT {HeadColumns} FROM runs WHERE id = $1 AND account_id = $2 AND erased_at IS NULL",
        ReadOpen, runId, tenant.AccountId);

    /// <summary>
    /// All that have not ended, in no order: read from three small indexes, however many runs there are.
    /// </summary>
    internal static List<OpenRun> Open(DbSession session) => session.List(
        $"SELECT {HeadColumns} FROM runs "
        + "WHERE conversation_id IS NOT NULL AND status IN ('running', 'requires_action') "
        + $"UNION ALL SELECT {HeadColumns} FROM runs "
        + "WHERE conversation_id IS NULL AND status IN ('running', 'requires_action') "
        + $"UNION ALL SELECT {HeadColumns} FROM runs WHERE status = 'queued'",
        ReadOpen);

    internal static List<OpenRun> OpenOf(DbSession session, TenantContext tenant, string conversationId) =>
        session.List(
        $"SELECT {HeadColumns} FROM runs WHERE conversation_id = $1 AND account_id = $2 "
        + "AND status IN ('queued', 'running', 'requires_action') ORDER BY ordinal",
        ReadOpen, conversationId, tenant.AccountId);

    internal static List<OpenRun> OpenOfAgent(DbSession session, TenantContext tenant, string agentId) =>
        Open(session).FindAll(run => run.Head.AgentId == agentId && run.Head.Tenant == tenant);

    internal static int NextOrdinal(DbSession session, string conversationId) => 1 + (int)session.Count(
        "SELECT MAX(ordinal) FROM runs WHERE conversation_id = $1", conversationId);

    /// <summary>Runs for a list, newest first. What has ended comes whole from its row and its first event.</summary>
    internal static List<RunRow> List(DbSession session, TenantContext tenant, RunFilter filter) => session.List(
        "SELECT r.id, r.account_id, r.agent_id, r.conversation_id, r.ordinal, r.mode, r.key_id, r.user_id, "
        + "r.request_id, r.status, r.epoch, r.cancel_requested_at, typeof(r.input) = 'blob', e.payload, r.output, "
        + "r.outcome, r.charged, r.privacy_class, r.created_at, r.started_at, r.finished_at, r.agent_version, r.kind, "
        + "r.user_message_id, r.message_id, r.receipt_id "
        + "FROM runs r JOIN run_events e ON e.run_id = r.id AND e.seq = 1 "
        + "WHERE r.account_id = $1 AND r.erased_at IS NULL AND ($2 IS NULL OR r.id < $2) "
        + "AND ($3 IS NULL OR r.agent_id = $3) AND ($4 IS NULL OR r.conversation_id = $4) "
        + "AND ($5 IS NULL OR r.status = $5) AND ($6 IS NULL OR r.user_id = $6) AND ($7 IS NULL OR r.mode = $7) "
        + "AND ($8 IS NULL OR r.kind = $8) AND ($9 IS NULL OR r.created_at >= $9) "
        + "AND ($10 IS NULL OR r.created_at <= $10) ORDER BY r.id DESC LIMIT $11 OFFSET $12",
        row => ReadRow(session, row), tenant.AccountId, filter.After, filter.AgentId, filter.ConversationId,
        filter.Status, filter.UserId, filter.Mode, filter.Kind, filter.CreatedAfter?.ToUnixTimeMilliseconds(),
        filter.CreatedBefore?.ToUnixTimeMilliseconds(), filter.Limit, filter.Offset);

    internal static IdempotencyRecord? FindRecord(DbSession session, IdempotencyScope scope, DateTimeOffset now) =>
        session.Single(
            "SELECT run_id, fingerprint FROM idempotency_records WHERE account_id = $1 AND route = $2 AND key = $3 "
            + "AND created_at > $4",
            row => new IdempotencyRecord(row.GetString(0),
                row.GetFieldValue<byte[]>(1).AsSpan().SequenceEqual(Fingerprint(session, scope))),
            scope.AccountId, scope.Route, scope.Key, now.AddHours(-24).ToUnixTimeMilliseconds());

    internal static void InsertRecord(DbSession session, IdempotencyScope scope, string runId, DateTimeOffset now) =>
        session.Execute(
            "INSERT INTO idempotency_records (account_id, route, key, fingerprint, run_id, created_at) "
            + "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (account_id, route, key) DO UPDATE SET "
            + "fingerprint = excluded.fingerprint, run_id = excluded.run_id, created_at = excluded.created_at",
            scope.AccountId, scope.Route, scope.Key, Fingerprint(session, scope), runId,
            now.ToUnixTimeMilliseconds());

    private static byte[] Fingerprint(DbSession session, IdempotencyScope scope) =>
        session.ContentKey(new TenantContext(scope.AccountId)).Blind(scope.Fingerprint);

    internal static int DeleteOldRecords(DbSession session, DateTimeOffset now) => session.Execute(
        "DELETE FROM idempotency_records WHERE created_at <= $1", now.AddHours(-24).ToUnixTimeMilliseconds());

    private static OpenRun ReadOpen(DbDataReader row) => new(
        new RunHead
        {
            RunId = row.GetString(0),
            AgentId = row.StringOrNull(2),
            ConversationId = row.StringOrNull(3),
            Ordinal = row.GetInt32(4),
            Payer = new Payer(row.GetString(1), row.GetString(5), row.GetString(6)),
            UserId = row.StringOrNull(7),
            RequestId = row.GetString(8),
            IsSealed = row.GetBoolean(12),
        },
        row.GetString(9), row.GetInt32(10), !row.IsDBNull(11));

    private static RunRow ReadRow(DbSession session, DbDataReader row)
    {
        var run = ReadOpen(row);
        var bare = ReadBare(row, run);
        try
        {
            return new RunRow(run, bare, ReadEnded(session, row, run, bare));
        }
        catch (Exception error) when (StorageException.SaysDamaged(error))
        {
            return new RunRow(run, bare, null); // The log may have it still.
        }
    }

    private static RunView? ReadEnded(DbSession session, DbDataReader row, OpenRun run, RunView bare)
    {
        var (runId, tenant) = (run.Head.RunId, run.Head.Tenant);
        if (Text(session, row, 15, tenant, ContentColumns.RunOutcome, runId) is not { } json)
        {
            return null;
        }

        var outcome = JsonSerializer.Deserialize(json, RunEventCodec.Json.RunOutcome)!;
        return bare with
        {
            Admitted = RunEventCodec.OpenFirst(session, tenant, runId, row.GetFieldValue<byte[]>(13)),
            Output = Text(session, row, 14, tenant, ContentColumns.RunOutput, runId)!,
            Outcome = outcome,
            Failure = outcome.Failure,
        };
    }

    /// <summary>What the row says that is no content, with an error that stands for the rest.</summary>
    private static RunView ReadBare(DbDataReader row, OpenRun run) => new()
    {
        RunId = run.Head.RunId,
        RequestId = run.Head.RequestId,
        Admitted = new RunAdmitted
        {
            AgentId = run.Head.AgentId,
            AgentVersion = row.IsDBNull(21) ? null : row.GetInt32(21),
            ConversationId = run.Head.ConversationId,
            Kind = row.GetString(22),
            UserMessageId = row.GetString(23),
            MessageId = row.GetString(24),
            ReceiptId = row.GetString(25),
            Tier = "", // As all of these that only the log has; lists show that of the outcome.
            Mode = run.Head.Payer.Mode,
            PrivacyClass = row.GetString(17),
            Input = "",
            User = null,
            Metadata = null,
            Options = new RunOptions(),
            Queued = run.Status == RunStatuses.Queued,
        },
        Status = run.Status,
        PrivacyClass = row.GetString(17),
        Output = "",
        Outcome = RunOutcome.Unknown,
        Charged = row.GetInt64(16),
        Failure = new RunFailed(ApiErrorCodes.InternalError.Code, StorageException.DamagedMessage),
        CreatedAt = row.Time(18),
        StartedAt = row.IsDBNull(19) ? null : row.Time(19),
        FinishedAt = row.IsDBNull(20) ? null : row.Time(20),
        IsSealed = run.Head.IsSealed,
    };
}

/// <summary>A run without an end, as its row tells of it.</summary>
internal sealed record OpenRun(RunHead Head, string Status, int Epoch, bool IsCancelRequested);

/// <summary>
/// A run of a list. One that has not ended, or whose row is damaged, has no view yet and is folded from its log; where
/// that cannot be read either, <paramref name="Bare"/> is shown, which has none of its content.
/// </summary>
internal sealed record RunRow(OpenRun Run, RunView Bare, RunView? Ended);

internal sealed record RunFilter
{
    internal string? After { get; init; }

    internal string? AgentId { get; init; }

    internal string? ConversationId { get; init; }

    internal string? Status { get; init; }

    internal string? UserId { get; init; }

    internal string? Mode { get; init; }

    internal string? Kind { get; init; }

    internal DateTimeOffset? CreatedAfter { get; init; }

    internal DateTimeOffset? CreatedBefore { get; init; }

    internal required int Limit { get; init; }

    internal int Offset { get; init; }
}

/// <summary>Where an Idempotency-Key holds: account and route, with the fingerprint of what was asked.</summary>
internal sealed record IdempotencyScope(string AccountId, string Route, string Key, byte[] Fingerprint);

/// <summary>The run that a request with the key started; another body must not have it.</summary>
internal sealed record IdempotencyRecord(string RunId, bool IsSameRequest);
