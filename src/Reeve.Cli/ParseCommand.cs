using System.CommandLine;
using Reeve.Server.Retrieval.Parsing.Child;

namespace Reeve.Cli;

/// <summary><c>reeve parse</c>: the part of the server that reads files of others, in a process of its own.</summary>
internal static class ParseCommand
{
    internal static Command Make()
    {
        var command = new Command("parse", "Reads files for a server that starts it; not for people.")
        {
            Hidden = true,
        };
        command.SetAction(static _ =>
        {
            using var input = new BufferedStream(Console.OpenStandardInput(), 65_536);
            using var output = Console.OpenStandardOutput();
            return ParserChild.Run(input, output);
        });
        return command;
    }
}
