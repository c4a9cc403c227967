using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Data.Sqlite;
using Reeve.Server.Agents;
using Reeve.Server.Credits;
using Reeve.Server.Http;
using Reeve.Server.Privacy;
using Reeve.Server.Receipts;
using Reeve.Server.Receipts.Keys;
using Reeve.Server.Retrieval;
using Reeve.Server.Storage;

namespace Reeve.Server.Runs;

/// <summary>One thing that is wrong: which invariant (docs/architecture.md), where, and how.</summary>
internal sealed record Violation(string Invariant, string Subject, string Problem);

/// <summary>
/// Recomputes from the log and the ledger what everything else claims: the checker behind <c>reeve verify</c> and
/// behind every test that breaks a server.
/// </summary>
/// <remarks>
/// I1 and I4 (acknowledged, unchanged bytes) need what clients saw; I8 needs unsafe tools and I11 an outbox, none of
/// which exist yet. I13 is checked for runs that no owner can still be at. What the file says once and without a hash
/// (names, settings, limits, requests' ids) cannot be checked. Signatures are checked by whoever has the master key,
/// which tells the server's keys from others; without it, only what the documents say.
/// </remarks>
internal sealed class Verifier(MasterKey? master = null, IReadOnlyList<string>? heldCheckpoints = null)
{
    /// <summary>Prices and margins shape no event once it is written, so the defaults do for folding.</summary>
    private static readonly CreditOptions Credits = new();

    private readonly List<Violation> _violations = [];
    private ReceiptVerifier? _signatures;
    private long _sealedEvents;

    /// <summary>Runs and ledger entries that were looked at.</summary>
    internal (long Runs, long Events, long Entries) Counts { get; private set; }

    /// <summary>Encrypted events, of which without the master key only the hashes were looked at.</summary>
    internal long SealedEvents => _sealedEvents;

    internal IReadOnlyList<Violation> Check(DbSession session)
    {
        var keys = session.Keys;
        session.Keys = master is null ? null : new ContentKeys(master);
        try
        {
            return CheckAll(session);
        }
        finally
        {
            session.Keys = keys; // The session may be a server's.
        }
    }

    private List<Violation> CheckAll(DbSession session)
    {
        var damage = session.Single("PRAGMA integrity_check(1)", static row => row.GetString(0));
        Expect(damage == "ok", "file", "database", damage ?? "cannot be checked");
        CheckSchema(session);
        CheckKeys(session);
        CheckLedger(session);
        CheckBalances(session);
        CheckMonths(session);
        CheckRuns(session);
        CheckConversations(session);
        CheckRest(session);
        return _violations;
    }

    private void CheckLedger(DbSession session)
    {
        var balances = new Dictionary<(string, string), long>();
        var entries = 0L;
        foreach (var entry in session.List(
            "SELECT id, account_id, mode, debit, credit, amount, change, balance, type FROM ledger_entries ORDER BY id",
            static row => (Id: row.GetString(0), Account: row.GetString(1), Mode: row.GetString(2),
                Debit: row.GetString(3), Credit: row.GetString(4), Amount: row.GetInt64(5), Change: row.GetInt64(6),
                Balance: row.GetInt64(7), Type: row.GetString(8))))
        {
            entries++;
            Expect(CreditLedger.Books.GetValueOrDefault(entry.Type) == (entry.Debit, entry.Credit), "I5", entry.Id,
                $"a {entry.Type} does not go from {entry.Debit} to {entry.Credit}");
            var change = (entry.Credit == CreditLedger.Available ? entry.Amount : 0)
                - (entry.Debit == CreditLedger.Available ? entry.Amount : 0);
            var key = (entry.Account, entry.Mode);
            var available = balances[key] = balances.GetValueOrDefault(key) + change;
            Expect(change == entry.Change, "I5", entry.Id, "its change is not what the transfer does to the balance");
            Expect(available >= 0, "I5", entry.Id, $"it takes the available balance to {available} micro-USD");
            Expect(available == entry.Balance, "I5", entry.Id,
                $"it says the balance is {entry.Balance}, the entries sum to {available}");
        }

        Counts = Counts with { Entries = entries };
    }

