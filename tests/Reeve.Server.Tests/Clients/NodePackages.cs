using System.Diagnostics;
using SystemProcess = System.Diagnostics.Process;

namespace Reeve.Server.Tests.Clients;

/// <summary>
/// Programs of other people, which npm fetches into <c>tests/clients</c> when they are missing or the list has changed.
/// </summary>
internal static class NodePackages
{
    private static readonly TimeSpan InstallTime = TimeSpan.FromMinutes(5);

    internal static string Folder { get; } = Path.Combine(FindRoot(), "tests", "clients");

    /// <summary>The file of a package, once it is there.</summary>
    /// <exception cref="InvalidOperationException">Node or npm is missing, or npm failed.</exception>
    internal static async Task<string> FindAsync(string path)
    {
        var cancellationToken = TestContext.Current.CancellationToken;

        // Several test processes may begin at once; the first fetches.
        await using var turn = await TakeTurnAsync(cancellationToken);
        var list = new FileInfo(Path.Combine(Folder, "package-lock.json"));
        var installed = new FileInfo(Path.Combine(Folder, "node_modules", ".reeve-installed"));
        if (!installed.Exists || installed.LastWriteTimeUtc < list.LastWriteTimeUtc)
        {
            var (code, output) = await RunAsync("npm", ["ci", "--no-progress"], cancellationToken);
            if (code != 0)
            {
                throw new InvalidOperationException(
                    $"npm ci failed in {Folder}. These tests need Node 20 with npm, which must reach its registry once."
                    + $"\n{output}");
            }

            await File.WriteAllTextAsync(installed.FullName, "", cancellationToken);
        }

        return Path.Combine(Folder, "node_modules", path);
    }

    private static async Task<FileStream> TakeTurnAsync(CancellationToken cancellationToken)
    {
        var begun = TimeProvider.System.GetTimestamp();
        var path = Path.Combine(FindRoot(), "artifacts", "npm.lock");
        while (true)
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (TimeProvider.System.GetElapsedTime(begun) < InstallTime)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, cancellationToken);
            }
        }
    }

    private static async Task<(int Code, string Output)> RunAsync(
        string program, string[] args, CancellationToken cancellationToken)
    {
        var info = new ProcessStartInfo(program, args)
        {
            WorkingDirectory = Folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        try
        {
            using var process = SystemProcess.Start(info)!;
            var output = process.StandardOutput.ReadToEndAsync(cancellationToken);
            var errors = process.StandardError.ReadToEndAsync(cancellationToken);
            await process.WaitForExitAsync(cancellationToken).WaitAsync(InstallTime, cancellationToken);
            return (process.ExitCode, await output + await errors);
        }
        catch (System.ComponentModel.Win32Exception error)
        {
            return (1, $"{program} cannot be started: {error.Message}");
        }
    }

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Reeve.slnx")))
        {
            folder = folder.Parent ?? throw new InvalidOperationException("The tests run inside the repository alone.");
        }

        return folder.FullName;
    }
}
