using System.CommandLine;
using Reeve.Server;

namespace Reeve.Cli;

/// <summary><c>reeve audit</c>: what of the audit is to be kept elsewhere.</summary>
internal static class AuditCommand
{
    internal static Command Make()
    {
        var data = DataOption.Make();
        var account = new Option<string?>("--account")
        {
            Description = "Only those of this account.",
            HelpName = "ID",
        };
        var checkpoints = new Command("checkpoints",
            "Writes the signed checkpoints of the audit, a line each, also beside a running server.")
        {
            data, account,
        };
        checkpoints.SetAction((parsed, _) => DataOption.RunAsync(() => DataCommands.WriteCheckpointsAsync(
            parsed.GetValue(data)!, parsed.GetValue(account), Console.Out)));
        return new Command("audit", "Shows what proves that the audit was not written anew.") { checkpoints };
    }
}
