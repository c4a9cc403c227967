using System.Text.Json;

namespace Reeve.Server.Inference.Providers.OpenAI;

/// <summary><c>POST /embeddings</c> of a server that speaks OpenAI's protocol.</summary>
internal sealed class OpenAIEmbeddings(ProviderTools tools, ProviderEndpoint endpoint, Model model)
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
        writer.WriteString("encoding_format"u8, "float"u8);
        if (dimensions is { } count)
        {
            writer.WriteNumber("dimensions"u8, count);
        }
    }

    private protected override long? Read(JsonElement answer, float[]?[] vectors, UsageFigures usage)
    {
        var ordinal = 0;
        foreach (var item in JsonText.Items(answer, "data"))
        {
            // Their order is what they say it is; a few servers say nothing.
            var index = JsonText.Member(item, "index")?.GetInt32() ?? ordinal;
            vectors[index] = Vector(JsonText.Member(item, "embedding") ?? default);
            ordinal++;
        }

        return JsonText.Member(answer, "usage") is { } figures
            ? usage.Of(figures, "prompt_tokens") ?? usage.Of(figures, "total_tokens")
            : null;
    }
}
