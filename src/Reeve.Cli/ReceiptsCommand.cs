using System.CommandLine;
using Reeve.Server;

namespace Reeve.Cli;

/// <summary><c>reeve receipts</c>: checks a receipt anywhere; gives a data folder new keys.</summary>
internal static class ReceiptsCommand
{
    internal static Command Make() => new("receipts", "Checks receipts, and changes the keys that sign them.")
    {
        MakeVerify(), MakeRotateKeys(),
    };

    private static Command MakeVerify()
    {
        var file = new Argument<string>("FILE") { Description = "The receipt, as the server answered it." };
        var keys = new Option<string?>("--keys")
        {
            Description = "File with the server's keys, saved from /.well-known/reeve-keys.json.",
            HelpName = "FILE",
        };
        var key = new Option<string?>("--key")
        {
            Description = "One public key instead: its member x.",
            HelpName = "TEXT",
        };
        var command = new Command("verify", "Checks the signature of a receipt; needs no server and no data.")
        {
            file, keys, key,
        };
        command.SetAction((parsed, _) => DataOption.RunAsync(() => ReceiptCommands.VerifyAsync(
            parsed.GetValue(file)!, parsed.GetValue(keys), parsed.GetValue(key), Console.Out)));
        return command;
    }

    private static Command MakeRotateKeys()
    {
        var data = DataOption.Make();
        var command = new Command("rotate-keys", "Makes new keys and retires the old; the server must be stopped.")
        {
            data,
        };
        command.SetAction((parsed, _) => DataOption.RunAsync(() => ReceiptCommands.RotateKeysAsync(
            parsed.GetValue(data)!, Console.Out, TimeProvider.System)));
        return command;
    }
}
