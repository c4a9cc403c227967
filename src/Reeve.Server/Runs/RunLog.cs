using System.Collections.Concurrent;
using Reeve.Server.Http;
using Reeve.Server.Storage;

namespace Reeve.Server.Runs;

/// <summary>
/// The append-only log of all runs. Appends go through the one writer (group commit) and are fenced by the run's epoch;
/// nobody sees an event before it is durable.
/// </summary>
internal sealed class RunLog(Database database, Capacity capacity, TimeProvider time, Failpoints failpoints)
{
    internal const int PageEvents = 500;

    private readonly ConcurrentDictionary<string, LiveRun> _live = new(StringComparer.Ordinal);

    internal IEnumerable<LiveRun> Live => _live.Values;

    /// <summary>The open run, if it is this account's.</summary>
    internal LiveRun? Find(TenantContext tenant, string runId) =>
        _live.TryGetValue(runId, out var run) && run.Head.Tenant == tenant ? run : null;

    /// <summary>
    /// Makes a run known to readers. A second claim replaces the first, whose appends the epoch refuses.
    /// </summary>
    internal void Register(LiveRun run)
    {
        capacity.Runs.EnterAnyway();
        _live[run.RunId] = run;
    }

    /// <summary>Makes a run known that is new.</summary>
    /// <exception cref="ApiException">503: the node has as many as it takes.</exception>
    internal void Admit(LiveRun run)
    {
        capacity.Runs.Enter();
        _live[run.RunId] = run;
    }

    internal void Forget(LiveRun run)
    {
        if (_live.TryRemove(KeyValuePair.Create(run.RunId, run)))
        {
            capacity.Runs.Leave();
        }
    }

    /// <summary>
    /// Seals events at the end of the log and writes them, and <paramref name="alongside"/>, in one transaction. The
    /// state moves at once, readers see the events when the returned task completes.
    /// </summary>
    internal Task AppendAsync(LiveRun run, IReadOnlyList<RunEventData> data, Action<DbSession>? alongside = null)
    {
        var events = Seal(run, data);
        run.Advance(events);
        return WriteAsync(run, events, alongside);
    }

    /// <summary>Writes events that were sealed, and that the state has, already.</summary>
    internal Task WriteAsync(LiveRun run, IReadOnlyList<RunEvent> events, Action<DbSession>? alongside)
    {
        var write = new Append(failpoints, run, events, alongside, null);
        database.Enqueue(write);
        return write.Task;
    }

    /// <summary>
    /// As <see cref="AppendAsync(LiveRun, IReadOnlyList{RunEventData}, Action{DbSession}?)"/>, for events that only the
    /// transaction can know. The caller must await it before anything else is appended.
    /// </summary>
    internal async Task AppendAsync(LiveRun run, Func<DbSession, DateTimeOffset, IReadOnlyList<RunEventData>> decide)
    {
        var at = Timestamp(run);
        var write = new Append(failpoints, run, [], null, session => Seal(run, decide(session, at), at));
        database.Enqueue(write);
        await write.Task;
        run.Advance(write.Events);
    }

    internal IReadOnlyList<RunEvent> Seal(LiveRun run, IReadOnlyList<RunEventData> data) =>
        Seal(run, data, Timestamp(run));

    private DateTimeOffset Timestamp(LiveRun run)
    {
        // Whole milliseconds, as the log keeps them: a duration must not depend on who reads it.
        var now = DateTimeOffset.FromUnixTimeMilliseconds(time.GetUtcNow().ToUnixTimeMilliseconds());
        return now < run.State.NewestAt ? run.State.NewestAt : now; // A clock set back must not reorder a log.
    }

    private static RunEvent[] Seal(LiveRun run, IReadOnlyList<RunEventData> data, DateTimeOffset at)
    {
        var (seq, hash) = (run.LastSeq, run.LastHash);
        var events = new RunEvent[data.Count];
        for (var i = 0; i < data.Count; i++)
        {
            events[i] = RunEventCodec.Seal(run.RunId, data[i], ++seq, run.Epoch, at, hash, run.Key);
            hash = events[i].Hash;
        }

        return events;
    }

