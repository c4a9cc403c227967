using System.Net.Sockets;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace Reeve.Server.Http;

/// <summary>How the server listens.</summary>
internal static class KestrelSetup
{
    /// <summary>Caps what one stalled reader pins in the kernel; by default that is about 3 MB.</summary>
    private const int SendBufferBytes = 64 * 1024;

    internal static void UseReeveKestrel(this IWebHostBuilder host, string urls)
    {
        foreach (var url in urls.Split(';', StringSplitOptions.RemoveEmptyEntries))
        {
            try
            {
                _ = BindingAddress.Parse(url);
            }
            catch (FormatException error)
            {
                throw new StartException(
                    $"{url} is not an address to listen on, such as http://127.0.0.1:5080.", error);
            }
        }

        // A line feed alone ends no line: what stands in front may see one header where Kestrel would see two.
        AppContext.SetSwitch("Microsoft.AspNetCore.Server.Kestrel.DisableHttp1LineFeedTerminators", true);
        host.UseKestrelCore().UseKestrelHttpsConfiguration().UseUrls(urls);
        host.ConfigureKestrel(static options =>
        {
            options.AddServerHeader = false;

            // Without TLS it is so anyway. HTTP/2 belongs to the proxy in front, and with it what HTTP/2 is abused for.
            options.ConfigureEndpointDefaults(static listen => listen.Protocols = HttpProtocols.Http1);
            options.Limits.MaxRequestBodySize = null; // Each endpoint has its own limit and answers 413 itself.
            options.Limits.MaxRequestHeaderCount = 64;
            options.Limits.MaxRequestHeadersTotalSize = 32 * 1024;
            options.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(15);
        });
        host.ConfigureServices(static services => services.AddOptions<KestrelServerOptions>()
            .Configure<ReeveOptions>(static (kestrel, options) =>
                kestrel.Limits.MaxConcurrentConnections = ConnectionsMax(options.Limits, OpenFiles.Max())));
        host.ConfigureServices(static services => services.Configure<SocketTransportOptions>(static options =>
            options.CreateBoundListenSocket = static endpoint =>
            {
                var socket = SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);
                if (socket.ProtocolType == ProtocolType.Tcp)
                {
                    socket.SendBufferSize = SendBufferBytes; // Accepted connections inherit it.
                }

                return socket;
            }));
    }

    /// <summary>
    /// A quarter of the descriptors is for the database and the providers: when connections take them all, runs fail
    /// and accepting spins.
    /// </summary>
    internal static long ConnectionsMax(LimitOptions limits, long? openFilesMax) =>
        Math.Max(1, Math.Min(limits.ConnectionsMax, (openFilesMax ?? long.MaxValue) / 4 * 3));
}
