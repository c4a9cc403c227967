using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Reeve.Server.Accounts;
using Reeve.Server.Storage;

namespace Reeve.Server;

/// <summary>What a first start knows and makes.</summary>
internal sealed class FirstStartState(TenantContext tenant)
{
    internal TenantContext Tenant { get; } = tenant;

    /// <summary>The demo agent, once its step has made it; the calls to paste name it.</summary>
    internal string? DemoAgentId { get; set; }
}

/// <summary>
/// Something that a new data folder gets before the server says that it is ready. A start that was cut off repeats its
/// steps, so a step must find out what it has done already.
/// </summary>
internal delegate Task FirstStartStep(
    IServiceProvider services, FirstStartState state, CancellationToken cancellationToken);

/// <summary>
/// Prepares a new data folder before the server listens, and tells the operator when it does: the address, and after a
/// first start the admin key and what to call. Only after that is the first start over; what was deleted later does not
/// come back.
/// </summary>
internal sealed class FirstStart(
    Database database, AccountRegister accounts, StartSecrets secrets, IServer server, TextWriter output,
    IEnumerable<FirstStartStep> steps, IServiceProvider services) : IHostedLifecycleService
{
    private const string Setting = "first_start";

    private FirstStartState? _state;
    private string? _generatedKey;

    public async Task StartingAsync(CancellationToken cancellationToken)
    {
        if (database.Read(static session => session.Exists("SELECT 1 FROM settings WHERE name = $1", Setting)))
        {
            return;
        }

        if (secrets.AdminKey is { } preset
            && ApiKeyText.KindOf(preset) is not (ApiKeyKinds.MeshLive or ApiKeyKinds.AuterynLive))
        {
            throw new StartException("REEVE_ADMIN_KEY is not a well-formed mesh_live_ or afk_live_ key.");
        }

        var (account, key) = await database.WriteAsync(session => accounts.EnsureOperator(session, secrets.AdminKey));
        _generatedKey = key;
        _state = new FirstStartState(new TenantContext(account.Id));
        foreach (var step in steps)
        {
            await step(services, _state, cancellationToken);
        }
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async Task StartedAsync(CancellationToken cancellationToken)
    {
        var url = server.Features.Get<IServerAddressesFeature>()?.Addresses.FirstOrDefault() ?? "no address";
        await output.WriteLineAsync($"Reeve is ready at {url}");
        if (_state is null)
        {
            return;
        }

        await output.WriteLineAsync(Welcome(url, _state.DemoAgentId));
        await output.FlushAsync(cancellationToken);
        await database.WriteAsync(static session => session.Execute(
            "INSERT INTO settings (name, value) VALUES ($1, $2)", Setting, "done"));
    }

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private string Welcome(string url, string? agentId)
    {
        var key = _generatedKey is null
            ? "The admin key is the one in REEVE_ADMIN_KEY."
            : $"""
            The admin key, shown this once:

              {_generatedKey}
            """;
        var shown = _generatedKey ?? "$REEVE_ADMIN_KEY";
        return agentId is null ? $"\n{key}\n" : $$"""

            {{key}}

            The demo agent is {{agentId}}. Three calls to paste:

              curl {{url}}/v1/agents/runs -H "Authorization: Bearer {{shown}}" \
                -d '{"agent":"demo","input":"What does the privacy spec promise?"}'

              curl -N {{url}}/v1/agents/runs -H "Authorization: Bearer {{shown}}" \
                -d '{"agent":"demo","input":"How is a broken stream resumed?","stream":true}'

              curl -N {{url}}/api/run -H "Authorization: Bearer {{shown}}" -H "X-Agent-Id: {{agentId}}" \
                -d '{"query":"What happens to my credits when a run fails?"}'

            """;
    }
}
