using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;

namespace Reeve.Server.Tests.Runs;

/// <summary>The moment between the commit of a run's end and the news of it to those who follow the run.</summary>
public sealed class NewsOnItsWayTests
{
    private readonly ScriptedChatClient _model = new ScriptedChatClient().Reply("Done.");
    private Action<string> _onHit = static _ => { };

    [Fact]
    public async Task Run_ReadWhenItsEndIsDurableAndNotYetTold_HasEnded()
    {
        await using var server = await TestServer.StartAsync(configure: Configure);
        TestAnswer? between = null;
        _onHit = point =>
        {
            // On the writer's own thread, so nothing can be told meanwhile.
            if (point == Failpoints.StorageCommitted && between is null && EndedRun(server) is { } run)
            {
                between = server.Client.GetAsync($"/v1/runs/{run}").GetAwaiter().GetResult();
            }
        };

        var answer = await server.RunAsync(await server.NewAgentAsync());

        Assert.Equal(200, answer.Status);
        Assert.Equal(200, between!.Status);
        Assert.Equal("completed", between.Json.GetProperty("status").GetString());
        Assert.Equal("Done.", between.Json.GetProperty("output").GetString());
    }

    private static string? EndedRun(TestServer server) => server.Database.Read(static session =>
        session.Single("SELECT id FROM runs WHERE status = 'completed'", static row => row.GetString(0)));

    private void Configure(WebApplicationBuilder builder)
    {
        _model.AddTo(builder);
        builder.Services.AddSingleton(new Failpoints(point => _onHit(point)));
    }
}
