using System.CommandLine;
using Reeve.Server;

namespace Reeve.Cli;

/// <summary><c>reeve verify</c>: recomputes ledger, hash chains and invariants of a data folder.</summary>
internal static class VerifyCommand
{
    internal static Command Make()
    {
        var data = new Option<string>("--data")
        {
            Description = "Folder that holds everything (default REEVE_DATA, then ./data).",
            HelpName = "DIR",
            DefaultValueFactory = _ => Environment.GetEnvironmentVariable("REEVE_DATA") ?? "./data",
        };
        var command = new Command("verify", "Checks the invariants of a data folder, also beside a running server.")
        {
            data,
        };
        command.SetAction((parsed, _) => VerifyAsync(parsed.GetValue(data)!));
        return command;
    }

    private static async Task<int> VerifyAsync(string folder)
    {
        try
        {
            return await DataCommands.VerifyAsync(folder, Console.Out);
        }
        catch (StartException error)
        {
            await Console.Error.WriteLineAsync(error.Message);
            return 1;
        }
    }
}
