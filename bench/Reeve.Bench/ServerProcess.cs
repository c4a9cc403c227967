using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Reeve.Bench;

/// <summary>How a server is started; it can be started again on the same data.</summary>
internal sealed record ServerCommand
{
    internal required string Name { get; init; }

    internal required string File { get; init; }

    internal required string[] Arguments { get; init; }

    internal required Uri Url { get; init; }

    internal required string Folder { get; init; }

    internal Dictionary<string, string> Environment { get; init; } = [];
}

/// <summary>A server of ours in a process of its own, ended with it by its id.</summary>
internal sealed partial class ServerProcess : IAsyncDisposable
{
    private const int LogLinesMax = 40;
    private const int SignalTerminate = 15;
    private static readonly TimeSpan StartMax = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan StopMax = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan PollEvery = TimeSpan.FromMilliseconds(2);

    private readonly Process _process;
    private readonly Queue<string> _log = new();

    private ServerProcess(ServerCommand command, Process process)
    {
        Command = command;
        _process = process;
    }

    internal ServerCommand Command { get; }

    /// <summary>From the start of the process to the first 200 of <c>/health/ready</c>.</summary>
    internal TimeSpan ReadyAfter { get; private set; }

    /// <summary>By the kernel's clock of that process: <c>/proc/PID/stat</c> counts in steps of 10 ms.</summary>
    internal TimeSpan CpuTime
    {
        get
        {
            // clock_getcpuclockid(3): the inverted process id, and CPUCLOCK_SCHED in the lowest three bits.
            var clock = (~_process.Id << 3) | 2;
            return ClockGetTime(clock, out var value) == 0
                ? TimeSpan.FromSeconds(value.Seconds) + TimeSpan.FromTicks(value.Nanoseconds / 100)
                : throw new BenchException($"{Command.Name} has ended:\n{LastWords()}");
        }
    }

    internal long ResidentBytes => Status("VmRSS:");

    internal long PeakResidentBytes => Status("VmHWM:");

    internal static Uri FreeUrl()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return new Uri($"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}");
    }

    internal static async Task<ServerProcess> StartAsync(
        ServerCommand command, TimeProvider time, CancellationToken cancellationToken)
    {
        if (!File.Exists(command.File))
        {
            throw new BenchException($"{command.File} is missing; build the solution in Release.");
        }

        Directory.CreateDirectory(command.Folder);
        var start = new ProcessStartInfo(command.File, command.Arguments)
        {
            WorkingDirectory = command.Folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        ClearServerSettings(start.Environment);
        foreach (var (name, value) in command.Environment)
        {
            start.Environment[name] = value;
        }

        var server = new ServerProcess(command, new Process { StartInfo = start });
        var started = time.GetTimestamp();
        server.Start();
        try
        {
            await server.WaitUntilReadyAsync(started, time, cancellationToken);
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _ = Kill(_process.Id, SignalTerminate);
            using var patience = new CancellationTokenSource(StopMax);
            try
            {
                await _process.WaitForExitAsync(patience.Token);
            }
            catch (OperationCanceledException)
            {
                _process.Kill();
                await _process.WaitForExitAsync(CancellationToken.None);
            }
        }

        _process.Dispose();
    }

    /// <summary>What the server said last; for the message of a failure.</summary>
    internal string LastWords()
    {
        lock (_log)
        {
            return string.Join(Environment.NewLine, _log);
        }
    }

    /// <summary>The operator's own keys would put other models into the catalog.</summary>
    private static void ClearServerSettings(IDictionary<string, string?> environment)
    {
        string[] foreign = ["OPENAI_", "ANTHROPIC_", "GEMINI_", "OLLAMA_", "REEVE_", "MOCK_", "ASPNETCORE_"];
        foreach (var name in environment.Keys.Where(name => foreign.Any(name.StartsWith)).ToArray())
        {
            environment.Remove(name);
        }
    }

    private void Start()
    {
        _process.OutputDataReceived += (_, line) => Keep(line.Data);
        _process.ErrorDataReceived += (_, line) => Keep(line.Data);
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    private void Keep(string? line)
    {
        if (line is null)
        {
            return;
        }

        lock (_log)
        {
            _log.Enqueue(line);
            if (_log.Count > LogLinesMax)
            {
                _log.Dequeue();
            }
        }
    }

    private async Task WaitUntilReadyAsync(long started, TimeProvider time, CancellationToken cancellationToken)
    {
        using var http = new HttpClient();
        var ready = new Uri(Command.Url, "/health/ready");
        while (time.GetElapsedTime(started) < StartMax)
        {
            if (_process.HasExited)
            {
                throw new BenchException($"{Command.Name} ended with {_process.ExitCode} at start:\n{LastWords()}");
            }

            try
            {
                using var response = await http.GetAsync(ready, cancellationToken);
                if (response.StatusCode == HttpStatusCode.OK)
                {
                    ReadyAfter = time.GetElapsedTime(started);
                    return;
                }
            }
            catch (HttpRequestException)
            {
                // Not listening yet: asked again below, for as long as StartMax allows.
            }

            await Task.Delay(PollEvery, time, cancellationToken);
        }

        throw new BenchException($"{Command.Name} was not ready within {StartMax.TotalSeconds} s:\n{LastWords()}");
    }

    private long Status(string field)
    {
        var line = File.ReadLines($"/proc/{_process.Id}/status")
            .First(line => line.StartsWith(field, StringComparison.Ordinal));
        var kilobytes = line[field.Length..].Replace("kB", "", StringComparison.Ordinal).Trim();
        return long.Parse(kilobytes, CultureInfo.InvariantCulture) * 1024;
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Kill(int processId, int signal);

    [LibraryImport("libc", EntryPoint = "clock_gettime", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int ClockGetTime(int clock, out Timespec value);

    [StructLayout(LayoutKind.Sequential)]
    private struct Timespec
    {
        public nint Seconds;
        public nint Nanoseconds;
    }
}
