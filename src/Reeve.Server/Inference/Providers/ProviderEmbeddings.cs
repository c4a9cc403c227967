using System.Text.Json;
using Microsoft.Extensions.AI;
using Reeve.Server.Egress;

namespace Reeve.Server.Inference.Providers;

/// <summary>
/// One model of a provider that turns texts into vectors. More texts than a request may have go in several, one after
/// another; the first that fails fails the whole. What differs between protocols is the JSON alone.
/// </summary>
internal abstract class ProviderEmbeddings(
    ProviderTools tools, ProviderEndpoint endpoint, Model model, int textsMax)
    : IEmbeddingGenerator<string, Embedding<float>>
{
    /// <summary>No model makes longer vectors.</summary>
    private const int DimensionsMax = 65_536;

    /// <summary>
    /// No text has ten times the tokens that its model can hold, even where that was configured too low. Such a report
    /// would use up the month's tokens of a key at once, so it counts as none.
    /// </summary>
    private const int ContextsMax = 10;

    private protected Model Model { get; } = model;

    /// <summary>
    /// The vectors in the order of the texts, all of one length. The usage is null where the provider reported none.
    /// </summary>
    /// <exception cref="ProviderException">The provider failed; it says how many texts had their vectors.</exception>
    public async Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(
        IEnumerable<string> values, EmbeddingGenerationOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        var made = new GeneratedEmbeddings<Embedding<float>>();
        long? tokens = 0;
        var answered = 0;
        try
        {
            foreach (var texts in values.Chunk(textsMax))
            {
                var (vectors, used) = await AskAsync(texts, options?.Dimensions, cancellationToken);
                answered += texts.Length; // What was answered is owed, also where it is of no use.
                tokens += used;
                Add(made, vectors);
            }
        }
        catch (ProviderException error)
        {
            error.TextsAnswered = answered;
            throw;
        }

        // Zeros in the place of a count are none; a text has tokens.
        if (tokens is { } counted and > 0)
        {
            made.Usage = new UsageDetails { InputTokenCount = counted, TotalTokenCount = counted };
        }

        return made;
    }

    public object? GetService(Type serviceType, object? serviceKey = null) =>
        serviceKey is null && serviceType.IsInstanceOfType(this) ? this : null;

    public void Dispose()
    {
        // The connections belong to ProviderHttp.
    }

    /// <summary>Reads the answer to as many texts as there is room for vectors; returns the usage.</summary>
    internal long? ReadAnswer(ReadOnlyMemory<byte> body, float[]?[] vectors)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            return JsonText.Member(document.RootElement, "error") is { ValueKind: JsonValueKind.Object } error
                ? throw ProviderRefusal.FromBody(error)
                : Read(document.RootElement, vectors, new UsageFigures());
        }
        catch (Exception error) when (
            error is JsonException or InvalidOperationException or FormatException or IndexOutOfRangeException)
        {
            throw Malformed("is not the JSON of its protocol");
        }
    }

    private protected abstract void Write(Utf8JsonWriter writer, string[] texts, int? dimensions);

    /// <summary>Puts each text's vector into its place and returns the usage.</summary>
    private protected abstract long? Read(JsonElement answer, float[]?[] vectors, UsageFigures usage);

    private protected static float[] Vector(JsonElement numbers)
    {
        var length = numbers.GetArrayLength();
        if (length is 0 or > DimensionsMax)
        {
            throw new JsonException("A vector has no length, or one beyond all sense.");
        }

        var vector = new float[length];
        var at = 0;
        foreach (var number in numbers.EnumerateArray())
        {
            var value = number.GetSingle();
            vector[at++] = float.IsFinite(value)
                ? value
                : throw new JsonException("A number of a vector is too large.");
        }

        return vector;
    }

    private async Task<(float[]?[] Vectors, long? Tokens)> AskAsync(
        string[] texts, int? dimensions, CancellationToken cancellationToken)
    {
        using var call = await ProviderCall.SendAsync(
            tools.Http, endpoint, Body(texts, dimensions), tools.Time, cancellationToken);
        using var body = await call.ReadWholeAsync();
        var vectors = new float[texts.Length][];
        var tokens = ReadAnswer(body.Memory, vectors);
        return (vectors, tokens > ContextsMax * (long)Model.ContextTokens * texts.Length ? null : tokens);
    }

    private void Add(GeneratedEmbeddings<Embedding<float>> made, float[]?[] vectors)
    {
        var length = made.Count > 0 ? made[0].Vector.Length : vectors[0]?.Length;
        foreach (var vector in vectors)
        {
            made.Add(vector is not null && vector.Length == length
                ? new Embedding<float>(vector) { ModelId = Model.Id }
                : throw Malformed("does not have one vector for each text, all of one length"));
        }
    }

    private PooledBytes Body(string[] texts, int? dimensions)
    {
        var body = new PooledBytes(8 * 1024);
        try
        {
            using var writer = new Utf8JsonWriter(body, PromptWriter.Format);
            writer.WriteStartObject();
            Write(writer, texts, dimensions);
            writer.WriteEndObject();
            writer.Flush();
            return body;
        }
        catch
        {
            body.Dispose();
            throw;
        }
    }

    private ProviderException Malformed(string how) =>
        new(ProviderFault.Malformed, $"An answer of {endpoint.Provider} {how}.");
}
