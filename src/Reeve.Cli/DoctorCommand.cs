using System.CommandLine;
using Reeve.Server;

namespace Reeve.Cli;

/// <summary><c>reeve doctor</c>: says what is not well and how to mend it.</summary>
internal static class DoctorCommand
{
    internal static Command Make()
    {
        // Those of serve, so that what is looked at is what a server would use.
        var serving = new Option<string?>[]
        {
            new("--data") { Description = "Folder that holds everything (default as for serve).", HelpName = "DIR" },
            new("--config") { Description = "Configuration file (default as for serve).", HelpName = "FILE" },
            new("--urls") { Description = "Addresses to listen on (default as for serve).", HelpName = "URLS" },
        };
        var url = new Option<string?>("--url")
        {
            Description = "Address of a running server to ask as well.",
            HelpName = "URL",
        };
        var command = new Command("doctor", "Looks at everything a server needs, also beside a running one.");
        Array.ForEach(serving, command.Options.Add);
        command.Options.Add(url);
        command.SetAction((parsed, _) => DataOption.RunAsync(() =>
            new Doctor(TimeProvider.System, Environment.GetEnvironmentVariable).RunAsync(
                [.. serving.Where(option => parsed.GetValue(option) is not null)
                    .SelectMany(option => new[] { option.Name, parsed.GetValue(option)! })],
                parsed.GetValue(url), Console.Out, CancellationToken.None)));
        return command;
    }
}
