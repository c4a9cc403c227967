using System.Text.Json;

namespace Reeve.Server.Inference.Providers.Ollama;

/// <summary><c>POST /api/embed</c>.</summary>
internal sealed class OllamaEmbeddings(ProviderTools tools, ProviderEndpoint endpoint, Model model)
    : ProviderEmbeddings(tools, endpoint, model, TextsMax)
{
    /// <summary>So many of the longest vectors stay below the size of an answer.</summary>
    private const int TextsMax = 256;

    private protected override void Write(Utf8JsonWriter writer, string[] texts, int? dimensions)
    {
        writer.WriteString("model"u8, Model.Upstream);
        writer.WriteStartArray("input"u8);
        foreach (var text in texts)
        {
            writer.WriteStringValue(text);
        }

        writer.WriteEndArray();

        // A text that does not fit is refused: half of it would have another vector.
        writer.WriteBoolean("truncate"u8, false);
        if (dimensions is { } count)
        {
            writer.WriteNumber("dimensions"u8, count);
        }
    }

    private protected override long? Read(JsonElement answer, float[]?[] vectors, UsageFigures usage)
    {
        var ordinal = 0;
        foreach (var numbers in JsonText.Items(answer, "embeddings"))
        {
            vectors[ordinal++] = Vector(numbers);
        }

        return usage.Of(answer, "prompt_eval_count");
    }
}
