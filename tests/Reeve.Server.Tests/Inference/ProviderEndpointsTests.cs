using Reeve.Server.Audit;
using Reeve.Server.Inference;
using Reeve.Server.Tests.Runs;

namespace Reeve.Server.Tests.Inference;

public sealed class ProviderEndpointsTests
{
    private const string Config = "/v1/providers/config/house-1";

    [Fact]
    public async Task Config_ShowsTheDocumentedMembersAndNoSecret()
    {
        await using var server = await StartAsync(null);
        var answer = await server.Client.GetAsync("/v1/providers/config");
        Assert.Equal(
            """{"data":[{"provider":"house-1","enabled":true,"priority":10,"routingWeight":1,"timeoutMs":30000,"""
            + "\"maxConcurrency\":10000,\"circuitBreaker\":{\"errorRate\":0.2,\"cooldownMs\":60000},"
            + "\"privacy\":{\"zero_retention\":false,\"operator_run\":false,\"in_process\":false},"
            + "\"credential\":\"none\"}],"
            + "\"has_more\":false,\"next_cursor\":null}", answer.Text);
    }

    [Fact]
    public async Task Provider_OfEmbeddingsAlone_IsSteeredLikeAnyOther()
    {
        await using var server = await TestServer.StartAsync(configure: static builder =>
            new ScriptedEmbeddings().AddTo(builder));

        var changed = await server.Client.PatchAsync("/v1/providers/config/house-e", """{"enabled":false}""");

        Assert.True(changed.Status == 200, changed.Text);
        Assert.Contains("\"provider\":\"house-e\",\"status\":\"disabled\"",
            (await server.Client.GetAsync("/v1/providers/health")).Text, StringComparison.Ordinal);
        var refused = await server.Client.PostAsync("/v1/embeddings", """{"model":"mesh/house-e","input":"Hi"}""");
        Assert.Equal(503, refused.Status);
    }

