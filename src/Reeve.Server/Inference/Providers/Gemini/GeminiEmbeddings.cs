using System.Text.Json;

namespace Reeve.Server.Inference.Providers.Gemini;

/// <summary><c>POST /models/X:batchEmbedContents</c>. It reports no usage.</summary>
internal sealed class GeminiEmbeddings(ProviderTools tools, ProviderEndpoint endpoint, Model model)
    : ProviderEmbeddings(tools, endpoint, model, TextsMax)
{
    /// <summary>The protocol takes no more in one request.</summary>
    private const int TextsMax = 100;

    private protected override void Write(Utf8JsonWriter writer, string[] texts, int? dimensions)
    {
        writer.WriteStartArray("requests"u8);
        foreach (var text in texts)
        {
            writer.WriteStartObject();
            writer.WriteString("model"u8, "models/" + Model.Upstream);
            writer.WriteStartObject("content"u8);
            writer.WriteStartArray("parts"u8);
            writer.WriteStartObject();
            writer.WriteString("text"u8, text);
            writer.WriteEndObject();
            writer.WriteEndArray();
            writer.WriteEndObject();
            if (dimensions is { } count)
            {
                writer.WriteNumber("outputDimensionality"u8, count);
            }

            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    private protected override long? Read(JsonElement answer, float[]?[] vectors, UsageFigures usage)
    {
        var ordinal = 0;
        foreach (var item in JsonText.Items(answer, "embeddings"))
        {
            vectors[ordinal++] = Normalized(Vector(JsonText.Member(item, "values") ?? default));
        }

        return null;
    }

    /// <summary>Only vectors of full length come with the length 1 that all others have.</summary>
    private static float[] Normalized(float[] vector)
    {
        var norm = MathF.Sqrt(vector.Sum(static number => number * number));
        return norm > 0 ? [.. vector.Select(number => number / norm)] : vector;
    }
}