    private void CheckBalances(DbSession session)
    {
        const string Of = "coalesce((SELECT sum(CASE WHEN credit = $1 THEN amount ELSE 0 END "
            + "- CASE WHEN debit = $1 THEN amount ELSE 0 END) FROM ledger_entries l "
            + "WHERE l.account_id = b.account_id AND l.mode = b.mode), 0)";
        foreach (var (book, column) in ((string, int)[])[(CreditLedger.Available, 1), (CreditLedger.Held, 2)])
        {
            foreach (var row in session.List(
                "SELECT b.account_id || ' ' || b.mode, b.available, b.held, " + Of + " FROM balances b",
                row => (Subject: row.GetString(0), Cached: row.GetInt64(column), Sum: row.GetInt64(3)), book))
            {
                Expect(row.Cached == row.Sum, "I5", row.Subject,
                    $"{book} is {row.Cached}, its entries sum to {row.Sum}");
            }
        }
    }

    private void CheckRuns(DbSession session)
    {
        var (runs, events) = (0L, 0L);
        var after = "";
        List<(string Id, TenantContext Tenant)> page;
        do
        {
            page = session.List("SELECT id, account_id FROM runs WHERE id > $1 ORDER BY id LIMIT 500",
                static row => (row.GetString(0), new TenantContext(row.GetString(1))), after);
            foreach (var (id, tenant) in page)
            {
                runs++;
                events += TryCheckRun(session, tenant, id);
                after = id;
            }
        }
        while (page.Count > 0);

        Counts = Counts with { Runs = runs, Events = events };
        if (session.Count("SELECT count(*) FROM run_events") != events)
        {
            CheckStrays(session);
        }
    }

    // Joins every event, so it is for databases that have more of them than their runs.
    private void CheckStrays(DbSession session)
    {
        foreach (var (id, count) in session.List(
            "SELECT e.run_id, count(*) FROM run_events e LEFT JOIN runs r "
            + "ON r.id = e.run_id AND r.account_id = e.account_id WHERE r.id IS NULL GROUP BY e.run_id",
            static row => (row.GetString(0), row.GetInt64(1))))
        {
            Expect(false, "I3", id, $"{count} events belong to no run of their account");
        }
    }

    // What a damaged disk made of a row may be anything; it is one violation, and the other runs are still looked at.
    private int TryCheckRun(DbSession session, TenantContext tenant, string runId)
    {
        try
        {
            return CheckRun(session, tenant, runId);
        }
        catch (Exception error) when (error is not SqliteException)
        {
            Expect(false, "I12", runId, $"it cannot be read: {error.Message}");
            return 0;
        }
    }

    private int CheckRun(DbSession session, TenantContext tenant, string runId)
    {
        var row = session.Single(
            "SELECT status, charged, output, finished_at IS NOT NULL, erased_at IS NOT NULL, epoch "
            + "FROM runs WHERE id = $1",
            line => new RunClaims(line.GetString(0), line.GetInt64(1),
                session.Keys is null && line.GetFieldType(2) == typeof(byte[]) ? null // Nobody can read it here.
                    : RunStore.Text(session, line, 2, tenant, ContentColumns.RunOutput, runId),
                line.GetBoolean(3), line.GetBoolean(4), line.GetInt32(5)), runId)!;
        var state = new RunState(runId, Credits);
        var hash = RunEventCodec.ChainStart;
        var calls = new LoggedCalls();
        var (seq, epoch, terminals, isFolded) = (0L, 0, 0, true);
        List<RunEvent> page;
        do
        {
            page = RunLog.Read(session, tenant, runId, seq, isCheck: true);
            foreach (var entry in page)
            {
                Expect(entry.Seq == seq + 1, "I3", runId, $"event {seq + 1} is missing before {entry.Seq}");
                Expect(entry.Epoch >= epoch, "I9", runId, $"event {entry.Seq} has epoch {entry.Epoch} after {epoch}");
                Expect(terminals == 0, "I2", runId, $"event {entry.Seq} stands after the terminal one");
                hash = RunEventCodec.Chain(hash, runId, entry.Seq, entry.Epoch, entry.Type,
                    entry.At.ToUnixTimeMilliseconds(), entry.PayloadSha256);
                Expect(hash.AsSpan().SequenceEqual(entry.Hash), "I12", runId,
                    $"the hash of event {entry.Seq} is wrong");
                isFolded &= CheckPayload(session, runId, entry, row.IsErased) && entry.Data is not null
                    && TryApply(state, entry);
                if (isFolded)
                {
                    calls.Apply(entry);
                }

                (seq, epoch, hash) = (entry.Seq, entry.Epoch, entry.Hash);
                terminals += entry.IsTerminal ? 1 : 0;
            }
        }
        while (page.Count == RunLog.PageEvents);

        Expect(seq > 0, "I1", runId, "the run has no events");
        Expect(terminals == (row.IsFinished ? 1 : 0), "I2", runId, $"it has {terminals} terminal events");
        Expect(epoch <= row.Epoch, "I9", runId, $"its newest event has epoch {epoch}, the run {row.Epoch}");
        if (isFolded)
        {
            CheckClaims(state, row);
            CheckCopies(session, tenant, state, row);
            CheckCalls(session, state, calls);
        }

        if (row.IsFinished)
        {
            CheckReceipt(session, tenant, isFolded ? state : null, runId, hash);
        }

        return (int)seq;
    }

