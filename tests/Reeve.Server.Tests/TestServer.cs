using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Reeve.Server.Retrieval.Parsing.Child;
using Reeve.Server.Storage;
using Reeve.Server.Tests.Process;

namespace Reeve.Server.Tests;

/// <summary>
/// A whole server on a data folder of its own, listening on a free port of this machine. Its clock stands still until a
/// test moves <see cref="Time"/>; with <c>realTime</c> it runs.
/// </summary>
internal sealed class TestServer : IAsyncDisposable
{
    /// <summary>Longer than anything in a test takes.</summary>
    internal static readonly TimeSpan Timeout = TimeSpan.FromSeconds(90);

    /// <summary>The preset admin key of the first account.</summary>
    internal const string AdminKey = "mesh_live_zR8HzjAck3ZdvdNWA0CvUxPWsyYmk2e52GI52I";

    internal static readonly DateTimeOffset StartTime = new(2026, 11, 20, 9, 15, 3, 530, TimeSpan.Zero);

    private readonly bool _ownsFolder;

    private TestServer(WebApplication app, FakeTimeProvider time, string folder, bool ownsFolder, StringWriter output)
    {
        App = app;
        Time = time;
        Folder = folder;
        Output = output;
        _ownsFolder = ownsFolder;
        Url = new Uri(app.Urls.First());
        Client = ClientFor(AdminKey);
    }

    internal WebApplication App { get; }

    internal FakeTimeProvider Time { get; }

    internal string Folder { get; }

    /// <summary>What the server printed for people.</summary>
    internal StringWriter Output { get; }

    internal Uri Url { get; }

    /// <summary>A client with the admin key.</summary>
    internal TestClient Client { get; }

    internal Database Database => Service<Database>();

    /// <summary>
    /// Starts a server. <paramref name="folder"/> reuses the data of an earlier one and is then kept;
    /// <paramref name="configure"/> replaces services; <paramref name="map"/> adds endpoints.
    /// </summary>
    internal static async Task<TestServer> StartAsync(
        Func<ReeveOptions, ReeveOptions>? options = null, Action<WebApplicationBuilder>? configure = null,
        Action<WebApplication>? map = null, string? folder = null, bool realTime = false,
        DateTimeOffset? startTime = null, string? adminKey = AdminKey, string? masterKey = null)
    {
        var path = folder ?? NewFolder();
        var time = new FakeTimeProvider(startTime ?? StartTime);
        var output = new StringWriter();
        var app = ReeveServer.Build(["--data", path, "--urls", "http://127.0.0.1:0"], builder =>
        {
            var services = builder.Services;
            if (!realTime)
            {
                services.AddSingleton<TimeProvider>(time);
            }

            if (options is not null)
            {
                var defaults = (ReeveOptions)services.Last(one => one.ServiceType == typeof(ReeveOptions))
                    .ImplementationInstance!;
                services.AddSingleton(options(defaults));
            }

            services.AddSingleton(new ParserProgram(ReeveProcess.Executable, ["parse"]));
            services.AddSingleton<TextWriter>(output);
            services.AddSingleton(new StartSecrets(masterKey, adminKey));
            builder.Logging.SetMinimumLevel(LogLevel.Error);
            configure?.Invoke(builder);
        });
        try
        {
            map?.Invoke(app);
            await app.StartAsync(TestContext.Current.CancellationToken);
        }
        catch
        {
            await app.DisposeAsync();
            throw;
        }

        return new TestServer(app, time, path, folder is null, output);
    }

    internal static string NewFolder() => Directory.CreateTempSubdirectory("reeve-test-").FullName;

    internal T Service<T>()
        where T : notnull => App.Services.GetRequiredService<T>();

    /// <summary>A client that sends this key; null sends none.</summary>
    internal TestClient ClientFor(string? key) => new(Url, key);

    /// <summary>Makes a key of the first account over the wire and answers its text.</summary>
    internal async Task<string> NewKeyAsync(string members)
    {
        var answer = await Client.PostAsync("/v1/api-keys", $$"""{"name":"test",{{members}}}""");
        Assert.Equal(201, answer.Status);
        return answer.Json.GetProperty("key").GetString()!;
    }

    /// <summary>Sends bytes as they are and reads the answer until the server closes the connection.</summary>
    internal async Task<string> SendRawAsync(string request)
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(Url.Host, Url.Port, cancellationToken);
        await using var stream = new NetworkStream(socket, ownsSocket: false);
        await stream.WriteAsync(Encoding.Latin1.GetBytes(request), cancellationToken);
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return await reader.ReadToEndAsync(cancellationToken).WaitAsync(Timeout, cancellationToken);
    }

    /// <summary>Stops the server and keeps its data folder, for another start on it.</summary>
    internal async Task<string> StopAsync()
    {
        Client.Dispose();
        await App.StopAsync(TestContext.Current.CancellationToken);
        await App.DisposeAsync();
        return Folder;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        if (_ownsFolder)
        {
            Directory.Delete(Folder, recursive: true);
        }
    }
}
