using Microsoft.Extensions.AI;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using SessionOptions = Microsoft.ML.OnnxRuntime.SessionOptions;

namespace Reeve.Server.Retrieval.Vectors;

/// <summary>
/// A sentence-transformer in this process: its tokenizer, its network and the pooling of what comes out. The network's
/// library is loaded when a folder is configured, and not before.
/// </summary>
internal sealed class OnnxEmbeddings : IEmbeddingGenerator<string, Embedding<float>>
{
    private const string Ids = "input_ids";
    private const string Mask = "attention_mask";
    private const string Types = "token_type_ids";
    private const string Sentence = "sentence_embedding";

    /// <summary>Texts that go through the network together, so that a long list takes no more memory.</summary>
    private const int TextsMax = 16;

    private readonly OnnxFolder _folder;
    private readonly InferenceSession _session;
    private readonly string _output;

    private OnnxEmbeddings(OnnxFolder folder, InferenceSession session, string output) =>
        (_folder, _session, _output) = (folder, session, output);

    /// <summary>Tells models apart by their content.</summary>
    internal string Name => _folder.Name;

    /// <summary>What the model wants before a question.</summary>
    internal string QuestionPrefix => _folder.QuestionPrefix;

    /// <summary>What the model wants before a passage.</summary>
    internal string PassagePrefix => _folder.PassagePrefix;

    /// <summary>Loads the model of a folder, and lets it make a vector.</summary>
    /// <exception cref="StartException">It has none that can be used here; the message says why.</exception>
    internal static OnnxEmbeddings Load(string path)
    {
        var folder = OnnxFolder.Read(path);
        OnnxEmbeddings? model = null;
        try
        {
            model = Open(folder);
            _ = model.Make(["a"]);
            return model;
        }
        catch (Exception error) when (error is OnnxRuntimeException or DllNotFoundException
            or TypeInitializationException or EntryPointNotFoundException)
        {
            model?.Dispose();
            throw folder.Wrong($"has a model that does not run here: {error.GetBaseException().Message}", error);
        }
    }

    public Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(
        IEnumerable<string> values, EmbeddingGenerationOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        var made = new GeneratedEmbeddings<Embedding<float>>();
        foreach (var texts in values.Chunk(TextsMax))
        {
            cancellationToken.ThrowIfCancellationRequested();
            made.AddRange(Make(texts).Select(static vector => new Embedding<float>(vector)));
        }

        return Task.FromResult(made);
    }

    public object? GetService(Type serviceType, object? serviceKey = null) =>
        serviceKey is null && serviceType.IsInstanceOfType(this) ? this : null;

    public void Dispose() => _session.Dispose();

    private static OnnxEmbeddings Open(OnnxFolder folder)
    {
        using var options = new SessionOptions
        {
            // The other cores stay free for runs; what waits sleeps, and what is not needed is given back.
            IntraOpNumThreads = Math.Max(1, Environment.ProcessorCount / 2),
            InterOpNumThreads = 1,
            EnableCpuMemArena = false,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL, // It is thrown anyway.
        };
        options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0");
        var session = new InferenceSession(folder.ModelPath, options);
        foreach (var (name, input) in session.InputMetadata)
        {
            if (name is not (Ids or Mask or Types) || input.ElementDataType is not (TensorElementType.Int64
                or TensorElementType.Int32))
            {
                throw folder.Wrong($"has a model that asks for {name} ({input.ElementDataType}); "
                    + $"there are {Ids}, {Mask} and {Types}, all whole numbers");
            }
        }

        var outputs = session.OutputMetadata.Where(static one =>
            one.Value.ElementDataType == TensorElementType.Float).ToList();
        var output = outputs.Find(static one => one.Key == Sentence && one.Value.Dimensions.Length == 2).Key
            ?? outputs.Find(static one => one.Value.Dimensions.Length == 3).Key
            ?? throw folder.Wrong($"has a model that gives neither {Sentence} nor a vector for each token, "
                + "as 32-bit numbers");
        return new OnnxEmbeddings(folder, session, output);
    }

    private List<float[]> Make(string[] texts)
    {
        var tokens = Array.ConvertAll(texts, _folder.TokensOf);
        var length = tokens.Max(static one => one.Count);
        var (ids, mask) = (new long[texts.Length * length], new long[texts.Length * length]);
        ids.AsSpan().Fill(_folder.PaddingToken);
        for (var text = 0; text < texts.Length; text++)
        {
            for (var at = 0; at < tokens[text].Count; at++)
            {
                ids[(text * length) + at] = tokens[text][at];
                mask[(text * length) + at] = 1;
            }
        }

        var inputs = _session.InputMetadata.Select(input => Input(input.Key, input.Value.ElementDataType,
            input.Key switch { Ids => ids, Mask => mask, _ => new long[ids.Length] }, [texts.Length, length])).ToList();
        using var results = _session.Run(inputs, [_output]);
        var output = results[0].AsTensor<float>();
        return output.Dimensions is [var count, .., var width] && count == texts.Length
            && (output.Rank == 2 || output.Dimensions[1] == length)
            ? [.. Enumerable.Range(0, texts.Length).Select(text => Pool(output, text, tokens[text].Count, width))]
            : throw _folder.Wrong("has a model whose vectors are not one for each text or token");
    }

    private static NamedOnnxValue Input(string name, TensorElementType type, long[] values, int[] shape) =>
        type == TensorElementType.Int64
            ? NamedOnnxValue.CreateFromTensor(name, new DenseTensor<long>(values, shape))
            : NamedOnnxValue.CreateFromTensor(
                name, new DenseTensor<int>(Array.ConvertAll(values, static value => (int)value), shape));

    /// <summary>Of what comes out for the tokens of a text its vector.</summary>
    private float[] Pool(Tensor<float> output, int text, int tokens, int width)
    {
        var vector = new float[width];
        var used = output.Rank == 2 || _folder.TakesFirstToken ? 1 : tokens;
        for (var at = 0; at < used; at++)
        {
            for (var number = 0; number < width; number++)
            {
                vector[number] += (output.Rank == 2 ? output[text, number] : output[text, at, number]) / used;
            }
        }

        return vector;
    }
}
