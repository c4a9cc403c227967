using Reeve.Server;
using Reeve.Server.Storage;
using Reeve.Server.Tests;
using Reeve.Server.Tests.Process;

namespace Reeve.Reliability.Load;

/// <summary>
/// A real server on a folder of its own, and whoever wants to talk to it: the process may be killed and started anew at
/// any time, and its clients wait for the next one.
/// </summary>
internal sealed class ServerSlot : IAsyncDisposable
{
    private readonly Lock _lock = new();
    private TaskCompletionSource<Uri> _url = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private ReeveProcess? _process;

    internal ServerSlot(string? folder = null)
    {
        Folder = folder ?? TestServer.NewFolder();
        Http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = int.MaxValue })
        {
            Timeout = TestServer.Timeout,
        };
    }

    internal string Folder { get; }

    internal HttpClient Http { get; }

    internal string DatabaseFile => DataFolder.DatabaseIn(Path.Combine(Folder, "data"));

    internal ReeveProcess Process => _process ?? throw new InvalidOperationException("No server runs.");

    /// <summary>Milliseconds from each start to "ready".</summary>
    internal List<double> MillisecondsToReady { get; } = [];

    /// <summary>When the newest server became ready, as a timestamp.</summary>
    internal long ReadyAt { get; private set; }

    /// <summary>How the server ended that ended by itself last; 137: by SIGKILL, as a failpoint ends one.</summary>
    internal int ExitCode { get; private set; }

    /// <summary>Starts a server; false: it ended before it was ready, as one with a failpoint may.</summary>
    internal async Task<bool> TryStartAsync(string? failpoints = null)
    {
        var begun = TimeProvider.System.GetTimestamp();
        _process = ReeveProcess.Launch(Folder,
            ("REEVE_ADMIN_KEY", TestServer.AdminKey), (Failpoints.Variable, failpoints ?? ""));
        if (!await _process.IsReadyAsync())
        {
            ExitCode = await _process.ExitAsync();
            await DropAsync();
            return false;
        }

        ReadyAt = TimeProvider.System.GetTimestamp();
        MillisecondsToReady.Add(TimeProvider.System.GetElapsedTime(begun, ReadyAt).TotalMilliseconds);
        lock (_lock)
        {
            _url.TrySetResult(_process.Url);
        }

        return true;
    }

    internal async Task StartAsync(string? failpoints = null)
    {
        if (!await TryStartAsync(failpoints))
        {
            throw new InvalidOperationException("The server ended before it was ready.");
        }
    }

    /// <summary>The address of the server, once there is one.</summary>
    internal Task<Uri> UrlAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            return _url.Task.WaitAsync(cancellationToken);
        }
    }

    internal async Task KillAsync()
    {
        Hide();
        await Process.KillAsync();
        await DropAsync();
    }

    /// <summary>Asks the server to end; answers its exit status, 137 when it was killed meanwhile.</summary>
    internal async Task<int> TerminateAsync()
    {
        Hide();
        var code = await Process.TerminateAsync();
        await DropAsync();
        return code;
    }

    /// <summary>Waits for the server to end by itself; false: it lives on.</summary>
    internal async Task<bool> EndsWithinAsync(TimeSpan time)
    {
        try
        {
            ExitCode = await Process.ExitAsync().WaitAsync(time);
        }
        catch (TimeoutException)
        {
            return false;
        }

        Hide();
        await DropAsync();
        return true;
    }

    /// <summary>Reads the database beside the server.</summary>
    internal T Read<T>(Func<DbSession, T> work) => Database.ReadOnce(DatabaseFile, session =>
    {
        session.Keys = new ContentKeys(Master);
        return work(session);
    });

    /// <summary>By which the server encrypts what is confidential.</summary>
    internal MasterKey Master => MasterKey.Load(Path.Combine(Folder, "data"), null, dataExists: true);

    /// <summary>
    /// Makes an agent whose runs are encrypted at rest: it has a confidential document, which no question meets.
    /// </summary>
    internal async Task<string> NewSealedAgentAsync(string members = "")
    {
        var agent = await NewAgentAsync(members);
        using var client = new TestClient(Process.Url, TestServer.AdminKey);
        var answer = await client.PostAsync($"/v1/agents/{agent}/documents",
            """{"text":"Xyzzy plugh.","name":"Unmet","privacy_class":"confidential"}""");
        return answer.Status == 201 ? agent : throw new InvalidOperationException($"No document: {answer.Text}");
    }

    /// <summary>Makes an agent; <paramref name="members"/> go into the body as they are.</summary>
    internal async Task<string> NewAgentAsync(string members = "")
    {
        using var client = new TestClient(Process.Url, TestServer.AdminKey);
        var answer = await client.PostAsync("/v1/agents",
            $$"""
            {"name":"Desk","model":"{{MockProvider.Model}}","tools":[{"name":"time","type":"builtin"}]{{members}}}
            """);
        return answer.Status == 201
            ? answer.Json.GetProperty("id").GetString()!
            : throw new InvalidOperationException($"No agent: {answer.Text}");
    }

    /// <summary>Makes a webhook; answers its id and secret.</summary>
    internal async Task<(string Id, string Secret)> NewWebhookAsync(Uri url, params string[] events)
    {
        using var client = new TestClient(Process.Url, TestServer.AdminKey);
        var names = string.Join(',', events.Select(static name => $"\"{name}\""));
        var answer = await client.PostAsync("/v1/webhooks", $$"""{"url":"{{url}}","events":[{{names}}]}""");
        return answer.Status == 201
            ? (answer.Json.GetProperty("id").GetString()!, answer.Json.GetProperty("secret").GetString()!)
            : throw new InvalidOperationException($"No webhook: {answer.Text}");
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            await _process.DisposeAsync();
        }

        Http.Dispose();
        Directory.Delete(Folder, recursive: true);
    }

    private void Hide()
    {
        lock (_lock)
        {
            if (_url.Task.IsCompleted)
            {
                _url = new TaskCompletionSource<Uri>(TaskCreationOptions.RunContinuationsAsynchronously);
            }
        }
    }

    private async Task DropAsync()
    {
        if (_process is { } process)
        {
            _process = null;
            await process.DisposeAsync();
        }
    }
}
