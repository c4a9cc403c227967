using Microsoft.Extensions.Logging;
using Reeve.Server.Tests.Runs;
using static Reeve.Server.Tests.Retrieval.Vectors.VectorSearchTests;

namespace Reeve.Server.Tests.Retrieval.Vectors;

/// <summary>How vectors come to be, whatever comes between.</summary>
public sealed class VectorFillerTests : IAsyncLifetime
{
    private const int Chunks = 150;

    private readonly string _folder = Directory.CreateTempSubdirectory("reeve-tiny-").FullName;
    private EmbeddingProvider _provider = null!;

    public async ValueTask InitializeAsync() => _provider = await EmbeddingProvider.StartAsync();

    public async ValueTask DisposeAsync()
    {
        await _provider.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task ProviderThatIsAway_LeavesWords_AndVectorsComeWhenItIsBack()
    {
        _provider.Status = 503;
        await using var server = await StartAsync();
        var agent = await DeskAsync(server);
        await AddAsync(server, agent, "The automobile stands outside.", "cars");

        await Eventually.TrueAsync(() => !_provider.Texts.IsEmpty);
        Assert.Equal(["cars"], Names(await SearchAsync(server, agent, "automobile")));
        Assert.Empty(Names(await SearchAsync(server, agent, "vehicle")));
        _provider.Status = 200;
        await FilledAsync(server, 1);
        Assert.Equal(["cars"], Names(await SearchAsync(server, agent, "vehicle")));

        // It goes away again: the question has no vector, and no search fails for it.
        _provider.Status = 503;
        Assert.Empty(Names(await SearchAsync(server, agent, "vehicle")));
        Assert.Equal(["cars"], Names(await SearchAsync(server, agent, "automobile")));
    }

    [Fact]
    public async Task ProviderThatDawdles_IsNotWaitedFor()
    {
        await using var server = await StartAsync();
        var agent = await DeskAsync(server);
        await AddAsync(server, agent, "The automobile stands outside.", "cars");
        await FilledAsync(server, 1);
        var never = new TaskCompletionSource<int>();
        _provider.Judge = _ => never.Task;

        var found = await server.PassTimeUntilAsync(
            TimeSpan.FromSeconds(1), () => SearchAsync(server, agent, "vehicle or automobile"));

        Assert.Equal(["cars"], Names(found));
        never.SetResult(200);
    }

    [Fact]
    public async Task TextThatIsRefused_HoldsUpNoOther()
    {
        _provider.Judge = static texts => Task.FromResult(
            texts.Any(static text => text.Contains("xylograph", StringComparison.Ordinal)) ? 400 : 200);
        await using var server = await StartAsync();
        var agent = await DeskAsync(server);
        await AddAsync(server, agent, "The xylograph of an automobile.", "bad");
        await AddAsync(server, agent, "The automobile stands outside.", "good");

        await FilledAsync(server, 1);

        Assert.Equal(["good"], Names(await SearchAsync(server, agent, "vehicle")));
        Assert.Equal(["bad"], Names(await SearchAsync(server, agent, "xylograph")).Take(1));
        _provider.Judge = null;
        server.Time.Advance(TimeSpan.FromHours(2));
        await FilledAsync(server, 2);
    }

    [Fact]
    public async Task Restart_HalfWay_GoesOnWhereItStood()
    {
        var halfWay = new TaskCompletionSource();
        var never = new TaskCompletionSource<int>();
        _provider.Judge = texts =>
        {
            if (!texts.Any(static text => text.Contains("part 100 ", StringComparison.Ordinal)))
            {
                return Task.FromResult(200);
            }

            halfWay.TrySetResult();
            return never.Task;
        };
        var folder = Path.Combine(_folder, "data");
        string agent;
        await using (var server = await StartAsync(folder))
        {
            agent = await DeskAsync(server);
            await AddAsync(server, agent, string.Join("\\n\\n", Enumerable.Range(0, Chunks).Select(static part =>
                $"This is part {part} of the automobile. " + new string('x', 700))), "cars");
            await halfWay.Task.WaitAsync(TestServer.Timeout, TestContext.Current.CancellationToken);
            Assert.InRange(CountVectors(server), 64, Chunks - 1);
            Assert.Equal(5, Names(await SearchAsync(server, agent, "vehicle")).Length); // What there is, is found.
        }

        never.SetResult(500);
        _provider.Judge = null;
        _provider.Texts.Clear();
        await using var next = await StartAsync(folder);
        await FilledAsync(next, 1);

        Assert.Equal(Chunks, CountVectors(next));
        Assert.DoesNotContain(_provider.Texts, static text => text.Contains("part 1 ", StringComparison.Ordinal));
        Assert.Contains(_provider.Texts, static text => text.Contains("part 100 ", StringComparison.Ordinal));
        await AssertSoundAsync(next);
    }

    [Fact]
    public async Task OldData_AndAnotherModel_GetVectorsAtTheNextStart()
    {
        string agent;
        var folder = Path.Combine(_folder, "data");
        await using (var words = await TestServer.StartAsync(folder: folder))
        {
            agent = await DeskAsync(words);
            await AddAsync(words, agent, "The automobile stands outside.", "cars");
        }

        for (var turn = 0; turn < 3; turn++)
        {
            TinyModel.Write(Path.Combine(_folder, "tiny"), turn);
            await using var server = await StartLocalAsync(folder);
            await FilledAsync(server, 1);
            Assert.Equal(["cars"], Names(await SearchAsync(server, agent, "vehicle")));
            Assert.Empty(Names(await SearchAsync(server, agent, "doctor")));
            await AssertSoundAsync(server);
        }

        // The same model again has nothing to do, and without one words are searched.
        await using (var again = await StartLocalAsync(folder))
        {
            Assert.Equal(1, Count(again, "SELECT count(*) FROM documents WHERE is_embedded = 1 "
                + $"AND agent_id = '{agent}'"));
            Assert.Equal(["cars"], Names(await SearchAsync(again, agent, "vehicle")));
        }

        await using var none = await TestServer.StartAsync(folder: folder);
        Assert.Empty(Names(await SearchAsync(none, agent, "vehicle")));
    }

    [Fact]
    public async Task DocumentThatChangesMeanwhile_GetsNoVectorOfWhatItWas()
    {
        var asked = new TaskCompletionSource();
        var gate = new TaskCompletionSource<int>();
        await using var server = await StartAsync();
        await Eventually.TrueAsync(() => Count(server, "SELECT count(*) FROM documents WHERE is_embedded = 0") == 0);
        _provider.Judge = texts =>
        {
            if (!texts.Any(static text => text.Contains("automobile", StringComparison.Ordinal)))
            {
                return Task.FromResult(200);
            }

            asked.TrySetResult();
            return gate.Task;
        };
        var agent = await DeskAsync(server);
        var replaced = await AddAsync(server, agent, "The automobile.", "one");
        var deleted = await AddAsync(server, agent, "Another automobile.", "two");
        await asked.Task.WaitAsync(TestServer.Timeout, TestContext.Current.CancellationToken);
        var put = await server.Client.PutAsync($"/v1/documents/{replaced}", """{"text":"A loaf.","name":"one"}""");
        Assert.Equal(200, put.Status);
        Assert.Equal(204, (await server.Client.DeleteAsync($"/v1/documents/{deleted}")).Status);
        _provider.Judge = null;
        gate.SetResult(200);
        await FilledAsync(server, 1);

        Assert.Empty(Names(await SearchAsync(server, agent, "vehicle")));
        Assert.Single(Names(await SearchAsync(server, agent, "bread")));
        await AssertSoundAsync(server);
    }

    private Task<TestServer> StartAsync(string? folder = null) => TestServer.StartAsync(
        options => _provider.Configure(options), static builder => builder.Logging.ClearProviders(), folder: folder);

    private Task<TestServer> StartLocalAsync(string folder) => TestServer.StartAsync(options => options with
    {
        Retrieval = new RetrievalOptions { Embeddings = Path.Combine(_folder, "tiny") },
    }, folder: folder);

    /// <summary>Lets time pass until so many documents have their vectors.</summary>
    private static Task<bool> FilledAsync(TestServer server, int documents) => server.PassTimeUntilAsync(
        TimeSpan.FromSeconds(10), async () =>
        {
            await EmbeddedAsync(server, documents);
            return true;
        });
}
