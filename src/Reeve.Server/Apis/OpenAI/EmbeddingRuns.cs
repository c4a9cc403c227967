using System.Text.Json;
using Reeve.Server.Http;
using Reeve.Server.Inference;
using Reeve.Server.Receipts.Attestation;
using Reeve.Server.Runs;

namespace Reeve.Server.Apis.OpenAI;

/// <summary>Answers a request for embeddings (wire-mesh 4.2). Its run lives as long as its caller waits.</summary>
internal sealed class EmbeddingRuns(
    RunAdmission admission, AwaitedRuns awaited, ModelCatalog catalog, ReeveOptions options, Attestations attestations,
    Capacity capacity)
{
    internal async Task RunAsync(HttpContext context)
    {
        admission.RefuseAtTheDoor();
        using var room = capacity.TakeChat(context.Request.ContentLength);
        var create = await EmbeddingCreate.ReadAsync(context, options, catalog);
        var admitted = await admission.AdmitAsync(create.Start);
        var state = await awaited.CompletionOfAsync(context, admitted.Run!);
        context.Response.ContentType = ApiJson.ContentType;
        await WriteAsync(context, create, state);
    }

    // Vectors may be many times as long as their texts, so each is sent before the next is written.
    private async Task WriteAsync(HttpContext context, EmbeddingCreate create, RunState state)
    {
        await using var writer = new Utf8JsonWriter(context.Response.Body, ApiJson.Writer);
        writer.WriteStartObject();
        writer.WriteString("object"u8, "list"u8);
        writer.WriteStartArray("data"u8);
        for (var i = 0; i < create.Request.Vectors.Count; i++)
        {
            WriteVector(writer, i, create.Request.Vectors[i], create.IsBase64);
            await writer.FlushAsync(context.RequestAborted);
        }

        writer.WriteEndArray();
        writer.WriteString("model"u8, create.Request.Model);
        writer.WriteStartObject("usage"u8);
        writer.WriteNumber("prompt_tokens"u8, state.InputTokens);
        writer.WriteNumber("total_tokens"u8, state.InputTokens);
        writer.WriteNumber("cost"u8, Money.Usd(state.Charged));
        writer.WriteEndObject();
        if (create.IsAttested)
        {
            writer.WriteStartObject("privacy"u8);
            writer.WritePropertyName("attestation"u8);
            writer.WriteRawValue(attestations.Issue(null));
            writer.WriteEndObject();
        }

        writer.WriteEndObject();
    }

    private static void WriteVector(Utf8JsonWriter writer, int index, ReadOnlyMemory<float> vector, bool isBase64)
    {
        writer.WriteStartObject();
        writer.WriteString("object"u8, "embedding"u8);
        writer.WriteNumber("index"u8, index);
        if (isBase64)
        {
            writer.WriteBase64String("embedding"u8, EmbeddingRequest.Bytes(vector));
        }
        else
        {
            writer.WriteStartArray("embedding"u8);
            foreach (var number in vector.Span)
            {
                writer.WriteNumberValue(number);
            }

            writer.WriteEndArray();
        }

        writer.WriteEndObject();
    }
}
