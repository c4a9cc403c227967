using Reeve.Server.Tests.Runs;

namespace Reeve.Server.Tests.Chat;

public sealed class ModelListTests
{
    [Fact]
    public async Task Models_AreListedWithWhatTheAccountPays()
    {
        await using var server = await TestServer.StartAsync(
            options => options with { Credits = options.Credits with { MarginRate = 0.1m } },
            builder => new ScriptedChatClient().AddTo(builder));
        var agent = await server.NewAgentAsync();
        var all = (await server.Client.GetAsync("/v1/models")).Json.GetProperty("data").EnumerateArray().ToList();
        Assert.Equal(
            ["auto", "cheapest", "fast", "best", "mesh/house-1", "reeve/quote", agent],
            all.Select(static one => one.GetProperty("id").GetString())
                .Where(id => !id!.StartsWith("agt_", StringComparison.Ordinal) || id == agent));
        Assert.Equal(
            """{"id":"mesh/house-1","object":"model","created":0,"owned_by":"house-1","kind":"model","""
            + "\"name\":\"mesh/house-1\",\"context_length\":128000,\"max_output_tokens\":4096,"
            + "\"modalities\":{\"input\":[\"text\"],\"output\":[\"text\"]},"
            + "\"capabilities\":[\"chat\",\"tools\",\"structured_output\",\"streaming\"],\"supported_parameters\":"
            + """["temperature","top_p","max_tokens","stop","tools","tool_choice","response_format"],"""
            + "\"pricing\":{\"input_usd_per_million\":3.3,\"output_usd_per_million\":16.5},"
            + "\"privacy_classes\":[\"standard\"],\"built_in\":false,\"available\":true}",
            all[4].GetRawText());
        Assert.All((await server.Client.GetAsync("/v1/models?type=agent")).Json.GetProperty("data").EnumerateArray(),
            static one => Assert.Equal("agent", one.GetProperty("kind").GetString()));
        var models = await server.Client.GetAsync("/v1/models?type=model");
        Assert.Equal(6, models.Json.GetProperty("data").GetArrayLength());
    }

    [Theory]
    [InlineData("mesh/house-1", "model")]
    [InlineData("mesh%2Fhouse-1", "model")]
    [InlineData("mesh%2fhouse-1", "model")]
    [InlineData("auto", "router")]
    public async Task Model_IsShownByItsIdRawOrEscaped(string id, string kind)
    {
        await using var server = await TestServer.StartAsync(
            configure: builder => new ScriptedChatClient().AddTo(builder));
        var answer = await server.Client.GetAsync("/v1/models/" + id);
        Assert.True(answer.Status == 200, answer.Text);
        Assert.Equal(kind, answer.Json.GetProperty("kind").GetString());
    }

    [Fact]
    public async Task Model_ThatIsNotThere_Is404AndSoIsAForeignAgent()
    {
        await using var server = await TestServer.StartAsync();
        var agent = await server.NewAgentAsync("\"model\":\"auto\"");
        Assert.Equal(200, (await server.Client.GetAsync("/v1/models/" + agent)).Status);
        var made = await server.Client.PostAsync("/v1/accounts", """{"name":"other"}""");
        using var other = server.ClientFor(made.Json.GetProperty("key").GetString());
        foreach (var id in (string[])["mesh/none", "mesh/", agent, "reeve", "a/b/c"])
        {
            var answer = await other.GetAsync("/v1/models/" + id);
            Assert.Equal((404, "not_found"), (answer.Status, answer.ErrorCode));
        }
    }
}