    private bool CheckPayload(DbSession session, string runId, RunEvent entry, bool isErased)
    {
        if (entry.Payload.Length == 0)
        {
            Expect(isErased, "I12", runId, $"the payload of event {entry.Seq} is gone");
            return false;
        }

        var isWhole = SHA256.HashData(entry.Payload).AsSpan().SequenceEqual(entry.PayloadSha256);
        Expect(isWhole, "I12", runId, $"the payload of event {entry.Seq} was changed");
        var isSealed = ContentKey.IsSealed(entry.Payload);
        _sealedEvents += isSealed ? 1 : 0;
        Expect(!isWhole || !isSealed || session.Keys is null || entry.Data is not null, "I12", runId,
            $"event {entry.Seq} is encrypted and does not open with its account's key");
        return isWhole;
    }

    /// <summary>
    /// False: the event makes no sense after those before it, as when an event was edited or taken out.
    /// </summary>
    private bool TryApply(RunState state, RunEvent entry)
    {
        try
        {
            state.Apply(entry);
            return true;
        }
        catch (Exception error) when (error is InvalidOperationException or ArgumentException or NullReferenceException)
        {
            Expect(false, "I12", state.RunId, $"event {entry.Seq} does not follow from those before it");
            return false;
        }
    }

    private void CheckClaims(RunState state, RunClaims row)
    {
        var runId = state.RunId;
        Expect(state.Status == row.Status, "I2", runId, $"the row says {row.Status}, the log {state.Status}");
        if (!row.IsFinished)
        {
            return;
        }

        Expect(state.Charged == row.Charged, "I7", runId, $"the row charges {row.Charged}, the log {state.Charged}");
        Expect(row.IsErased || state.Output == row.Output, "I4", runId, "the row's output is not that of the log");
    }

    private void CheckCopies(DbSession session, TenantContext tenant, RunState state, RunClaims row)
    {
        var admitted = state.Admitted;
        object?[] logged =
        [
            admitted.AgentId, admitted.AgentVersion, admitted.ConversationId, admitted.Kind, admitted.Mode,
            admitted.UserMessageId, admitted.MessageId, admitted.ReceiptId, state.Failure?.Code,
            state.CreatedAt.ToUnixTimeMilliseconds(), state.StartedAt?.ToUnixTimeMilliseconds(),
            state.FinishedAt?.ToUnixTimeMilliseconds(), state.PrivacyClass.Word(),
            .. row.IsErased ? (object?[])[] :
            [
                admitted.Input, admitted.User?.GetRawText(), admitted.Metadata?.GetRawText() ?? "{}",
                row.IsFinished ? RunStore.Outcome(state) : null,
            ],
        ];
        var stored = session.Single(
            "SELECT agent_id, agent_version, conversation_id, kind, mode, user_message_id, message_id, receipt_id, "
            + "error_code, created_at, started_at, finished_at, privacy_class, input, user, metadata, outcome "
            + "FROM runs WHERE id = $1",
            one => logged.Select((_, column) => (one.GetName(column), one.GetFieldType(column) == typeof(byte[])
                ? RunStore.Text(session, one, column, tenant, "runs." + one.GetName(column), state.RunId)
                : one.IsDBNull(column) ? null : one.GetValue(column))).ToList(),
            state.RunId)!;
        foreach (var ((name, value), expected) in stored.Zip(logged))
        {
            Expect(Text(value) == Text(expected), "I4", state.RunId, $"the row's {name} is not that of the log");
        }

        static string? Text(object? value) => Convert.ToString(value, CultureInfo.InvariantCulture);
    }

