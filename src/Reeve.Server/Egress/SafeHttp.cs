using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;

namespace Reeve.Server.Egress;

/// <summary>The addresses of a name.</summary>
internal delegate Task<IPAddress[]> ResolveName(string host, CancellationToken cancellationToken);

/// <summary>Connects to exactly this address.</summary>
internal delegate Task<Stream> DialAddress(IPEndPoint address, CancellationToken cancellationToken);

/// <summary>An answer from outside; of its body at most what was asked for.</summary>
internal sealed record EgressAnswer(int Status, ReadOnlyMemory<byte> Body)
{
    internal string? ContentType { get; init; }

    internal string? Location { get; init; }

    internal string? ETag { get; init; }

    internal string? LastModified { get; init; }
}

/// <summary>
/// The one way out for addresses that accounts name. For each connection:
/// <list type="number">
/// <item>the name is resolved, once;</item>
/// <item>each of its addresses must be public (<see cref="AddressTable"/>), or host and port be allowed;</item>
/// <item>the connection goes to exactly the address that was checked. TLS and Host keep the name.</item>
/// </list>
/// No proxy, redirect, cookie or credential comes in from anywhere else, and everything has a bound.
/// </summary>
internal sealed class SafeHttp : IDisposable
{
    private const int PooledConnectionMinutes = 2;
    private const int ConnectionsPerOriginMax = 16;
    private const int HeadersKibibytesMax = 32;
    private const int ReadBytes = 16 * 1024;
    private static readonly TimeSpan ConnectMax = TimeSpan.FromSeconds(10);

    private readonly EgressOptions _options;
    private readonly ResolveName _resolve;
    private readonly DialAddress _dial;
    private readonly TimeProvider _time;
    private readonly HttpMessageInvoker _invoker;

    internal SafeHttp(EgressOptions options, ResolveName resolve, TimeProvider time, DialAddress? dial = null)
    {
        (_options, _resolve, _time, _dial) = (options, resolve, time, dial ?? DialAsync);
        _invoker = new HttpMessageInvoker(new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            Credentials = null,
            PreAuthenticate = false,
            ActivityHeadersPropagator = null,
            AutomaticDecompression = DecompressionMethods.All, // So that the bound of a body is that of what it holds.
            MaxConnectionsPerServer = ConnectionsPerOriginMax,
            MaxResponseHeadersLength = HeadersKibibytesMax,
            ConnectTimeout = ConnectMax,
            PooledConnectionLifetime = TimeSpan.FromMinutes(PooledConnectionMinutes),
            ConnectCallback = ConnectAsync,
        });
    }

    public void Dispose() => _invoker.Dispose();

    /// <summary>The resolver of this machine.</summary>
    internal static Task<IPAddress[]> SystemResolver(string host, CancellationToken cancellationToken) =>
        Dns.GetHostAddressesAsync(host, cancellationToken);

    /// <summary>
    /// Sends a request; the deadline holds for all of it. A redirect is an answer like any other. With
    /// <paramref name="bodyBytesMax"/> 0 the body is not read.
    /// </summary>
    /// <exception cref="EgressException">No answer, or a body larger than it may be.</exception>
    internal async Task<EgressAnswer> SendAsync(
        HttpRequestMessage request, TimeSpan deadline, int bodyBytesMax, CancellationToken cancellationToken)
    {
        if (request.RequestUri is not { IsAbsoluteUri: true } url || url.Scheme is not ("http" or "https")
            || url.UserInfo.Length > 0)
        {
            throw new EgressException(EgressFault.Forbidden, "Only https addresses without a user are called.");
        }

        if (url.Scheme == "http" && !_options.AllowHttp && !_options.Allows(url.IdnHost, url.Port))
        {
            throw new EgressException(EgressFault.Forbidden, "Only https is allowed there.");
        }

        using var timeout = new CancellationTokenSource(deadline, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
        try
        {
            using var answer = await _invoker.SendAsync(request, either.Token);
            return new EgressAnswer((int)answer.StatusCode,
                bodyBytesMax == 0 ? default : await ReadAsync(answer, bodyBytesMax, either.Token))
            {
                ContentType = Header(answer.Content.Headers, "Content-Type"),
                Location = Header(answer.Headers, "Location"),
                ETag = Header(answer.Headers, "ETag"),
                LastModified = Header(answer.Content.Headers, "Last-Modified"),
            };
        }
        catch (OperationCanceledException error) when (!cancellationToken.IsCancellationRequested)
        {
            throw new EgressException(EgressFault.Timeout, "It took too long to answer.", error);
        }
        catch (Exception error) when (error is HttpRequestException or IOException or InvalidDataException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw Explain(error);
        }
    }

    /// <summary>As it stands; null when it is missing or there are several.</summary>
    private static string? Header(HttpHeaders headers, string name) =>
        headers.NonValidated.TryGetValues(name, out var values) && values.Count == 1 ? values.ToString() : null;

    private static async Task<ReadOnlyMemory<byte>> ReadAsync(
        HttpResponseMessage answer, int bytesMax, CancellationToken cancellationToken)
    {
        await using var stream = await answer.Content.ReadAsStreamAsync(cancellationToken);
        using var body = new MemoryStream();
        var buffer = new byte[ReadBytes];
        while (await stream.ReadAsync(buffer, cancellationToken) is var count and > 0)
        {
            if (body.Length + count > bytesMax)
            {
                throw new EgressException(EgressFault.Protocol, "The answer is larger than is read.");
            }

            await body.WriteAsync(buffer.AsMemory(0, count), cancellationToken);
        }

        return body.ToArray();
    }

    private async ValueTask<Stream> ConnectAsync(
        SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var (host, port) = (context.DnsEndPoint.Host, context.DnsEndPoint.Port);
        var addresses = await AddressesAsync(host, cancellationToken);
        if (!_options.Allows(host, port) && !Array.TrueForAll(addresses, AddressTable.IsPublic))
        {
            // One is enough: a public name has no business with such an address.
            throw new EgressException(EgressFault.Forbidden, "The host has an address that is not public.");
        }

        SocketException? last = null;
        foreach (var address in addresses)
        {
            try
            {
                return await _dial(new IPEndPoint(address, port), cancellationToken);
            }
            catch (SocketException error)
            {
                last = error;
            }
        }

        throw new EgressException(EgressFault.Unreachable, "The host takes no connection.", last);
    }

    private async Task<IPAddress[]> AddressesAsync(string host, CancellationToken cancellationToken)
    {
        if (IPAddress.TryParse(host, out var literal))
        {
            return [literal];
        }

        try
        {
            var addresses = await _resolve(host, cancellationToken);
            return addresses.Length > 0 ? addresses : throw Unresolved(null);
        }
        catch (Exception error) when (error is SocketException or ArgumentException)
        {
            throw Unresolved(error);
        }
    }

    private static EgressException Unresolved(Exception? cause) =>
        new(EgressFault.Unresolved, "The host has no address.", cause);

    private static async Task<Stream> DialAsync(IPEndPoint address, CancellationToken cancellationToken)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(address, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static EgressException Explain(Exception error)
    {
        for (var cause = error; cause is not null; cause = cause.InnerException)
        {
            if (cause is EgressException known)
            {
                return known;
            }
        }

        return error is HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError }
            ? new EgressException(EgressFault.Tls, "TLS failed.", error)
            : error is HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError }
                ? new EgressException(EgressFault.Unreachable, "The host takes no connection.", error)
                : new EgressException(EgressFault.Protocol, "The connection broke, or what came is no HTTP.", error);
    }
}
