using System.Net;
using System.Net.Sockets;

namespace Reeve.Reliability.Egress;

/// <summary>
/// Listens on every address of this machine, v4 and v6: who reaches it reached what accounts must never reach. It
/// answers as a webhook's receiver would.
/// </summary>
internal sealed class TrapServer : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp);
    private int _accepted;

    internal TrapServer()
    {
        _listener.DualMode = true;
        _listener.Bind(new IPEndPoint(IPAddress.IPv6Any, 0));
        _listener.Listen(512);
        _ = AcceptAsync();
    }

    internal int Port => ((IPEndPoint)_listener.LocalEndPoint!).Port;

    internal int Accepted => Volatile.Read(ref _accepted);

    public void Dispose() => _listener.Dispose();

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                using var caught = await _listener.AcceptAsync();
                Interlocked.Increment(ref _accepted);
                _ = await caught.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"u8
                    .ToArray());
            }
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            // The end of this trap.
        }
    }
}
