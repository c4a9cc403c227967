using System.CommandLine;

namespace Reeve.Cli;

/// <summary><c>reeve documents</c>: the documents of an agent, over the API.</summary>
internal static class DocumentsCommand
{
    internal static Command Make() => new("documents", "Works with the documents of an agent, over the API.")
    {
        MakeSync(),
    };

    private static Command MakeSync()
    {
        var folder = new Argument<string>("DIR")
        {
            Description = "The folder; files and folders that begin with a dot are left out.",
        };
        var agent = new Option<string>("--agent")
        {
            Description = "Id or slug of the agent.",
            HelpName = "AGENT",
            Required = true,
        };
        var name = new Option<string?>("--name")
        {
            Description = "Tells the documents of this folder from others (default: the name of the folder).",
            HelpName = "NAME",
        };
        var exclude = new Option<string[]>("--exclude")
        {
            Description = "Leaves files out whose path or name fits, such as *.tmp; may be repeated.",
            HelpName = "PATTERN",
        };
        var privacyClass = new Option<string?>("--privacy-class")
        {
            Description = "Privacy class of documents that are added.",
            HelpName = "CLASS",
        };
        var keep = new Option<bool>("--keep")
        {
            Description = "Keeps documents whose files are gone.",
        };
        var dryRun = new Option<bool>("--dry-run")
        {
            Description = "Says what would be done, and does nothing.",
        };
        var url = ReeveClient.UrlOption();
        var key = ReeveClient.KeyOption();
        var command = new Command(
            "sync", "Makes an agent's documents those of a folder: adds, replaces and deletes what differs.")
        {
            folder, agent, name, exclude, privacyClass, keep, dryRun, url, key,
        };
        command.SetAction((parsed, _) => DataOption.RunAsync(async cancellationToken =>
        {
            try
            {
                using var client = new ReeveClient(parsed.GetValue(url)!, parsed.GetValue(key));
                return await new DocumentSync(client, parsed.GetValue(agent)!, new SyncOptions(parsed.GetValue(folder)!)
                {
                    Name = parsed.GetValue(name),
                    Exclude = parsed.GetValue(exclude) ?? [],
                    PrivacyClass = parsed.GetValue(privacyClass),
                    Keep = parsed.GetValue(keep),
                    IsDry = parsed.GetValue(dryRun),
                }, Console.Out, Console.Error).RunAsync(cancellationToken);
            }
            catch (Exception error) when (error is ClientException or UnauthorizedAccessException)
            {
                await Console.Error.WriteLineAsync(error.Message);
                return 1;
            }
        }));
        return command;
    }
}
