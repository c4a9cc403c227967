using System.Diagnostics;
using System.Text;
using SystemProcess = System.Diagnostics.Process;

namespace Reeve.Server.Tests.Clients;

/// <summary>
/// A stand-in for all providers that others wrote, in a process of its own; <c>tests/clients/aimock.json</c> says what
/// it answers to which message.
/// </summary>
internal sealed class Aimock : IAsyncDisposable
{
    private const string Listening = "server listening on ";

    private readonly SystemProcess _process;

    private Aimock(SystemProcess process, Uri url) => (_process, Url) = (process, url);

    internal Uri Url { get; }

    internal static async Task<Aimock> StartAsync()
    {
        var program = await NodePackages.FindAsync("@copilotkit/aimock/dist/cli.js");
        var info = new ProcessStartInfo(
            "node", [program, "-p", "0", "-f", Path.Combine(NodePackages.Folder, "aimock.json")])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        var said = new StringBuilder();
        var ready = new TaskCompletionSource<Uri>(TaskCreationOptions.RunContinuationsAsynchronously);
        var process = new SystemProcess { StartInfo = info };
        process.OutputDataReceived += (_, line) => Receive(line.Data);
        process.ErrorDataReceived += (_, line) => Receive(line.Data);
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        var ended = process.WaitForExitAsync(TestContext.Current.CancellationToken);
        await Task.WhenAny(ready.Task, ended).WaitAsync(TestServer.Timeout, TestContext.Current.CancellationToken);
        return ready.Task.IsCompletedSuccessfully
            ? new Aimock(process, await ready.Task)
            : throw new InvalidOperationException($"aimock ended before it was ready: {said}");

        void Receive(string? line)
        {
            lock (said)
            {
                said.Append(line).Append('\n');
            }

            if (line?.IndexOf(Listening, StringComparison.Ordinal) is >= 0 and var at)
            {
                ready.TrySetResult(new Uri(line[(at + Listening.Length)..].Trim()));
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            await _process.WaitForExitAsync();
        }

        _process.Dispose();
    }
}
