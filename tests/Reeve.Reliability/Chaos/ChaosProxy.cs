using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Reeve.Reliability.Simulation;

namespace Reeve.Reliability.Chaos;

/// <summary>What becomes of one connection.</summary>
internal enum ChaosFault
{
    None,

    /// <summary>Everything comes late.</summary>
    Latency,

    /// <summary>A few bytes at a time.</summary>
    Drip,

    /// <summary>Closed after so many bytes from the client.</summary>
    CutRequest,

    /// <summary>Closed after so many bytes from the server.</summary>
    CutAnswer,

    /// <summary>As CutAnswer, with a reset instead of an orderly end.</summary>
    Reset,

    /// <summary>The client hears the end of the answer too early, and may go on to send.</summary>
    HalfClose,

    /// <summary>After so many bytes nothing comes any more, and nobody hears why.</summary>
    BlackHole,
}

/// <summary>
/// A TCP proxy on the loopback that mistreats each connection in one way. Number and seed of a connection decide how,
/// so a run of the harness meets the same faults again, if not at the same moments.
/// </summary>
internal sealed class ChaosProxy : IAsyncDisposable
{
    private const int FaultBytesMax = 2_500;
    private const int BufferBytes = 16 * 1024;

    private static readonly ChaosFault[] Faults = Enum.GetValues<ChaosFault>();

    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<Task, byte> _connections = new();
    private readonly Func<Uri> _target;
    private readonly ulong _seed;
    private readonly int _lifeBytes;
    private readonly Task _accepting;
    private readonly long[] _counts = new long[Faults.Length];
    private int _accepted;

    /// <param name="target">Where connections lead; asked for anew each time.</param>
    /// <param name="seed">Where the random choices begin.</param>
    /// <param name="lifeBytes">What the best connection lets through before it ends; pools would keep to it.</param>
    internal ChaosProxy(Func<Uri> target, ulong seed, int lifeBytes = int.MaxValue)
    {
        (_target, _seed, _lifeBytes) = (target, seed, lifeBytes);
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(512);
        _accepting = AcceptAsync();
    }

    internal Uri Url => new($"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndPoint!).Port}/");

    internal int Connections => _accepted;

    internal string Counts => string.Join(", ", Faults.Select(fault =>
        FormattableString.Invariant($"{_counts[(int)fault]} {fault}")));

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _accepting;
        await Task.WhenAll(_connections.Keys);
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                var client = await _listener.AcceptAsync(_stop.Token);
                var random = new SimRandom(_seed ^ ((ulong)Interlocked.Increment(ref _accepted) * 0x9E3779B97F4A7C15));
                var task = Task.Run(() => ServeAsync(client, random));
                _connections.TryAdd(task, 0);
                _ = task.ContinueWith(done => _connections.TryRemove(done, out _), TaskScheduler.Default);
            }
            catch (Exception error) when (error is OperationCanceledException or SocketException
                or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task ServeAsync(Socket client, SimRandom random)
    {
        var fault = random.Pick(Faults);
        Interlocked.Increment(ref _counts[(int)fault]);
        using var server = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        using (client)
        {
            using var both = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
            try
            {
                client.NoDelay = server.NoDelay = true;
                var target = _target();
                await server.ConnectAsync(IPAddress.Parse(target.Host), target.Port, both.Token);
                var (bytes, milliseconds) = (random.Below(FaultBytesMax), 1 + random.Below(20));
                var plan = new Plan(fault, bytes, milliseconds, _lifeBytes);
                await Task.WhenAll(
                    PumpAsync(client, server, plan with { Bytes = bytes / 4 }, isUp: true, both),
                    PumpAsync(server, client, plan, isUp: false, both));
                if (fault == ChaosFault.Reset)
                {
                    client.LingerState = new LingerOption(enable: true, seconds: 0);
                }
            }
            catch (Exception error) when (error is SocketException or OperationCanceledException
                or ObjectDisposedException)
            {
                // The other side of a fault, or the end of the harness.
            }
        }
    }

    private sealed record Plan(ChaosFault Fault, int Bytes, int Milliseconds, int LifeBytes);

    private static async Task PumpAsync(
        Socket from, Socket to, Plan plan, bool isUp, CancellationTokenSource both)
    {
        try
        {
            await PumpToEndAsync(from, to, plan, isUp, both);
        }
        catch (SocketException)
        {
            await both.CancelAsync(); // One side is gone; the other direction has nobody to serve.
        }
    }

    private static async Task PumpToEndAsync(
        Socket from, Socket to, Plan plan, bool isUp, CancellationTokenSource both)
    {
        var buffer = new byte[BufferBytes];
        var left = plan.Fault is ChaosFault.BlackHole
            || (isUp ? plan.Fault is ChaosFault.CutRequest
                : plan.Fault is ChaosFault.CutAnswer or ChaosFault.Reset or ChaosFault.HalfClose)
            ? plan.Bytes
            : plan.LifeBytes;
        var piece = plan.Fault == ChaosFault.Drip ? 1 + plan.Bytes / 16 : BufferBytes;
        while (true)
        {
            var count = await from.ReceiveAsync(buffer.AsMemory(0, Math.Min(piece, buffer.Length)), both.Token);
            if (count == 0)
            {
                to.Shutdown(SocketShutdown.Send);
                return;
            }

            if (plan.Fault is ChaosFault.Latency or ChaosFault.Drip)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(plan.Milliseconds), TimeProvider.System, both.Token);
            }

            var send = Math.Min(count, left);
            await to.SendAsync(buffer.AsMemory(0, send), both.Token);
            left = left == int.MaxValue ? left : left - send;
            if (left > 0)
            {
                continue;
            }

            switch (plan.Fault)
            {
                case ChaosFault.BlackHole:
                    while (await from.ReceiveAsync(buffer, both.Token) > 0)
                    {
                        // Swallowed.
                    }

                    return;
                case ChaosFault.HalfClose:
                    to.Shutdown(SocketShutdown.Send);
                    return;
                default:
                    await both.CancelAsync(); // Both directions end.
                    if (plan.Fault == ChaosFault.Reset)
                    {
                        to.LingerState = new LingerOption(enable: true, seconds: 0);
                    }

                    return;
            }
        }
    }
}
