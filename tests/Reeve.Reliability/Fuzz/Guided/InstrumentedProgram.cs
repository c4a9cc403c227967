using System.Diagnostics;
using SharpFuzz;

namespace Reeve.Reliability.Fuzz.Guided;

/// <summary>This program once more, with a copy of the server in it that writes down its branches.</summary>
internal sealed class InstrumentedProgram
{
    private const string Own = "Reeve.Reliability.dll";

    private readonly string _file;

    /// <summary>
    /// <paramref name="folder"/> is emptied. Of the types of this program only <paramref name="ownType"/> is
    /// instrumented, if any.
    /// </summary>
    internal InstrumentedProgram(string folder, Type? ownType = null)
    {
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }

        Directory.CreateDirectory(folder);
        _file = Path.Combine(folder, Own);
        foreach (var from in Directory.EnumerateFileSystemEntries(AppContext.BaseDirectory))
        {
            // Links are enough for what nobody changes; but where this program's file is, there the others are sought.
            var to = Path.Combine(folder, Path.GetFileName(from));
            if (Path.GetFileName(from) is Own or "Reeve.Server.dll")
            {
                File.Copy(from, to);
            }
            else
            {
                File.CreateSymbolicLink(to, from);
            }
        }

        Fuzzer.Instrument(Path.Combine(folder, "Reeve.Server.dll"), static _ => true, Options.Value);
        if (ownType is not null)
        {
            Fuzzer.Instrument(_file, type => type == ownType.FullName, Options.Value);
        }
    }

    /// <summary>Starts it, gives its lines to <paramref name="log"/>, and returns its exit code.</summary>
    internal async Task<int> RunAsync(Action<string> log, params string[] args)
    {
        using var process = Process.Start(new ProcessStartInfo("dotnet", [_file, .. args])
        {
            RedirectStandardOutput = true,
        })!;
        while (await process.StandardOutput.ReadLineAsync() is { } line)
        {
            log(line);
        }

        await process.WaitForExitAsync();
        return process.ExitCode;
    }
}
