using System.Security.Cryptography;
using System.Text;
using Reeve.Server.Audit;
using Reeve.Server.Credits;
using Reeve.Server.Inference;
using Reeve.Server.Privacy;
using Reeve.Server.Receipts;
using Reeve.Server.Receipts.Checkpoints;
using Reeve.Server.Storage;

namespace Reeve.Server.Runs;

/// <summary>
/// What the transaction that ends a run also has to write, for those who want to hear of it; null: nobody does.
/// </summary>
internal delegate Action<DbSession>? RunEndNews(
    TenantContext tenant, string eventType, string runId, DateTimeOffset at);

/// <summary>
/// Ends model calls and runs: the events, the ledger, the usage row, the receipt and the run's row in one transaction.
/// </summary>
internal sealed class RunEnding(
    RunLog log, CreditLedger ledger, CreditOptions credits, ReceiptSigner signer, ModelCatalog catalog,
    AuditCheckpoints checkpoints, Failpoints failpoints, RunEndNews? endNews = null)
{
    /// <summary>
    /// Writes <paramref name="before"/>, the end of the open call or of its hedge if there is one, and
    /// <paramref name="after"/>; a terminal event among these ends the run.
    /// </summary>
    internal async Task WriteAsync(
        LiveRun run, IReadOnlyList<RunEventData> before, CallEnd? end, params IReadOnlyList<RunEventData> after)
    {
        var data = new List<RunEventData>(before);
        CallClosing? closing = null;
        var ended = end is { IsOfHedge: true } ? run.State.OpenHedge : run.State.OpenCall;
        if (end is not null && ended is { } open)
        {
            var exact = end.IsLost ? 0 : Cost(open.Call, end);
            closing = new CallClosing(run.RunId, open.Call.Call, open.Call.Hold,
                Bill.Step(run.State.Upstream, exact, credits))
            {
                Lost = end.IsLost ? (long)decimal.Ceiling(Cost(open.Call, end)) : 0,
                Tokens = end.IsLost ? 0 : end.InputTokens + end.OutputTokens,
                HeldAt = open.At,
                ReceiptId = run.State.Admitted.ReceiptId,
                Cap = run.State.Admitted.Options.CreditsMax is { } cap ? cap - run.State.Charged : long.MaxValue,
            };
            if (closing.Due > closing.Hold)
            {
                await WriteOverHoldAsync(run, data, open.Call, end, exact, closing);
                (data, closing) = ([], null);
            }
            else
            {
                data.Add(Finished(open.Call, end, exact, closing.Due, closing.Lost));
            }
        }

        data.AddRange(after);
        if (data.Count > 0)
        {
            await WriteAsync(run, data, ended?.Call, end, closing);
        }
    }

    private async Task WriteAsync(
        LiveRun run, List<RunEventData> data, ModelCallStarted? call, CallEnd? end, CallClosing? closing)
    {
        var events = log.Seal(run, data);
        run.Advance(events);
        var receipt = events[^1].IsTerminal ? Sign(run, events[^1]) : null;
        failpoints.Hit(Failpoints.EndSigned);
        var outcome = events[^1].IsTerminal ? RunStore.Outcome(run.State) : "";
        var news = events[^1].IsTerminal
            ? endNews?.Invoke(run.Head.Tenant, events[^1].Type, run.RunId, events[^1].At)
            : null;
        await log.WriteAsync(run, events, session =>
        {
            if (closing is not null)
            {
                ledger.Close(session, run.Head.Payer, closing);
                InsertCall(session, run, call!, end!, closing.Due, closing.Lost, events[0].At);
            }

            if (receipt is not null)
            {
                RunStore.Finish(session, run, run.State, outcome);
                ReceiptStore.Insert(session, run.Head.Tenant, run.State.Admitted.ReceiptId, run.RunId, receipt,
                    run.Head.IsSealed, events[^1].At);
                checkpoints.Note(run.Head.Payer.AccountId, AuditLog.Append(
                    session, run.Head.Tenant, AuditTypes.RunEnded, run.RunId, events[^1].At, HeadOf(events[^1].Hash)));
                news?.Invoke(session);
            }

            failpoints.Hit(Failpoints.EndInCommit);
        });
        failpoints.Hit(Failpoints.EndCommitted);
    }

    // Only the transaction knows what the balance still covers, so here it decides what the event says.
    private Task WriteOverHoldAsync(
        LiveRun run, List<RunEventData> data, ModelCallStarted call, CallEnd end, decimal exact, CallClosing closing) =>
        log.AppendAsync(run, (session, _) =>
        {
            var charged = ledger.Close(session, run.Head.Payer, closing);
            var lost = closing.Lost + closing.Due - charged;
            InsertCall(session, run, call, end, charged, lost, closing.HeldAt);
            return [.. data, Finished(call, end, exact, charged, lost)];
        });

    private static ModelCallFinished Finished(
        ModelCallStarted call, CallEnd end, decimal exact, long charged, long lost) =>
        new()
        {
            Call = call.Call,
            Outcome = end.Outcome,
            Fault = end.Fault,
            InputTokens = end.IsLost ? 0 : end.InputTokens,
            OutputTokens = end.IsLost ? 0 : end.OutputTokens,
            CachedInputTokens = end.IsLost ? 0 : end.CachedInputTokens,
            CacheWriteTokens = end.IsLost ? 0 : end.CacheWriteTokens,
            Estimated = end.IsEstimated,
            Upstream = exact,
            Charged = charged,
            Lost = lost,
            FinishReason = end.FinishReason,
            ToolCalls = end.ToolCalls,
            VectorsSha256 = end.VectorsSha256,
        };

    private decimal Cost(ModelCallStarted call, CallEnd end) =>
        catalog.Find(new RouteKey(call.Model, call.Provider)) is { } entry
            ? Price.Upstream(
                entry.Model, end.InputTokens, end.OutputTokens, end.CachedInputTokens, end.CacheWriteTokens)
            : 0;

    private void InsertCall(
        DbSession session, LiveRun run, ModelCallStarted call, CallEnd end, long charged, long lost, DateTimeOffset at)
    {
        var bill = Bill.For(end.IsLost ? 0 : Cost(call, end), credits).Charged(charged);
        UsageStore.Insert(session, run.Head.Payer, new UsageRow
        {
            RunId = run.RunId,
            Call = call.Call,
            AgentId = run.Head.AgentId,
            UserId = run.Head.UserId,
            Model = call.Model,
            Provider = call.Provider,
            InputTokens = end.IsLost ? 0 : end.InputTokens,
            OutputTokens = end.IsLost ? 0 : end.OutputTokens,
            Upstream = bill.Upstream,
            Margin = bill.Margin,
            Lost = lost,
            At = at,
        });
    }

    private string Sign(LiveRun run, RunEvent terminal)
    {
        var state = run.State;
        return signer.Sign(new Receipt
        {
            Id = state.Admitted.ReceiptId,
            RunId = run.RunId,
            AccountId = run.Head.Payer.AccountId,
            AgentId = state.Admitted.AgentId,
            AgentVersion = state.Admitted.AgentVersion,
            Model = state.NewestCall?.Model,
            Provider = state.NewestCall?.Provider,
            Tier = state.Admitted.Tier,
            PrivacyClass = state.PrivacyClass.Word(),
            InputTokens = state.InputTokens,
            OutputTokens = state.OutputTokens,
            UpstreamMicroUsd = state.Bill.Upstream,
            MarginMicroUsd = state.Bill.Margin,
            LatencyMilliseconds = (long)(terminal.At - state.CreatedAt).TotalMilliseconds,
            InputSha256 = state.Admitted.Embedding?.TextsSha256 ?? (state.Admitted.Chat is { } chat
                ? Convert.ToHexStringLower(SHA256.HashData(CanonicalJson.Serialize(chat.Messages)))
                : Hash(state.Admitted.Input)),
            OutputSha256 = state.VectorsSha256 ?? Hash(state.Output),
            LogHead = Convert.ToHexStringLower(terminal.Hash),
            IssuedAt = terminal.At,
        });
    }

    /// <summary>What the audit says of a run that ended: the hash of its last event.</summary>
    internal static string HeadOf(byte[] hash) => $"{{\"log_head\":\"{Convert.ToHexStringLower(hash)}\"}}";

    private static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
}

/// <summary>How a model call ended. A lost one is nobody's bill but the operator's.</summary>
internal sealed record CallEnd(string Outcome, long InputTokens, long OutputTokens)
{
    /// <summary>
    /// The end of a call of which nobody will hear more: what the provider may have spent is counted over the prompt
    /// and the text that came, and it is the operator's.
    /// </summary>
    internal static CallEnd Lost(string outcome, ModelCallStarted call, string text) =>
        new(outcome, call.PromptTokens, TokenCounter.Count(text))
        {
            IsLost = true,
            IsEstimated = true,
        };

    /// <summary>The part of the input that the provider read from its cache.</summary>
    internal long CachedInputTokens { get; init; }

    /// <summary>The part of the input that the provider wrote to its cache.</summary>
    internal long CacheWriteTokens { get; init; }

    internal bool IsEstimated { get; init; }

    internal bool IsLost { get; init; }

    /// <summary>True: it is the end of the call beside the open one.</summary>
    internal bool IsOfHedge { get; init; }

    internal string? Fault { get; init; }

    internal string? FinishReason { get; init; }

    internal string? VectorsSha256 { get; init; }

    internal IReadOnlyList<RequestedToolCall> ToolCalls { get; init; } = [];
}