    /// <summary>Committed events after the one of that number and hash, at most a page.</summary>
    /// <exception cref="ApiException">404: they were erased since the run was found.</exception>
    /// <exception cref="StorageException">They are not the ones that were written.</exception>
    internal List<RunEvent> Read(TenantContext tenant, string runId, long seq, byte[] hash)
    {
        try
        {
            var events = database.Read(session => Read(session, tenant, runId, seq));
            RunEventCodec.RequireChain(runId, events, hash);
            return events.Exists(static entry => entry.Payload.Length == 0) ? throw Emptied(tenant, runId) : events;
        }
        catch (Exception error) when (error is not StorageException && StorageException.SaysDamaged(error))
        {
            throw Damaged(runId, error);
        }
    }

    private Exception Emptied(TenantContext tenant, string runId) =>
        database.Read(session => RunStore.Find(session, tenant, runId)) is null
            ? ApiException.NotFound("run")
            : Damaged(runId);

    internal static StorageException Damaged(string runId, Exception? cause = null) => new(
        StorageFault.Damaged, $"The log of {runId} is damaged; `reeve verify` says more.", cause);

    /// <summary>
    /// Committed events after <paramref name="seq"/>, at most a page. In a check, what is not as it was written or
    /// cannot be opened here has no data; else it is an error.
    /// </summary>
    internal static List<RunEvent> Read(
        DbSession session, TenantContext tenant, string runId, long seq, bool isCheck = false) => session.List(
        "SELECT seq, epoch, type, at, payload, payload_sha256, hash FROM run_events "
        + "WHERE run_id = $1 AND account_id = $2 AND seq > $3 ORDER BY seq LIMIT 500",
        row =>
        {
            var type = row.GetString(2);
            var payload = row.BytesOrNull(4);
            var payloadSha256 = row.GetFieldValue<byte[]>(5);
            var number = row.GetInt64(0);
            return new RunEvent(number, row.GetInt32(1), type, row.Time(3), isCheck
                ? RunEventCodec.TryOpen(session, tenant, runId, number, type, payload)
                : RunEventCodec.Open(session, tenant, runId, number, type, payload, payloadSha256))
            {
                Payload = payload ?? [],
                PayloadSha256 = payloadSha256,
                Hash = row.GetFieldValue<byte[]>(6),
            };
        },
        runId, tenant.AccountId, seq);

    /// <summary>Writes sealed events, if the run still has the owner that sealed them.</summary>
    internal static void Insert(DbSession session, LiveRun run, IReadOnlyList<RunEvent> events)
    {
        if (!session.Exists(
            "SELECT 1 FROM runs WHERE id = $1 AND epoch = $2 AND finished_at IS NULL", run.RunId, run.Epoch))
        {
            throw new StaleOwnerException(run.RunId);
        }

        foreach (var entry in events)
        {
            session.Execute(
                "INSERT INTO run_events (run_id, seq, account_id, epoch, type, at, payload, payload_sha256, hash) "
                + "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                run.RunId, entry.Seq, run.Head.Payer.AccountId, entry.Epoch, entry.Type,
                entry.At.ToUnixTimeMilliseconds(), entry.Payload, entry.PayloadSha256, entry.Hash);
        }
    }

    private sealed class Append(
        Failpoints failpoints,
        LiveRun run,
        IReadOnlyList<RunEvent> events,
        Action<DbSession>? alongside,
        Func<DbSession, IReadOnlyList<RunEvent>>? decide) : DbWrite
    {
        private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

        internal Task Task => _done.Task;

        internal IReadOnlyList<RunEvent> Events { get; private set; } = events;

        internal override void Execute(DbSession session)
        {
            if (run.IsBroken)
            {
                throw new StaleOwnerException(run.RunId);
            }

            if (decide is not null)
            {
                Events = decide(session);
            }

            Insert(session, run, Events);
            alongside?.Invoke(session);
            failpoints.Hit(Failpoints.LogInserted);
        }

        internal override void Committed()
        {
            run.Publish(Events);
            failpoints.Hit(Failpoints.LogPublished);
            _done.SetResult();
        }

        internal override void Failed(Exception error)
        {
            // A refusal (no cover for a hold) came before anything was sealed; the owner goes on and writes the end.
            if (error is not ApiException)
            {
                run.IsBroken = true;
            }

            _done.SetException(error);
        }
    }
}

/// <summary>The run has another owner, or has ended: this one must not write any more.</summary>
internal sealed class StaleOwnerException(string runId) : Exception($"{runId} has another owner or has ended.");
