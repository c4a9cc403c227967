namespace Reeve.Server;

internal static class ReeveServer
{
    internal static WebApplication Build(string[] args) => WebApplication.CreateSlimBuilder(args).Build();
}
