using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;
using SystemProcess = System.Diagnostics.Process;

namespace Reeve.Server.Tests.Process;

/// <summary>
/// The command line <c>reeve</c> as it was built, in a process of its own on a free port of this machine.
/// </summary>
internal sealed partial class ReeveProcess : IAsyncDisposable
{
    private readonly SystemProcess _process;
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _errors = new();
    private readonly TaskCompletionSource<Uri> _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private ReeveProcess(string folder, string[] args, (string Name, string Value)[] environment)
    {
        _process = new SystemProcess { StartInfo = StartInfo(folder, args, environment) };
        _process.OutputDataReceived += (_, line) => Receive(_output, line.Data);
        _process.ErrorDataReceived += (_, line) => Receive(_errors, line.Data);
    }

    /// <summary>
    /// artifacts/bin/Reeve.Server.Tests/CONFIGURATION beside artifacts/bin/Reeve.Cli/CONFIGURATION.
    /// </summary>
    internal static string Executable { get; } = Path.Combine(
        new DirectoryInfo(AppContext.BaseDirectory).Parent!.Parent!.FullName, "Reeve.Cli",
        new DirectoryInfo(AppContext.BaseDirectory).Name, "reeve");

    internal string Output => Text(_output);

    /// <summary>
    /// What it said on stderr, but for warnings of the log: how old the runtime is, say, is no matter here.
    /// </summary>
    internal string Errors => string.Concat(Text(_errors).Split('\n')
        .Where(line => line.Length > 0 && !line.Contains("\"LogLevel\":\"Warning\"", StringComparison.Ordinal))
        .Select(line => line + "\n"));

    /// <summary>All that it said on stderr.</summary>
    internal string Log => Text(_errors);

    internal Uri Url { get; private set; } = null!;

    internal bool HasExited => _process.HasExited;

    /// <summary>True while the process stands still, as after SIGSTOP.</summary>
    internal bool IsStopped => File.ReadAllText($"/proc/{_process.Id}/status")
        .Contains("State:\tT", StringComparison.Ordinal);

    /// <summary>Memory of the process that is in RAM, in bytes.</summary>
    internal long ResidentBytes
    {
        get
        {
            _process.Refresh();
            return _process.WorkingSet64;
        }
    }

    internal int ProcessId => _process.Id;

    /// <summary>Starts a server on the data of a folder and waits until it says that it is ready.</summary>
    internal static async Task<ReeveProcess> ServeAsync(string folder, params (string Name, string Value)[] environment)
    {
        var process = Launch(folder, environment);
        Assert.True(await process.IsReadyAsync(), $"The server ended: {process.Output}\n{process.Errors}");
        return process;
    }

    /// <summary>Starts a server as <see cref="ServeAsync"/>, for one that may end before it is ready.</summary>
    internal static ReeveProcess Launch(string folder, params (string Name, string Value)[] environment)
    {
        var process = new ReeveProcess(
            folder, ["serve", "--data", Path.Combine(folder, "data"), "--urls", "http://127.0.0.1:0"], environment);
        process.Start();
        return process;
    }

    /// <summary>Waits until the server says that it is ready; false: it ended before that.</summary>
    internal async Task<bool> IsReadyAsync()
    {
        var exited = _process.WaitForExitAsync(TestContext.Current.CancellationToken);
        await Task.WhenAny(_ready.Task, exited).WaitAsync(TestServer.Timeout, TestContext.Current.CancellationToken);
        if (!_ready.Task.IsCompleted)
        {
            return false;
        }

        Url = await _ready.Task;
        return true;
    }

    /// <summary>Starts a command and does not wait for it.</summary>
    internal static ReeveProcess Begin(string folder, string[] args, params (string Name, string Value)[] environment)
    {
        var process = new ReeveProcess(folder, args, environment);
        process.Start();
        return process;
    }

    /// <summary>Runs a command to its end.</summary>
    internal static async Task<(int Code, string Output, string Errors)> RunAsync(
        string folder, string[] args, params (string Name, string Value)[] environment)
    {
        await using var process = new ReeveProcess(folder, args, environment);
        process.Start();
        var code = await process.ExitAsync();
        return (code, process.Output, process.Errors);
    }

    internal static Task<(int Code, string Output, string Errors)> VerifyAsync(string folder) =>
        RunAsync(folder, ["verify", "--data", Path.Combine(folder, "data")]);

    /// <summary>As kill -9.</summary>
    internal async Task KillAsync()
    {
        _process.Kill();
        await ExitAsync();
    }

    /// <summary>Asks it to end; answers its exit status.</summary>
    internal async Task<int> TerminateAsync()
    {
        await SignalAsync("TERM");
        return await ExitAsync();
    }

    /// <summary>Sends a signal by its name, such as STOP.</summary>
    internal async Task SignalAsync(string name)
    {
        using var kill = SystemProcess.Start("kill", [$"-{name}", $"{_process.Id}"]);
        await kill.WaitForExitAsync(TestContext.Current.CancellationToken);
    }

    internal async Task<int> ExitAsync()
    {
        await _process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TestServer.Timeout);
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            await KillAsync();
        }

        _process.Dispose();
    }

    private static ProcessStartInfo StartInfo(string folder, string[] args, (string Name, string Value)[] environment)
    {
        var info = new ProcessStartInfo(Executable, args)
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var name in info.Environment.Keys.Where(IsASetting).ToList())
        {
            info.Environment.Remove(name);
        }

        info.Environment["DOTNET_ROOT"] =
            Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "../../.."));
        foreach (var (name, value) in environment)
        {
            info.Environment[name] = value;
        }

        return info;
    }

    private static bool IsASetting(string name) => name.StartsWith("REEVE_", StringComparison.Ordinal)
        || name.StartsWith("OPENAI_", StringComparison.Ordinal)
        || name.StartsWith("ANTHROPIC_", StringComparison.Ordinal)
        || name.StartsWith("GEMINI_", StringComparison.Ordinal)
        || name.StartsWith("OLLAMA_", StringComparison.Ordinal);

    private static string Text(StringBuilder text)
    {
        lock (text)
        {
            return text.ToString();
        }
    }

    private void Start()
    {
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    private void Receive(StringBuilder text, string? line)
    {
        if (line is null)
        {
            return;
        }

        lock (text)
        {
            text.Append(line).Append('\n');
        }

        if (ReadyLine().Match(line) is { Success: true } match)
        {
            _ready.TrySetResult(new Uri(match.Groups[1].Value));
        }
    }

    [GeneratedRegex(@"^Reeve is ready at (\S+)$")]
    private static partial Regex ReadyLine();
}
