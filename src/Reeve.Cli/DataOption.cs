using System.CommandLine;
using System.Runtime.InteropServices;
using Reeve.Server;
using Reeve.Server.Storage;
using Reeve.Server.Storage.Backups;

namespace Reeve.Cli;

/// <summary>What the commands on a data folder have in common.</summary>
internal static class DataOption
{
    private const int InterruptedStatus = 130;

    internal static Option<string> Make() => new("--data")
    {
        Description = "Folder that holds everything (default REEVE_DATA, then ./data).",
        HelpName = "DIR",
        DefaultValueFactory = _ => Environment.GetEnvironmentVariable("REEVE_DATA") ?? "./data",
    };

    internal static Option<string?> Passphrase() => new("--passphrase-file")
    {
        Description = "File with the passphrase of the backup (default: REEVE_BACKUP_PASSPHRASE, when it is set).",
        HelpName = "FILE",
    };

    /// <summary>
    /// Runs a command to its exit status: what an operator can act on is a sentence and 1. A signal ends it at once.
    /// </summary>
    internal static async Task<int> RunAsync(Func<Task<int>> work)
    {
        try
        {
            return await work();
        }
        catch (OperationCanceledException)
        {
            return InterruptedStatus;
        }
        catch (Exception error) when (error is StartException or BackupException or StorageException or IOException)
        {
            await Console.Error.WriteLineAsync(error.Message);
            return 1;
        }
    }

    /// <summary>As <see cref="RunAsync(Func{Task{int}})"/>, for a command that has to tidy up after a signal.</summary>
    internal static async Task<int> RunAsync(Func<CancellationToken, Task<int>> work)
    {
        using var stop = new CancellationTokenSource();
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        return await RunAsync(() => work(stop.Token));

        void Stop(PosixSignalContext signal)
        {
            signal.Cancel = true; // So that what is half done is taken away.
            stop.Cancel();
        }
    }
}