    [Fact]
    public async Task Change_MergesAndLastsOverARestart()
    {
        var folder = TestServer.NewFolder();
        await using (var server = await StartAsync(folder))
        {
            var changed = await server.Client.PatchAsync(
                Config, """{"priority":3,"circuitBreaker":{"errorRate":0.5},"maxConcurrency":7}""");
            Assert.Equal(200, changed.Status);
            changed = await server.Client.PatchAsync(Config, """{"timeoutMs":1000,"priority":null}""");
            Assert.Contains("\"priority\":10,", changed.Text, StringComparison.Ordinal);
        }

        await using (var server = await StartAsync(folder))
        {
            var shown = (await server.Client.GetAsync("/v1/providers/config")).Json.GetProperty("data")[0];
            Assert.Equal(
                (10, 7, 1000, 0.5),
                (shown.GetProperty("priority").GetInt32(), shown.GetProperty("maxConcurrency").GetInt32(),
                    shown.GetProperty("timeoutMs").GetInt32(),
                    shown.GetProperty("circuitBreaker").GetProperty("errorRate").GetDouble()));
        }

        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Change_OfOneSetting_LeavesTheOthersToTheConfiguration()
    {
        var folder = TestServer.NewFolder();
        await using (var server = await StartConfiguredAsync(folder, timeoutSeconds: 5))
        {
            Assert.Equal((10, 5_000), await ShownAsync(server));
            await server.Client.PatchAsync(Config, """{"priority":3}""");
            Assert.Equal((3, 5_000), await ShownAsync(server));
        }

        await using (var server = await StartConfiguredAsync(folder, timeoutSeconds: 7))
        {
            Assert.Equal((3, 7_000), await ShownAsync(server));
            await server.Client.PatchAsync(Config, """{"timeoutMs":9000}""");
        }

        await using (var server = await StartConfiguredAsync(folder, timeoutSeconds: 8))
        {
            Assert.Equal((3, 9_000), await ShownAsync(server));
            var reset = await server.Client.PatchAsync(Config, """{"timeoutMs":null}""");
            Assert.Equal(8_000, reset.Json.GetProperty("timeoutMs").GetInt32());
        }

        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Change_IsInTheAuditWithWhoMadeItAndWhatHoldsFromThenOn_AndARefusedOneIsNot()
    {
        await using var server = await StartAsync(null);
        var account = (await server.Client.GetAsync("/v1/accounts/me")).Json.GetProperty("id").GetString()!;
        var made = await server.Client.PostAsync("/v1/api-keys", """{"name":"ops","scopes":["admin"]}""");
        using var operations = server.ClientFor(made.Json.GetProperty("key").GetString());

        await operations.PatchAsync(Config, """{"enabled":false,"priority":3,"circuitBreaker":{"errorRate":0.5}}""");
        await operations.PatchAsync(Config, """{"priority":1001}""");
        await operations.PatchAsync("/v1/providers/config/none", """{"priority":1}""");

        var entry = Assert.Single(
            server.Database.Read(session => AuditLog.Read(session, account, 0)),
            static one => one.Entry.Type == AuditTypes.ProviderChanged).Entry;
        Assert.Equal(("house-1", made.Json.GetProperty("id").GetString()), (entry.Subject, entry.KeyId));
        Assert.Equal(
            """{"enabled":"false","priority":"3","routingWeight":"1","timeoutMs":"30000","maxConcurrency":"10000","""
            + "\"errorRate\":\"0.5\",\"cooldownMs\":\"60000\"}", entry.Detail);
        await server.AssertSoundAsync();
    }

    [Theory]
    [InlineData("""{"priority":1001}""", "priority")]
    [InlineData("""{"routingWeight":-1}""", "routingWeight")]
    [InlineData("""{"timeoutMs":999}""", "timeoutMs")]
    [InlineData("""{"maxConcurrency":0}""", "maxConcurrency")]
    [InlineData("""{"circuitBreaker":{"errorRate":1.1}}""", "circuitBreaker.errorRate")]
    [InlineData("""{"circuitBreaker":{"cooldownMs":10}}""", "circuitBreaker.cooldownMs")]
    [InlineData("""{"privacy":{}}""", "privacy")]
    [InlineData("""{"credential":"x"}""", "credential")]
    [InlineData("""{"enabled":1}""", "enabled")]
    public async Task Change_OutOfRange_NamesTheMember(string body, string param)
    {
        await using var server = await StartAsync(null);
        var answer = await server.Client.PatchAsync(Config, body);
        Assert.Equal((400, param), (answer.Status, answer.ErrorParam));
    }

    [Fact]
    public async Task Providers_AreTheOperatorsAlone()
    {
        await using var server = await StartAsync(null);
        Assert.Equal(404, (await server.Client.PatchAsync("/v1/providers/config/none", "{}")).Status);
        var made = await server.Client.PostAsync("/v1/accounts", """{"name":"other"}""");
        using var other = server.ClientFor(made.Json.GetProperty("key").GetString());
        Assert.Equal(403, (await other.GetAsync("/v1/providers/config")).Status);
        Assert.Equal(403, (await other.GetAsync("/v1/providers/health")).Status);
        Assert.Equal(403, (await other.PatchAsync(Config, """{"enabled":false}""")).Status);
        using var chat = server.ClientFor(await server.NewKeyAsync("\"scopes\":[\"chat\"]"));
        Assert.Equal(403, (await chat.GetAsync("/v1/providers/config")).Status);
    }

    [Fact]
    public async Task Disabled_ProviderIsNotAskedAndTheNextOneAnswers()
    {
        var (first, second) = (new ScriptedChatClient().Reply("first"), new ScriptedChatClient().Reply("second"));
        await using var server = await TestServer.StartAsync(configure: builder =>
        {
            first.AddTo(builder);
            second.AddTo(builder, ScriptedChatClient.Model("mesh/house-2", 4, 20));
        });
        var agent = await server.NewAgentAsync("\"model\":\"cheapest\"");
        Assert.Equal("first", (await server.RunAsync(agent)).Json.GetProperty("output").GetString());
        await server.Client.PatchAsync(Config, """{"enabled":false}""");
        Assert.Equal("second", (await server.RunAsync(agent)).Json.GetProperty("output").GetString());
        var health = (await server.Client.GetAsync("/v1/providers/health")).Json.GetProperty("data");
        Assert.Equal(
            ["disabled", "healthy"],
            health.EnumerateArray().Select(static one => one.GetProperty("status").GetString()));
        Assert.Equal("2026-11-20T09:15:03.530Z", health[0].GetProperty("last_success_at").GetString());
    }

    private static Task<TestServer> StartConfiguredAsync(string folder, int timeoutSeconds) => TestServer.StartAsync(
        options => options with
        {
            Inference = new InferenceOptions
            {
                Providers =
                [
                    new ProviderOptions
                    {
                        Name = "house-1",
                        Kind = ProviderKinds.OpenAI,
                        BaseUrl = new Uri("http://127.0.0.1:9/v1"),
                        Timeout = TimeSpan.FromSeconds(timeoutSeconds),
                        Models = [ScriptedChatClient.Model()],
                    },
                ],
            },
        },
        folder: folder);

    private static async Task<(int Priority, int Timeout)> ShownAsync(TestServer server)
    {
        var shown = (await server.Client.GetAsync("/v1/providers/config")).Json.GetProperty("data")[0];
        return (shown.GetProperty("priority").GetInt32(), shown.GetProperty("timeoutMs").GetInt32());
    }

    private static Task<TestServer> StartAsync(string? folder) => TestServer.StartAsync(
        configure: builder => new ScriptedChatClient().AddTo(builder), folder: folder);
}
