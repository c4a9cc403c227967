using System.CommandLine;
using Reeve.Server;
using Reeve.Server.Storage.Backups;

namespace Reeve.Cli;

/// <summary><c>reeve restore</c>: a data folder from a backup, verified before it takes its place.</summary>
internal static class RestoreCommand
{
    internal static Command Make()
    {
        var file = new Argument<string>("FILE") { Description = "The backup." };
        var data = DataOption.Make();
        data.Description = "Folder to make; it must not exist yet or be empty (default REEVE_DATA, then ./data).";
        var passphrase = DataOption.Passphrase();
        var command = new Command("restore", "Makes a data folder from a backup, and verifies it.")
        {
            file, data, passphrase,
        };
        command.SetAction((parsed, _) => DataOption.RunAsync(stop => BackupCommands.RestoreAsync(
            parsed.GetValue(file)!, parsed.GetValue(data)!,
            Passphrase.Read(parsed.GetValue(passphrase), Environment.GetEnvironmentVariable(Passphrase.Variable)),
            Console.Out, stop)));
        return command;
    }
}
