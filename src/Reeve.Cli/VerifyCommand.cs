using System.CommandLine;
using Reeve.Server;

namespace Reeve.Cli;

/// <summary><c>reeve verify</c>: recomputes ledger, hash chains and invariants of a data folder.</summary>
internal static class VerifyCommand
{
    internal static Command Make()
    {
        var data = DataOption.Make();
        var command = new Command("verify", "Checks the invariants of a data folder, also beside a running server.")
        {
            data,
        };
        command.SetAction((parsed, _) => DataOption.RunAsync(
            () => DataCommands.VerifyAsync(parsed.GetValue(data)!, Console.Out)));
        return command;
    }
}
