using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Reeve.Server;

/// <summary>
/// Named places on the way of a run, at every commit and await boundary, where a test lets the process crash, fail,
/// dawdle or stand still. Off unless armed; the variable <c>REEVE_FAILPOINTS</c> arms them in a real server.
/// </summary>
/// <remarks>
/// <code>
/// REEVE_FAILPOINTS = point=action[@hit] [; ...]      loop.tool_effect=crash@2; storage.before_commit=delay:200
/// action           = crash    the process ends as by kill -9
///                  | throw    an error that nobody expects
///                  | delay:N  waits N milliseconds (0 to 600,000) on the thread that came by
///                  | stop     the process stands still as by SIGSTOP, until SIGCONT
/// @hit             = only the N-th time that the point is reached; without it every time
/// </code>
/// </remarks>
internal sealed class Failpoints(Action<string>? onHit)
{
    internal const string Variable = "REEVE_FAILPOINTS";

    internal const string AdmitLooked = "admit.looked";
    internal const string AdmitBeforeCommit = "admit.before_commit";
    internal const string AdmitInCommit = "admit.in_commit";
    internal const string AdmitCommitted = "admit.committed";
    internal const string AdmitPublished = "admit.published";
    internal const string StorageBegun = "storage.begun";
    internal const string StorageBeforeCommit = "storage.before_commit";
    internal const string StorageCommitted = "storage.committed";
    internal const string StorageToldSome = "storage.told_some";
    internal const string StorageBeforeCheckpoint = "storage.before_checkpoint";
    internal const string StorageCheckpointed = "storage.checkpointed";
    internal const string LogInserted = "log.inserted";
    internal const string LogPublished = "log.published";
    internal const string LoopBegun = "loop.begun";
    internal const string LoopRetrieved = "loop.retrieved";
    internal const string LoopHeld = "loop.held";
    internal const string LoopAsked = "loop.asked";
    internal const string LoopHedged = "loop.hedged";
    internal const string LoopHedgeEnded = "loop.hedge_ended";
    internal const string LoopDelta = "loop.delta";
    internal const string LoopAnswered = "loop.answered";
    internal const string LoopCallEnded = "loop.call_ended";
    internal const string LoopToolIntended = "loop.tool_intended";
    internal const string LoopToolEffect = "loop.tool_effect";
    internal const string LoopToolFinished = "loop.tool_finished";
    internal const string EndSigned = "end.signed";
    internal const string EndInCommit = "end.in_commit";
    internal const string EndCommitted = "end.committed";
    internal const string HostEnded = "host.ended";
    internal const string HostTurnBegun = "host.turn_begun";
    internal const string CancelRequested = "cancel.requested";
    internal const string CancelSignalled = "cancel.signalled";
    internal const string RecoverClaimed = "recover.claimed";
    internal const string RecoverMended = "recover.mended";
    internal const string StreamBeforeFlush = "stream.before_flush";
    internal const string StreamFlushed = "stream.flushed";
    internal const string StopReleased = "stop.released";
    internal const string WebhookQueued = "webhook.queued";
    internal const string WebhookSending = "webhook.sending";
    internal const string WebhookSent = "webhook.sent";
    internal const string WebhookRecorded = "webhook.recorded";

    /// <summary>Every point there is; a test reaches each of them.</summary>
    internal static readonly IReadOnlyList<string> All =
    [
        AdmitLooked, AdmitBeforeCommit, AdmitInCommit, AdmitCommitted, AdmitPublished,
        StorageBegun, StorageBeforeCommit, StorageCommitted, StorageToldSome, StorageBeforeCheckpoint,
        StorageCheckpointed, LogInserted, LogPublished,
        LoopBegun, LoopRetrieved, LoopHeld, LoopAsked, LoopHedged, LoopHedgeEnded,
        LoopDelta, LoopAnswered, LoopCallEnded,
        LoopToolIntended, LoopToolEffect, LoopToolFinished,
        EndSigned, EndInCommit, EndCommitted, HostEnded, HostTurnBegun, CancelRequested, CancelSignalled,
        RecoverClaimed, RecoverMended, StreamBeforeFlush, StreamFlushed, StopReleased,
        WebhookQueued, WebhookSending, WebhookSent, WebhookRecorded,
    ];

    internal static readonly Failpoints Off = new(null);

    private const int DelayMillisecondsMax = 600_000;
    private const int SignalStop = 19;

    /// <summary>What is armed by the value of <see cref="Variable"/>; null or empty arms nothing.</summary>
    /// <exception cref="ReeveOptionsException">The value names no point or no action.</exception>
    internal static Failpoints Parse(string? text)
    {
        var armed = new Dictionary<string, Armed>(StringComparer.Ordinal);
        foreach (var part in (text ?? "").Split(
            ';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var sign = part.IndexOf('=', StringComparison.Ordinal);
            var name = sign < 0 ? part : part[..sign];
            if (!All.Contains(name))
            {
                throw new ReeveOptionsException(
                    $"{Variable}: there is no point {name}; the points are {string.Join(", ", All)}.");
            }

            armed[name] = Armed.Parse(part[(sign + 1)..]) ?? throw new ReeveOptionsException(
                $"{Variable}: {part} must be {name}=crash, throw, delay:MILLISECONDS or stop, then @HIT or nothing.");
        }

        return new Failpoints(armed.Count == 0 ? null : name => armed.GetValueOrDefault(name)?.Hit());
    }

    /// <summary>Says that the run came by a point.</summary>
    internal void Hit(string name) => onHit?.Invoke(name);

    private static void Crash()
    {
        Process.GetCurrentProcess().Kill();
        Wait(Timeout.Infinite);
    }

    private static void Wait(int milliseconds)
    {
        using var never = new ManualResetEventSlim();
        never.Wait(milliseconds);
    }

    private static void Stop()
    {
        if (kill(Environment.ProcessId, SignalStop) != 0)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }
    }

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
#pragma warning disable IDE1006, SYSLIB1054 // The C library's own name; a source generator would need unsafe code.
    private static extern int kill(int processId, int signal);
#pragma warning restore IDE1006, SYSLIB1054

    private sealed class Armed(Action act, int onlyAt)
    {
        private int _hits;

        internal void Hit()
        {
            if (Interlocked.Increment(ref _hits) == onlyAt || onlyAt == 0)
            {
                act();
            }
        }

        internal static Armed? Parse(string text)
        {
            var at = text.IndexOf('@', StringComparison.Ordinal);
            var onlyAt = 0;
            if (at >= 0 && (!int.TryParse(text[(at + 1)..], CultureInfo.InvariantCulture, out onlyAt) || onlyAt < 1))
            {
                return null;
            }

            Action? act = (at < 0 ? text : text[..at]) switch
            {
                "crash" => Crash,
                "throw" => static () => throw new FailpointException(),
                "stop" => Stop,
                ['d', 'e', 'l', 'a', 'y', ':', .. var number]
                    when int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds)
                    && milliseconds <= DelayMillisecondsMax => () => Wait(milliseconds),
                _ => null,
            };
            return act is null ? null : new Armed(act, onlyAt);
        }
    }
}

/// <summary>What an armed point throws: an error that nothing in the server expects.</summary>
internal sealed class FailpointException() : Exception("A failpoint threw.");
