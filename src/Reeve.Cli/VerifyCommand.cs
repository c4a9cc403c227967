using System.CommandLine;
using Reeve.Server;

namespace Reeve.Cli;

/// <summary><c>reeve verify</c>: recomputes ledger, hash chains and invariants of a data folder.</summary>
internal static class VerifyCommand
{
    internal static Command Make()
    {
        var data = DataOption.Make();
        var checkpoints = new Option<string?>("--checkpoints")
        {
            Description = "File of checkpoints that were kept elsewhere, from `reeve audit checkpoints`.",
            HelpName = "FILE",
        };
        var command = new Command("verify", "Checks the invariants of a data folder, also beside a running server.")
        {
            data, checkpoints,
        };
        command.SetAction((parsed, _) => DataOption.RunAsync(() => DataCommands.VerifyAsync(
            parsed.GetValue(data)!, Console.Out, parsed.GetValue(checkpoints))));
        return command;
    }
}