    // What the log says of each call, held against the two other places that say it: ledger and usage.
    private void CheckCalls(DbSession session, RunState state, LoggedCalls calls)
    {
        var runId = state.RunId;
        var ledger = session.List(
            "SELECT call, sum(CASE WHEN type = 'hold' THEN amount ELSE 0 END), "
            + "sum(CASE WHEN type = 'release' THEN amount ELSE 0 END), "
            + "sum(CASE WHEN type = 'settle' THEN amount ELSE 0 END), "
            + "sum(CASE WHEN type = 'loss' THEN amount ELSE 0 END) FROM ledger_entries WHERE run_id = $1 GROUP BY call",
            static row => (Call: row.GetInt32(0), Money: new CallMoney(
                row.GetInt64(1), row.GetInt64(2), row.GetInt64(3), row.GetInt64(4))),
            runId).ToDictionary(row => row.Call, row => row.Money);
        var usage = session.List(
            "SELECT call, upstream + margin, lost, model, provider, input_tokens, output_tokens, at "
            + "FROM model_calls WHERE run_id = $1",
            static row => (Call: row.GetInt32(0), Row: new CallUsage(row.GetInt64(1), row.GetInt64(2), row.GetString(3),
                row.GetString(4), row.GetInt64(5), row.GetInt64(6)), At: row.Time(7)),
            runId).ToDictionary(row => row.Call, row => (row.Row, row.At));
        foreach (var (number, call) in calls.ByNumber)
        {
            var money = ledger.GetValueOrDefault(number) ?? new CallMoney(0, 0, 0, 0);
            Expect(money == call.Money, "I6", runId,
                $"call {number} is {call.Money} in the log, {money} in the ledger");
            Expect(call.Money.Settle <= 2 * call.Money.Hold, "I7", runId, $"call {number} settled over its bound");
            Expect(call.Finished is null || usage.TryGetValue(number, out var used)
                && used.Row == CallUsage.Of(call.Started, call.Finished)
                && (used.At == call.StartedAt || used.At == call.FinishedAt),
                "I7", runId, $"the usage of call {number} differs");
            Expect(!state.IsTerminal || call.Finished is not null, "I6", runId, $"call {number} was never closed");
        }

        Expect(ledger.Keys.All(calls.ByNumber.ContainsKey), "I6", runId, "the ledger has a call that the log has not");
    }

    /// <summary>Also for a run whose content is erased: the chain and its head stay.</summary>
    private void CheckReceipt(DbSession session, TenantContext tenant, RunState? state, string runId, byte[] head)
    {
        string? document;
        try
        {
            document = ReceiptStore.FindByRun(session, tenant, runId);
        }
        catch (StorageException) when (session.Keys is null)
        {
            return; // It is encrypted.
        }

        if (document is null)
        {
            Expect(false, "I12", runId, "it has no receipt");
            return;
        }

        var verdict = _signatures?.Verify(Encoding.UTF8.GetBytes(document));
        Expect(verdict is not { IsValid: false }, "I12", runId,
            $"its receipt is not as it was signed: {verdict?.Reason}");
        var said = ReadReceipt(document);
        Expect(said.LogHead == Convert.ToHexStringLower(head), "I12", runId, "its receipt names another log head");
        Expect(state is null || said.TotalUsd == Money.Usd(state.Charged), "I12", runId,
            "its receipt names another cost");
        var issuedAt = said.IssuedAt?.ToUnixTimeMilliseconds();
        Expect(state is null || ReceiptStore.Claims(session, state.Admitted.ReceiptId) == (runId, issuedAt),
            "I12", runId, "the row of its receipt says something else");
    }

    /// <summary>An edited receipt need not be one any more; then it says nothing.</summary>
    private static (string? LogHead, decimal? TotalUsd, DateTimeOffset? IssuedAt) ReadReceipt(string document)
    {
        try
        {
            using var receipt = JsonDocument.Parse(document);
            var root = receipt.RootElement;
            return (root.GetProperty("log_head").GetString(),
                root.GetProperty("cost").GetProperty("total_usd").GetDecimal(),
                root.GetProperty("issued_at").GetDateTimeOffset());
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or KeyNotFoundException
            or FormatException)
        {
            return (null, null, null);
        }
    }

