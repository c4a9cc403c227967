using Reeve.Server.Tests.Runs;

namespace Reeve.Server.Tests.Http;

/// <summary>Lists in pages: how long one may be, where the next begins, and when there is none.</summary>
public sealed class PageTests
{
    [Fact]
    public async Task List_InPages_GivesEachItemOnceAndSaysWhenItEnds()
    {
        await using var server = await TestServer.StartAsync();
        var made = new List<string>();
        for (var i = 0; i < 22; i++)
        {
            made.Add(await server.NewAgentAsync("\"model\":\"auto\""));
            server.Time.Advance(TimeSpan.FromSeconds(1));
        }

        var whole = (await server.Client.GetAsync("/v1/agents?limit=100")).Json;
        var all = Ids(whole);
        Assert.All(made, id => Assert.Contains(id, all));
        Assert.False(whole.GetProperty("has_more").GetBoolean());
        Assert.Equal(System.Text.Json.JsonValueKind.Null, whole.GetProperty("next_cursor").ValueKind);

        var usual = (await server.Client.GetAsync("/v1/agents")).Json;
        Assert.Equal(all.Take(20), Ids(usual));
        Assert.True(usual.GetProperty("has_more").GetBoolean());
        Assert.Equal(all[19], usual.GetProperty("next_cursor").GetString());

        var rest = (await server.Client.GetAsync($"/v1/agents?limit={all.Count - 20}&after={all[19]}")).Json;
        Assert.Equal(all.Skip(20), Ids(rest));
        Assert.False(rest.GetProperty("has_more").GetBoolean()); // Full, and still the last one.
        var one = (await server.Client.GetAsync($"/v1/agents?limit=1&after={all[0].ToUpperInvariant()}")).Json;
        Assert.Equal([all[1]], Ids(one));
    }

    [Theory]
    [InlineData("limit=0", "limit")]
    [InlineData("limit=101", "limit")]
    [InlineData("limit=1.5", "limit")]
    [InlineData("after=agt_1", "after")]
    [InlineData("after=run_06EY539WF2JMVJGR4MRBP7BD2C", "after")]
    public async Task List_BadPage_Is400(string query, string param)
    {
        await using var server = await TestServer.StartAsync();

        var answer = await server.Client.GetAsync("/v1/agents?" + query);

        Assert.Equal((400, param), (answer.Status, answer.ErrorParam));
    }

    private static List<string> Ids(System.Text.Json.JsonElement page) => [.. page.GetProperty("data")
        .EnumerateArray().Select(static one => one.GetProperty("id").GetString()!)];
}
