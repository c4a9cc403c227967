using System.Numerics.Tensors;
using Microsoft.Extensions.AI;
using Reeve.Server.Inference;
using Reeve.Server.Privacy;
using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval.Vectors;

/// <summary>
/// Turns texts into vectors of length 1 with the model that <c>retrieval.embeddings</c> names: a local one, in this
/// process, or a provider's, by the routes, the gate, the masking and the bounds of every other call.
/// </summary>
internal sealed partial class Embedder : IDisposable
{
    /// <summary>A chunk has about 900; of a longer question the beginning counts.</summary>
    private const int CharactersMax = 8_000;

    /// <summary>A token of text that is no English has fewer characters, but seldom fewer than this.</summary>
    private const int CharactersOfToken = 2;

    private static readonly HashSet<string> Needs = [Capabilities.Embeddings];

    private readonly ModelRouter _router;
    private readonly ProviderHealth _health;
    private readonly PersonalData _personal;
    private readonly ILogger<Embedder> _logger;
    private readonly OnnxEmbeddings? _local;
    private readonly EmbeddingEntry[] _routes = [];
    private readonly string _name = "";
    private NearnessScale? _scale;

    /// <exception cref="StartException">The folder has no model that can be used.</exception>
    public Embedder(ReeveOptions options, ModelRouter router, ModelCatalog catalog, ProviderHealth health,
        PersonalData personal, ILogger<Embedder> logger)
    {
        (_router, _health, _personal, _logger) = (router, health, personal, logger);
        if (options.Retrieval.Embeddings is not { } named)
        {
            return;
        }

        if (RetrievalOptions.IsFolder(named))
        {
            _local = OnnxEmbeddings.Load(named);
            _name = _local.Name;
            return;
        }

        _routes = catalog.EmbeddingRoutes(named);
        _name = _routes is [var first, ..]
            ? $"{first.Model.Id} {first.Model.Upstream}"
            : throw new StartException($"retrieval.embeddings names {named}, which is no model for embeddings.");
    }

    internal bool IsConfigured => _local is not null || _routes.Length > 0;

    /// <summary>Null while it is not known; nothing has a vector then.</summary>
    internal NearnessScale? Scale
    {
        get => Volatile.Read(ref _scale);
        private set => Volatile.Write(ref _scale, value);
    }

    public void Dispose() => _local?.Dispose();

    /// <summary>Part of the transaction of a start: vectors of another model are no use.</summary>
    internal void Prepare(DbSession session)
    {
        if (IsConfigured)
        {
            Scale = VectorStore.Prepare(session, _name);
        }
    }

    /// <summary>True where a text of a class may be turned into a vector.</summary>
    internal bool Permits(PrivacyClass privacyClass, bool builtInOnly) => _local is not null
        || (!builtInOnly && Array.Exists(_routes, route => PrivacyGate.Permits(privacyClass, route.Privacy)));

    /// <summary>Finds out what cosines mean; the texts for it are no one's.</summary>
    /// <exception cref="ProviderException">No provider answered as it should.</exception>
    /// <exception cref="Http.ApiException">None is permitted or there just now.</exception>
    internal async Task LearnScaleAsync(Database database, CancellationToken cancellationToken)
    {
        var loosest = Enum.GetValues<PrivacyClass>().First(one => Permits(one, builtInOnly: false));
        var scale = NearnessScale.Of(
            await MakeAsync(NearnessScale.Questions, isQuestion: true, loosest, builtInOnly: false, cancellationToken),
            await MakeAsync(NearnessScale.Passages, isQuestion: false, loosest, builtInOnly: false, cancellationToken));
        await database.WriteAsync(session => VectorStore.SetScale(session, scale));
        Scale = scale;
    }

    /// <summary>The vectors of texts in their order, all of one length.</summary>
    /// <exception cref="ProviderException">No provider answered as it should.</exception>
    /// <exception cref="Http.ApiException">None is permitted or there just now.</exception>
    internal async Task<IReadOnlyList<float[]>> MakeAsync(IReadOnlyList<string> texts, bool isQuestion,
        PrivacyClass privacyClass, bool builtInOnly, CancellationToken cancellationToken)
    {
        if (_local is not null)
        {
            var prefix = isQuestion ? _local.QuestionPrefix : _local.PassagePrefix;
            return Units(await _local.GenerateAsync(
                texts.Select(text => prefix + Cut(text, CharactersMax)), null, cancellationToken), texts.Count, "ONNX");
        }

        var failed = new HashSet<RouteKey>();
        while (true)
        {
            var route = _router.Choose(new RouteRequest
            {
                Model = _routes[0].Model.Id,
                Needs = Needs,
                PrivacyClass = privacyClass,
                BuiltInOnly = builtInOnly,
                PromptTokens = texts.Sum(TokenCounter.Estimate),
                OutputTokensMax = 0,
                Excluded = failed,
            });
            try
            {
                return await AskAsync(route, texts, privacyClass, cancellationToken);
            }
            catch (ProviderException error) when (failed.Count + 1 < _routes.Length
                && error.Fault != ProviderFault.BadRequest)
            {
                LogProviderFailed(route.Model.Provider, error.Fault);
                failed.Add(route.Entry.Key);
            }
        }
    }

    private async Task<IReadOnlyList<float[]>> AskAsync(
        Inference.Route route, IReadOnlyList<string> texts, PrivacyClass privacyClass,
        CancellationToken cancellationToken)
    {
        using var visit = _health.Of(route.Model.Provider).TryEnter() ?? throw new ProviderException(
            ProviderFault.Busy, $"{route.Model.Provider} is asked by as many as it may be, or not at all.");
        try
        {
            var isMasked = PrivacyGate.MustMask(privacyClass, route.Privacy);
            var most = (int)Math.Min(CharactersMax, (long)CharactersOfToken * route.Model.ContextTokens);
            var made = await route.Generator.GenerateAsync(
                texts.Select(text => Cut(isMasked ? new Masker(_personal, []).Mask(text) : text, most)), null,
                cancellationToken);
            var units = Units(made, texts.Count, route.Model.Provider);
            visit.Succeed();
            return units;
        }
        catch (ProviderException error)
        {
            visit.Fail(error.Fault);
            throw;
        }
    }

    private static string Cut(string text, int most) => text.Length <= most ? text
        : text[..(char.IsHighSurrogate(text[most - 1]) ? most - 1 : most)];

    private static List<float[]> Units(GeneratedEmbeddings<Embedding<float>> made, int count, string from)
    {
        var units = made.Select(static one => one.Vector.ToArray()).ToList();
        if (units.Count != count || units.Exists(unit => unit.Length == 0 || unit.Length != units[0].Length))
        {
            throw new ProviderException(ProviderFault.Malformed,
                $"An answer of {from} does not have one vector for each text, all of one length.");
        }

        foreach (var unit in units)
        {
            var norm = TensorPrimitives.Norm<float>(unit);
            if (norm > 0)
            {
                TensorPrimitives.Divide(unit, norm, unit);
            }
        }

        return units;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Provider} made no vectors ({Fault}); another is asked.")]
    private partial void LogProviderFailed(string provider, ProviderFault fault);
}
