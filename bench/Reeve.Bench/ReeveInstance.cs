namespace Reeve.Bench;

/// <summary>The Reeve of this run: started on an empty folder, and startable again on its data.</summary>
internal sealed class ReeveInstance : IAsyncDisposable
{
    private readonly string _key;
    private readonly IReadOnlyDictionary<string, string> _agents;

    private ReeveInstance(
        ServerProcess server, ReeveApi api, string key, IReadOnlyDictionary<string, string> agents)
    {
        Command = server.Command;
        Api = api;
        _key = key;
        _agents = agents;
        Target = TargetOn(server);
    }

    internal ServerCommand Command { get; }

    internal ReeveApi Api { get; }

    internal Target Target { get; }

    internal static async Task<ReeveInstance> CreateAsync(
        BenchOptions options, string folder, Uri mock, TimeProvider time, List<string> notes,
        CancellationToken cancellationToken)
    {
        var key = AdminKey.New();
        var home = Path.Combine(folder, "reeve");
        var command = await ReeveSetup.CommandAsync(options, home, mock, key, cancellationToken);
        var server = await ServerProcess.StartAsync(command, time, cancellationToken);
        var api = new ReeveApi(command.Url, key);
        try
        {
            var agents = await ReeveSetup.PrepareAsync(api, notes, cancellationToken);
            return new ReeveInstance(server, api, key, agents);
        }
        catch
        {
            api.Dispose();
            await server.DisposeAsync();
            throw;
        }
    }

    internal Target TargetOn(ServerProcess server) => Target.Reeve(server, _key, _agents);

    public async ValueTask DisposeAsync()
    {
        Api.Dispose();
        await Target.Server.DisposeAsync();
    }
}
