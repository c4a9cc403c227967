using System.Net;
using System.Net.Sockets;

namespace Reeve.Reliability.Load;

/// <summary>
/// Accepts connections on a loopback port of its own and hands each to <c>serve</c>, which owns the socket and must
/// not throw.
/// </summary>
internal sealed class LoopbackListener : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource _stop = new();

    internal LoopbackListener(int backlog, Func<Socket, CancellationToken, Task> serve)
    {
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(backlog);
        Port = ((IPEndPoint)_listener.LocalEndPoint!).Port;
        _ = AcceptAsync(serve);
    }

    internal int Port { get; }

    public void Dispose()
    {
        _stop.Cancel();
        _listener.Dispose();
        _stop.Dispose();
    }

    private async Task AcceptAsync(Func<Socket, CancellationToken, Task> serve)
    {
        var stop = _stop.Token;
        try
        {
            while (true)
            {
                _ = serve(await _listener.AcceptAsync(stop), stop);
            }
        }
        catch (Exception error) when (error is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The end of this listener.
        }
    }
}
