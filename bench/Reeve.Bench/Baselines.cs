namespace Reeve.Bench;

/// <summary>The two servers that Reeve is compared with.</summary>
internal static class Baselines
{
    internal static ServerCommand Mock(BenchOptions options, string folder) =>
        Command(options, folder, "mock", "Reeve.Bench.Mock", "reeve-bench-mock");

    internal static ServerCommand PassThrough(BenchOptions options, string folder, Uri mock)
    {
        var command = Command(options, folder, "PT", "Reeve.Bench.PassThrough", "reeve-bench-passthrough");
        return command with { Arguments = [.. command.Arguments, "--upstream", mock.ToString()] };
    }

    private static ServerCommand Command(
        BenchOptions options, string folder, string name, string project, string executable)
    {
        var url = ServerProcess.FreeUrl();
        return new ServerCommand
        {
            Name = name,
            File = Path.Combine(options.Root, "artifacts", "bin", project, "release", executable),
            Arguments = ["--urls", url.GetLeftPart(UriPartial.Authority)],
            Url = url,
            Folder = Path.Combine(folder, name),
        };
    }
}
