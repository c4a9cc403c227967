using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Reeve.Server.Tests;

namespace Reeve.Reliability.Abuse;

/// <summary>
/// A real nginx before a server, with connections to it that it keeps and shares among its callers: once as most people
/// set it up, and once passing on all that it can, at once.
/// </summary>
internal sealed class NginxFront : IDisposable
{
    private readonly Process _process;
    private readonly string _folder;

    private NginxFront(Process process, string folder, Uri usual, Uri lenient) =>
        (_process, _folder, Usual, Lenient) = (process, folder, usual, lenient);

    internal Uri Usual { get; }

    internal Uri Lenient { get; }

    private static string? Program => ((string[])["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"])
        .FirstOrDefault(File.Exists);

    /// <summary>Starts it; null: there is no nginx here.</summary>
    internal static async Task<NginxFront?> StartAsync(Uri backend)
    {
        if (Program is not { } program)
        {
            return null;
        }

        var folder = Directory.CreateTempSubdirectory("reeve-nginx-").FullName;
        var (usual, lenient) = (FreePort(), FreePort());
        var file = Path.Combine(folder, "nginx.conf");
        await File.WriteAllTextAsync(file, Configuration(backend, folder, usual, lenient));
        var process = Process.Start(new ProcessStartInfo(program, ["-p", folder, "-c", file])
        {
            RedirectStandardError = true,
        })!;
        var front = new NginxFront(process, folder, Local(usual), Local(lenient));
        try
        {
            await Eventually.TrueAsync(() => process.HasExited || front.Answers());
            return process.HasExited
                ? throw new IOException($"nginx ended: {await process.StandardError.ReadToEndAsync()}")
                : front;
        }
        catch
        {
            front.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            _process.WaitForExit();
        }

        _process.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private bool Answers()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Connect(IPAddress.Loopback, Lenient.Port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static Uri Local(int port) => new(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}/"));

    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    private static string Configuration(Uri backend, string folder, int usual, int lenient) => string.Create(
        CultureInfo.InvariantCulture,
        $$"""
        daemon off;
        master_process off;
        pid {{folder}}/nginx.pid;
        error_log {{folder}}/error.log crit;
        events { worker_connections 4096; }
        http {
          access_log off;
          client_body_temp_path {{folder}}/body;
          proxy_temp_path {{folder}}/proxy;
          fastcgi_temp_path {{folder}}/fastcgi;
          uwsgi_temp_path {{folder}}/uwsgi;
          scgi_temp_path {{folder}}/scgi;
          client_header_timeout 1s;
          client_body_timeout 1s;
          keepalive_timeout 300ms;
          upstream reeve { server 127.0.0.1:{{backend.Port}}; keepalive 2; }
          proxy_http_version 1.1;
          proxy_set_header Connection "";
          server {
            listen 127.0.0.1:{{usual}};
            location / { proxy_pass http://reeve; }
          }
          server {
            listen 127.0.0.1:{{lenient}};
            merge_slashes off;
            ignore_invalid_headers off;
            underscores_in_headers on;
            proxy_request_buffering off;
            proxy_buffering off;
            location / { proxy_pass http://reeve; }
          }
        }
        """);
}
