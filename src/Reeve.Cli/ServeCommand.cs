using System.CommandLine;
using Microsoft.Extensions.Hosting;
using Reeve.Server;
using Reeve.Server.Storage;

namespace Reeve.Cli;

/// <summary><c>reeve serve</c>: the server in the foreground, until it is told to stop.</summary>
internal static class ServeCommand
{
    internal static Command Make()
    {
        var options = new Option<string>[]
        {
            new("--urls") { Description = "Addresses to listen on (http://127.0.0.1:5080).", HelpName = "URLS" },
            new("--data") { Description = "Folder that holds everything (default ./data).", HelpName = "DIR" },
            new("--config") { Description = "Configuration file (default ./reeve.json, if there).", HelpName = "FILE" },
        };
        var command = new Command("serve", "Starts the server.");
        Array.ForEach(options, command.Options.Add);
        command.SetAction((parsed, _) => ServeAsync(
            [.. options.Where(option => parsed.GetValue(option) is not null)
                .SelectMany(option => new[] { option.Name, parsed.GetValue(option)! })]));
        return command;
    }

    private static async Task<int> ServeAsync(string[] args)
    {
        try
        {
            await using var app = ReeveServer.Build(args);
            try
            {
                await app.StartAsync();
            }
            catch (OperationCanceledException) when (app.Lifetime.ApplicationStopping.IsCancellationRequested)
            {
                // It was told to stop before it was ready; what it has taken up is let go as at any stop.
            }

            await app.WaitForShutdownAsync();
            return 0;
        }
        catch (Exception error) when (
            error is StartException or ReeveOptionsException or StorageException or IOException)
        {
            await Console.Error.WriteLineAsync(error.Message);
            return 1;
        }
    }
}
