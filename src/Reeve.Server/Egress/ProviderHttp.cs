using System.Net;

namespace Reeve.Server.Egress;

/// <summary>
/// The connections to the providers that the operator named. Their addresses may be private, so nothing is looked up in
/// the table of forbidden addresses; for what an account can type there is another way out.
/// </summary>
internal sealed class ProviderHttp(HttpMessageHandler handler) : IDisposable
{
    private const int PooledConnectionMinutes = 5;
    private const int ConnectSecondsMax = 60;

    // No overall timeout: an answer may take long, and the adapters end a call by the provider's silence.
    private readonly HttpMessageInvoker _invoker = new(handler);

    internal ProviderHttp()
        : this(new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
            ActivityHeadersPropagator = null,
            Credentials = null,
            EnableMultipleHttp2Connections = true,
            ConnectTimeout = TimeSpan.FromSeconds(ConnectSecondsMax),

            // A provider that moves is followed: names are looked up anew when a connection is.
            PooledConnectionLifetime = TimeSpan.FromMinutes(PooledConnectionMinutes),
        })
    {
    }

    public void Dispose() => _invoker.Dispose();

    /// <summary>
    /// Sends the request and answers when the response's headers are there; its body is a live stream.
    /// </summary>
    internal Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
        _invoker.SendAsync(request, cancellationToken);
}
