using System.CommandLine;
using Reeve.Server;
using Reeve.Server.Storage.Backups;

namespace Reeve.Cli;

/// <summary><c>reeve backup</c>: one file from which a data folder can be restored.</summary>
internal static class BackupCommand
{
    internal static Command Make()
    {
        var data = DataOption.Make();
        var target = new Option<string>("--out")
        {
            Description = "File to write; it must not exist yet.",
            HelpName = "FILE",
            Required = true,
        };
        var withKeys = new Option<bool>("--with-keys")
        {
            Description = "Puts master.key into the backup (an encrypted one always has it).",
        };
        var passphrase = DataOption.Passphrase();
        var command = new Command("backup", "Backs a data folder up, also beside a running server.")
        {
            data, target, withKeys, passphrase,
        };
        command.SetAction((parsed, _) => DataOption.RunAsync(stop => BackupCommands.BackupAsync(
            new BackupOrder(parsed.GetValue(data)!, parsed.GetValue(target)!)
            {
                WithKeys = parsed.GetValue(withKeys),
                Passphrase = Passphrase.Read(parsed.GetValue(passphrase),
                    Environment.GetEnvironmentVariable(Passphrase.Variable)),
            },
            Console.Out, stop)));
        return command;
    }
}
