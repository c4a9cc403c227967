using System.Diagnostics;

namespace Reeve.Reliability.Disk;

/// <summary>Programs of the machine that a harness needs.</summary>
internal static class Command
{
    /// <summary>Null: it succeeded; otherwise what it said.</summary>
    internal static async Task<string?> RunAsync(string program, params string[] args)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, args)
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            var output = process.StandardOutput.ReadToEndAsync();
            var errors = await process.StandardError.ReadToEndAsync();
            await process.WaitForExitAsync();
            return process.ExitCode == 0 ? null : $"{program} {string.Join(' ', args)}: {await output}{errors}";
        }
        catch (System.ComponentModel.Win32Exception error)
        {
            return $"{program} cannot be started: {error.Message}";
        }
    }
}