    // The months are sums as well: what is held is that of the open holds, what is charged that of the settlements.
    private void CheckMonths(DbSession session)
    {
        foreach (var key in session.List(
            "SELECT m.key_id, sum(m.held), sum(m.charged), "
            + "coalesce((SELECT sum(CASE l.type WHEN 'hold' THEN l.amount WHEN 'release' THEN -l.amount ELSE 0 END) "
            + "FROM ledger_entries l JOIN runs r ON r.id = l.run_id WHERE r.key_id = m.key_id), 0), "
            + "coalesce((SELECT sum(l.amount) FROM ledger_entries l JOIN runs r ON r.id = l.run_id "
            + "WHERE r.key_id = m.key_id AND l.type = 'settle'), 0) FROM key_months m "
            + "JOIN api_keys k ON k.id = m.key_id GROUP BY m.key_id",
            static row => (Id: row.GetString(0), Held: row.GetInt64(1), Charged: row.GetInt64(2),
                OpenHolds: row.GetInt64(3), Settled: row.GetInt64(4))))
        {
            Expect(key.Held == key.OpenHolds, "I6", key.Id,
                $"its months hold {key.Held}, its open runs {key.OpenHolds}");
            Expect(key.Charged == key.Settled, "I7", key.Id,
                $"its months charge {key.Charged}, its runs {key.Settled}");
        }
    }

    private void CheckConversations(DbSession session)
    {
        foreach (var busy in session.List(
            "SELECT conversation_id, count(*) FROM runs WHERE conversation_id IS NOT NULL "
            + "AND status IN ('running', 'requires_action') GROUP BY conversation_id HAVING count(*) > 1",
            static row => (Id: row.GetString(0), Count: row.GetInt64(1))))
        {
            Expect(false, "I10", busy.Id, $"{busy.Count} runs are active");
        }
    }

    private void CheckSchema(DbSession session)
    {
        try
        {
            foreach (var (name, _) in Migrator.SchemaOf(Migrator.RequireKnown(session))
                .Except(Migrator.SchemaOf(session)))
            {
                Expect(false, "I14", name, "the schema has it not, or otherwise");
            }
        }
        catch (StorageException error)
        {
            Expect(false, "I14", "schema", error.Message);
        }
    }

    // The keys first: a row that is not the server's own vouches for nothing.
    private void CheckKeys(DbSession session)
    {
        if (master is not null)
        {
            CheckContentKeys(session);
            var (genuine, changed) = KeyRing.Read(session, master);
            _signatures = KeyRing.VerifierOf(genuine);
            _violations.AddRange(changed.Select(
                static kid => new Violation("I12", kid, "this key is not as the server wrote it")));
            Expect(KeyRing.IsComplete(genuine) || !KeyRing.IsNeeded(session), "I12", "keys",
                "the server has not one active key of each kind");
        }
    }

    private void CheckContentKeys(DbSession session)
    {
        foreach (var account in session.List("SELECT id FROM accounts", static row => row.GetString(0)))
        {
            try
            {
                _ = session.ContentKey(new TenantContext(account));
            }
            catch (StorageException error)
            {
                Expect(false, "I14", account, error.Message);
            }
        }
    }

    private void CheckRest(DbSession session)
    {
        _violations.AddRange(new AuditCheck(session, _signatures, heldCheckpoints ?? []).Problems());
        _violations.AddRange(RowRelations.Broken(session));
        _violations.AddRange(AgentStore.ChangedVersions(session)
            .Select(static version => new Violation("I14", version, "its configuration was changed")));
        _violations.AddRange(DocumentCheck.Problems(session)
            .Select(static found => new Violation("I14", found.Id, found.Problem)));
    }

    private void Expect(bool holds, string invariant, string subject, string problem)
    {
        if (!holds)
        {
            _violations.Add(new Violation(invariant, subject, problem));
        }
    }

    private sealed record CallUsage(
        long Charged, long Lost, string Model, string Provider, long InputTokens, long OutputTokens)
    {
        internal static CallUsage Of(ModelCallStarted started, ModelCallFinished finished) => new(finished.Charged,
            finished.Lost, started.Model, started.Provider, finished.InputTokens, finished.OutputTokens);
    }

    private sealed record RunClaims(
        string Status, long Charged, string? Output, bool IsFinished, bool IsErased, int Epoch);
}
