using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Reeve.Server.Runs;
using Reeve.Server.Storage;
using Reeve.Server.Tests.Runs;

namespace Reeve.Server.Tests.Retrieval.Vectors;

/// <summary>Search by meaning as its users see it, with a local model and with a provider.</summary>
public sealed class VectorSearchTests : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("reeve-tiny-").FullName;
    private EmbeddingProvider _provider = null!;

    public async ValueTask InitializeAsync()
    {
        _provider = await EmbeddingProvider.StartAsync();
        TinyModel.Write(_folder);
    }

    public async ValueTask DisposeAsync()
    {
        await _provider.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [InlineData("words")]
    [InlineData("local")]
    [InlineData("provider")]
    public async Task Question_WithoutAWordOfTheDocument_FindsItByMeaningAlone(string kind)
    {
        await using var server = await StartAsync(kind);
        var agent = await DeskAsync(server);
        await AddAsync(server, agent, "The automobile stands outside.", "cars");
        await AddAsync(server, agent, "The physician is in.", "doctors");
        await EmbeddedAsync(server, kind == "words" ? 0 : 2);

        var found = await SearchAsync(server, agent, "vehicle");

        Assert.Equal(kind == "words" ? [] : ["cars"], Names(found));
        Assert.All(found.EnumerateArray(), one => Assert.InRange(one.GetProperty("score").GetDouble(), 0, 1));
        Assert.Equal(["doctors"], Names(await SearchAsync(server, agent, "physician")));
        await AssertSoundAsync(server);
    }

    [Fact]
    public async Task Scores_AreTheSameForTheSameMatchAndFallWithIt()
    {
        await using var server = await StartAsync("local");
        var agent = await DeskAsync(server);
        await AddAsync(server, agent, "An automobile.", "cars");
        await AddAsync(server, agent, "A physician.", "doctors");
        await AddAsync(server, agent, "An automobile, a physician, a boat, a garden.", "all");
        await EmbeddedAsync(server, 3);

        var cars = await SearchAsync(server, agent, "vehicle");
        var doctors = await SearchAsync(server, agent, "doctor");

        Assert.Equal(["cars", "all"], Names(cars));
        Assert.Equal(["doctors", "all"], Names(doctors));
        Assert.Equal(Scores(cars), Scores(doctors));
        Assert.True(Scores(cars)[0] > Scores(cars)[1]);
        Assert.Equal(["cars"], Names(await SearchAsync(server, agent, "vehicle", $",\"min_score\":{Scores(cars)[0]}")));
    }

    [Fact]
    public async Task Filter_HoldsForMeaningToo()
    {
        await using var server = await StartAsync("local");
        var agent = await DeskAsync(server);
        for (var i = 0; i < 60; i++)
        {
            await AddAsync(server, agent, $"Automobile number {i}.", $"car {i}", $",\"metadata\":{{\"n\":{i}}}");
        }

        await EmbeddedAsync(server, 60);

        Assert.Equal(["car 57"], Names(await SearchAsync(server, agent, "vehicle", ",\"filter\":{\"n\":57}")));
        Assert.Empty(Names(await SearchAsync(server, agent, "vehicle", ",\"filter\":{\"n\":60}")));
    }

    [Fact]
    public async Task Run_OfAnAgent_GetsWhatIsFoundByMeaning()
    {
        var model = new ScriptedChatClient();
        model.Reply("It is outside.", ScriptedChatClient.Usage(5, 5));
        await using var server = await TestServer.StartAsync(
            options => options with { Retrieval = new RetrievalOptions { Embeddings = _folder } },
            builder => model.AddTo(builder));
        var agent = await server.NewAgentAsync();
        var id = await AddAsync(server, agent, "The automobile stands outside.", "cars");
        await EmbeddedAsync(server, 1);

        var run = await server.RunAsync(agent, "\"input\":\"Vehicle?\"");

        Assert.Equal(id, run.Json.GetProperty("sources")[0].GetProperty("documentId").GetString());
    }

    [Theory]
    [InlineData("local")]
    [InlineData("provider")]
    public async Task Document_ThatIsDeletedOrReplaced_IsFoundByMeaningNoMore(string kind)
    {
        await using var server = await StartAsync(kind);
        var agent = await DeskAsync(server);
        var replaced = await AddAsync(server, agent, "The automobile stands outside.", "one");
        var deleted = await AddAsync(server, agent, "An automobile, quick.", "two");
        await EmbeddedAsync(server, 2);
        Assert.Equal(2, Names(await SearchAsync(server, agent, "vehicle")).Length);

        Assert.Equal(204, (await server.Client.DeleteAsync($"/v1/documents/{deleted}")).Status);
        Assert.Equal(["one"], Names(await SearchAsync(server, agent, "vehicle")));
        await AssertSoundAsync(server);

        _provider.Status = 500; // What it said before has no vector, and neither has the new.
        var put = await server.Client.PutAsync($"/v1/documents/{replaced}", """{"text":"A loaf.","name":"one"}""");
        Assert.Equal(200, put.Status);
        Assert.Empty(Names(await SearchAsync(server, agent, "vehicle")));
        await AssertSoundAsync(server);
        if (kind == "local")
        {
            await EmbeddedAsync(server, 1);
            Assert.Equal(["one"], Names(await SearchAsync(server, agent, "bread")));
        }

        Assert.Equal(204, (await server.Client.DeleteAsync($"/v1/agents/{agent}")).Status);
        Assert.Equal(0, CountVectors(server));
        await AssertSoundAsync(server);
    }

    [Fact]
    public async Task Confidential_NeverReachesTheProvider_NorDoesAQuestionAboutIt()
    {
        await using var server = await StartAsync("provider");
        var agent = await DeskAsync(server);
        await AddAsync(server, agent, "The physician is in.", "doctors");
        await EmbeddedAsync(server, 1);
        Assert.Equal(["doctors"], Names(await SearchAsync(server, agent, "doctor")));
        Assert.Contains("doctor", _provider.Texts);

        await AddAsync(server, agent, "The automobile of zanzibar.", "cars", ",\"privacy_class\":\"confidential\"");
        var other = await DeskAsync(server, ",\"privacy_class\":\"private_gateway\"");
        await AddAsync(server, other, "The automobile stands outside.", "open");
        await EmbeddedAsync(server, 2);

        Assert.Empty(Names(await SearchAsync(server, agent, "vehicle quixotry")));
        Assert.Empty(Names(await SearchAsync(server, other, "vehicle quixotry")));
        Assert.Equal(["cars"], Names(await SearchAsync(server, agent, "zanzibar")));
        Assert.DoesNotContain(_provider.Texts, static text =>
            text.Contains("zanzibar", StringComparison.Ordinal) || text.Contains("quixotry", StringComparison.Ordinal));
        Assert.Equal(2, CountVectors(server));
        await AssertSoundAsync(server);
    }

    [Fact]
    public async Task Protected_ReachesTheProviderMasked()
    {
        await using var server = await StartAsync("provider");
        var agent = await DeskAsync(server, ",\"privacy_class\":\"protected\"");
        await AddAsync(server, agent, "The automobile of w.h@example.com.", "cars", ",\"privacy_class\":\"protected\"");
        await EmbeddedAsync(server, 1);

        Assert.Equal(["cars"], Names(await SearchAsync(server, agent, "vehicle of w.h@example.com")));

        Assert.Contains(
            _provider.Texts, static text => text.Contains("vehicle of [EMAIL_1]", StringComparison.Ordinal));
        Assert.DoesNotContain(_provider.Texts, static text => text.Contains("w.h@", StringComparison.Ordinal));
    }

    [Fact]
    public async Task TestKey_AsksNoProvider_ButALocalModel()
    {
        foreach (var kind in (string[])["provider", "local"])
        {
            await using var server = await StartAsync(kind);
            var agent = await DeskAsync(server);
            await AddAsync(server, agent, "The automobile stands outside.", "cars");
            await EmbeddedAsync(server, 1);
            using var client = server.ClientFor(
                await server.NewKeyAsync("\"kind\":\"mesh_test\",\"scopes\":[\"chat\"]"));

            var found = await client.PostAsync($"/v1/agents/{agent}/search", """{"query":"vehicle"}""");

            Assert.Equal(kind == "local" ? ["cars"] : [], Names(found.Json.GetProperty("data")));
            Assert.DoesNotContain("vehicle", _provider.Texts);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Confidential_WithALocalModel_IsFoundAndItsVectorsAreEncrypted(bool becomes)
    {
        await using var server = await StartAsync("local");
        var agent = await DeskAsync(server);
        var id = await AddAsync(server, agent, "The automobile, cash, garden.", "cars",
            becomes ? "" : ",\"privacy_class\":\"confidential\"");
        await EmbeddedAsync(server, 1);
        if (becomes)
        {
            Assert.Equal(1, CountVectors(server, " AND substr(v.vector, 1, 1) = x'00'"));
            Assert.Equal(200, (await server.Client.PatchAsync(
                $"/v1/documents/{id}", """{"privacy_class":"confidential"}""")).Status);
            Assert.Equal(0, CountVectors(server, " AND substr(v.vector, 1, 1) = x'00'"));
            await EmbeddedAsync(server, 1);
        }

        Assert.Equal(["cars"], Names(await SearchAsync(server, agent, "vehicle")));
        Assert.Equal(1, CountVectors(server, " AND substr(v.vector, 1, 1) = x'01'"));
        await AssertSoundAsync(server);

        // What was written by another place or key is not taken for a vector.
        await server.Database.WriteAsync(static session =>
            session.Execute("UPDATE chunk_vectors SET vector = x'01000000010203'"));
        Assert.Empty(Names(await SearchAsync(server, agent, "vehicle")));
        Assert.Equal(["cars"], Names(await SearchAsync(server, agent, "cash")));
    }

    [Fact]
    public async Task Tenants_FindTheirOwnAlone()
    {
        await using var server = await StartAsync("local");
        var agent = await DeskAsync(server);
        await AddAsync(server, agent, "The automobile stands outside.", "ours");
        var account = await server.Client.PostAsync("/v1/accounts", """{"name":"Other"}""");
        Assert.True(account.Status == 201, account.Text);
        using var theirs = server.ClientFor(account.Json.GetProperty("key").GetString());
        var made = await theirs.PostAsync("/v1/agents", """{"name":"Desk","model":"reeve/quote"}""");
        var their = made.Json.GetProperty("id").GetString()!;
        await theirs.PostAsync($"/v1/agents/{their}/documents", """{"text":"Another automobile.","name":"theirs"}""");
        await EmbeddedAsync(server, 2);

        Assert.Equal(["ours"], Names(await SearchAsync(server, agent, "vehicle")));
        var found = await theirs.PostAsync($"/v1/agents/{their}/search", """{"query":"vehicle"}""");
        Assert.Equal(["theirs"], Names(found.Json.GetProperty("data")));
        Assert.Equal(404, (await theirs.PostAsync($"/v1/agents/{agent}/search", """{"query":"vehicle"}""")).Status);
    }

    [Fact]
    public async Task Memory_ThatIsFull_HoldsThoseOfOneAgentAndEachStaysFound()
    {
        await using var server = await TestServer.StartAsync(options => options with
        {
            Retrieval = new RetrievalOptions { Embeddings = _folder, VectorBytesMax = 1 },
        });
        string[] agents = [await DeskAsync(server), await DeskAsync(server)];
        await AddAsync(server, agents[0], "The automobile stands outside.", "0");
        await AddAsync(server, agents[1], "The automobile stands outside.", "1");
        await EmbeddedAsync(server, 2);

        for (var turn = 0; turn < 6; turn++)
        {
            Assert.Equal([$"{turn % 2}"], Names(await SearchAsync(server, agents[turn % 2], "vehicle")));
        }

        var indexes = server.Service<Server.Retrieval.Vectors.VectorIndexes>();
        Assert.InRange(indexes.Bytes, 1_024 * 32, 1_024 * 32 * 2);
    }

    private Task<TestServer> StartAsync(string kind) => TestServer.StartAsync(
        options => kind switch
        {
            "local" => options with { Retrieval = new RetrievalOptions { Embeddings = _folder } },
            "provider" => _provider.Configure(options),
            _ => options,
        },
        static builder => builder.Logging.ClearProviders());

    internal static Task<string> DeskAsync(TestServer server, string members = "") =>
        server.NewAgentAsync("\"model\":\"reeve/quote\"" + members);

    internal static async Task<string> AddAsync(
        TestServer server, string agent, string text, string name, string members = "")
    {
        var answer = await server.Client.PostAsync($"/v1/agents/{agent}/documents",
            $$"""{"text":"{{text}}","name":"{{name}}"{{members}}}""");
        Assert.True(answer.Status == 201, answer.Text);
        return answer.Json.GetProperty("id").GetString()!;
    }

    /// <summary>Waits until so many documents have all their vectors; the demo agent's are not counted.</summary>
    internal static Task EmbeddedAsync(TestServer server, int documents) => Eventually.TrueAsync(() => Count(server,
        "SELECT count(*) FROM documents WHERE is_embedded = 1 AND agent_id IN "
        + "(SELECT id FROM agents WHERE slug <> 'demo')") == documents);

    /// <summary>Those of the demo agent's documents are not counted.</summary>
    internal static long CountVectors(TestServer server, string condition = "") => Count(server,
        "SELECT count(*) FROM chunk_vectors v JOIN documents d ON d.number = v.key >> 24 WHERE d.agent_id NOT IN "
        + "(SELECT id FROM agents WHERE slug = 'demo')" + condition);

    internal static async Task<JsonElement> SearchAsync(
        TestServer server, string agent, string query, string members = "")
    {
        var found = await server.Client.PostAsync(
            $"/v1/agents/{agent}/search", $$"""{"query":"{{query}}"{{members}}}""");
        Assert.True(found.Status == 200, found.Text);
        return found.Json.GetProperty("data");
    }

    internal static string[] Names(JsonElement found) =>
        [.. found.EnumerateArray().Select(static one => one.GetProperty("name").GetString()!)];

    private static double[] Scores(JsonElement found) =>
        [.. found.EnumerateArray().Select(static one => one.GetProperty("score").GetDouble())];

    internal static long Count(TestServer server, string sql) =>
        server.Database.Read(session => session.Count(sql));

    internal static Task AssertSoundAsync(TestServer server)
    {
        Assert.Empty(server.Database.Read(new Verifier(server.Service<MasterKey>()).Check));
        return Task.CompletedTask;
    }
}
