using System.Buffers;
using System.Text.Json;
using Reeve.Server.Http;
using Reeve.Server.Privacy;
using Reeve.Server.Tools;

namespace Reeve.Server.Retrieval;

/// <summary><c>knowledge.search</c>: a model's own look into the documents of its agent.</summary>
internal sealed class KnowledgeTool(Retriever retriever) : IBuiltinTool
{
    private const int LimitDefault = 5;
    private const int LimitMax = 20;
    private const int QueryCharactersMax = 8_000;

    public string Name => "knowledge";

    public IReadOnlyList<ToolAction> Actions { get; } =
    [
        new ToolAction("search", "Finds passages of the agent's documents that match a query, best first.",
            JsonElement.Parse("""
                {"type":"object","properties":{
                "query":{"type":"string","description":"Words to look for.","minLength":1,"maxLength":8000},
                "limit":{"type":"integer","description":"Passages at most.","minimum":1,"maximum":20,"default":5}},
                "required":["query"],"additionalProperties":false}
                """)),
    ];

    public async Task<ToolResult> InvokeAsync(
        string action, JsonElement arguments, ToolCallContext context, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (action != "search")
        {
            return ToolErrors.Of($"knowledge has no action {action}; it has search.");
        }

        try
        {
            var given = new RequestObject(arguments.ValueKind == JsonValueKind.Object
                ? arguments
                : throw ApiException.Invalid("The arguments must be an object.", null));
            var query = given.RequiredString("query", 1, QueryCharactersMax);
            var limit = (int)(given.Integer("limit", 1, LimitMax) ?? LimitDefault);
            given.RejectUnknown();
            return ToResult(await retriever.SearchAsync(context.Tenant, context.AgentId,
                new Question(query, context.PrivacyClass, context.BuiltInOnly), limit, cancellationToken));
        }
        catch (ApiException error)
        {
            return ToolErrors.Of(error.Message);
        }
    }

    private static ToolResult ToResult(IReadOnlyList<RetrievedChunk> found)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartArray();
            foreach (var item in found)
            {
                writer.WriteStartObject();
                writer.WriteString("chunkId", item.Chunk.Id);
                writer.WriteString("documentId", item.Chunk.DocumentId);
                writer.WriteString("name", item.Name);
                writer.WriteString("text", item.Chunk.Text);
                writer.WriteNumber("score", item.Score);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
        }

        return new ToolResult(JsonElement.Parse(buffer.WrittenSpan), IsError: false)
        {
            Sources = [.. found.Select(static item => item.ToSource())],
            PrivacyClass = found.Aggregate(PrivacyClass.Standard,
                static (strictest, item) => PrivacyClasses.Stricter(strictest, item.PrivacyClass)),
        };
    }
}
