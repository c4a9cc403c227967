using System.Numerics.Tensors;
using CsCheck;
using Reeve.Server.Retrieval;
using Reeve.Server.Retrieval.Vectors;
using Reeve.Server.Storage;
using static Reeve.Server.Tests.Retrieval.RetrievalWorld;

namespace Reeve.Server.Tests.Retrieval.Vectors;

/// <summary>What is in memory against what is on the disk, and bytes against numbers.</summary>
public sealed class VectorIndexTests : IDisposable
{
    private const string Agent = "agt_1";
    private const int Length = 384;

    private readonly RetrievalWorld _world = new();

    private static readonly Gen<(int Act, int Which, int Seed)> Step =
        Gen.Select(Gen.Int[0, 3], Gen.Int[0, 9], Gen.Int[0, 1_000]);

    public void Dispose() => _world.Dispose();

    /// <summary>Adds, replaces and deletes at random, and searches in between.</summary>
    [Fact]
    public async Task Index_AfterEachChange_HasWhatTheDiskHas() => await Step.Array[1, 25].SampleAsync(async steps =>
    {
        var indexes = new VectorIndexes(new ReeveOptions());
        var documents = new List<string>();
        foreach (var (act, which, seed) in steps)
        {
            if (act == 0 || documents.Count == 0)
            {
                documents.Add(await AddAsync(Ours, Agent, seed));
            }
            else if (act == 1)
            {
                await _world.Documents.DeleteAsync(Ours, documents[which % documents.Count]);
                documents.RemoveAt(which % documents.Count);
            }
            else if (act == 2)
            {
                var id = documents[which % documents.Count];
                await _world.Documents.ReplaceAsync(
                    Ours, id, Text(Unique()), TestContext.Current.CancellationToken);
                await EmbedAsync(Ours, id, seed);
            }

            var onDisk = _world.Database.Read(static session => session.List(
                "SELECT v.key FROM chunk_vectors v JOIN documents d ON d.number = v.key >> 24 WHERE d.agent_id = $1",
                static row => row.GetInt64(0), Agent));
            Assert.Equal(onDisk, Nearest(indexes, Vector(seed, 4), 1_000).Order());
        }

        foreach (var id in documents)
        {
            await _world.Documents.DeleteAsync(Ours, id);
        }

        Assert.Empty(Nearest(indexes, Vector(1, 4), 1_000));
    }, iter: 20, threads: 1);

    [Fact]
    public async Task Nearest_InBytes_HasTheTenOfTheNumbers()
    {
        const int Chunks = 600;
        var id = (await _world.AddAsync(string.Join("\n\n", Enumerable.Range(0, Chunks)
            .Select(static part => $"Part {part}. " + new string('x', 600))))).Id;
        var vectors = await EmbedAsync(Ours, id, seed: 7, Length);
        Assert.InRange(vectors.Count, Chunks, Chunks + 5);
        var indexes = new VectorIndexes(new ReeveOptions());
        var (hits, asked) = (0, 0);
        for (var seed = 0; seed < 50; seed++)
        {
            var query = Vector(1_000_000 + seed, Length);
            var exact = vectors.OrderByDescending(pair => TensorPrimitives.Dot<float>(pair.Value, query))
                .Take(10).Select(static pair => pair.Key).ToHashSet();
            var found = Nearest(indexes, query, 40)
                .OrderByDescending(key => TensorPrimitives.Dot<float>(vectors[key], query)).Take(10);
            hits += found.Count(exact.Contains);
            asked += 10;
        }

        Assert.True(hits >= asked * 0.998, $"{hits} of {asked}");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(31)]
    [InlineData(33)]
    [InlineData(100)]
    public async Task Nearest_OfAnyLength_IsInTheOrderOfTheCosines(int length)
    {
        for (var seed = 0; seed < 5; seed++)
        {
            var id = (await _world.AddAsync(Unique())).Id;
            await EmbedAsync(Ours, id, seed, length);
        }

        var indexes = new VectorIndexes(new ReeveOptions());
        var query = Vector(3, length);
        var best = Assert.Single(Nearest(indexes, query, 1));
        var nearest = _world.Database.Read(session => TensorPrimitives.Dot(
            VectorStore.At(session, Ours, best), query));
        Assert.InRange(nearest, 0.999f, 1.001f); // It is there itself, or one that is as near.
        Assert.Empty(Nearest(indexes, Vector(3, length + 1), 10)); // Of another model.
        Assert.Equal(5, Nearest(indexes, query, 10).Count);
    }

    private static string Unique() => $"Words {Interlocked.Increment(ref _unique)}.";

    private static int _unique;

    private List<long> Nearest(VectorIndexes indexes, float[] query, int count) => _world.Database.Read(session =>
        SearchIndexStore.Find(session, Ours, Agent) is { } index
            ? indexes.Nearest(session, Ours, Agent, index, query, count, null) : []);

    private async Task<string> AddAsync(TenantContext tenant, string agent, int seed)
    {
        var id = (await _world.AddAsync(tenant, agent, Text(Unique()))).Document.Id;
        await EmbedAsync(tenant, id, seed);
        return id;
    }

    private Task<Dictionary<long, float[]>> EmbedAsync(
        TenantContext tenant, string id, int seed, int length = 4) => _world.Database.WriteAsync(session =>
    {
        var document = DocumentStore.Find(session, tenant, id)!;
        var number = DocumentStore.NumberOf(session, tenant, id)!.Value;
        var chunks = DocumentStore.Chunks(session, tenant, id, -1, int.MaxValue);
        var vectors = chunks.ToDictionary(
            chunk => ChunkKey.Of(number, chunk.Index), chunk => Vector(seed + (chunk.Index * 31), length));
        Assert.True(VectorStore.Put(
            session, new UnembeddedDocument(number, id, tenant, document.AgentId, document.PrivacyClass),
            chunks.Select(chunk => (chunk, vectors[ChunkKey.Of(number, chunk.Index)]))));
        return vectors;
    });

    /// <summary>Of length 1; each one's neighbours share its direction in part, as texts of a kind do.</summary>
    private static float[] Vector(int seed, int length)
    {
        var vector = new float[length];
        var state = (uint)seed + 1;
        var topic = (uint)seed % 16;
        for (var i = 0; i < length; i++)
        {
            vector[i] = Next(ref state) + (0.7f * Next(ref topic));
        }

        var norm = TensorPrimitives.Norm<float>(vector);
        TensorPrimitives.Divide(vector, norm, vector);
        return vector;

        static float Next(ref uint state)
        {
            state = (state * 1_664_525) + 1_013_904_223;
            return ((state >> 8) / (float)(1 << 24)) - 0.5f;
        }
    }
}
