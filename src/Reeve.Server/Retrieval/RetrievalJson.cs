using System.Text.Json.Serialization;

namespace Reeve.Server.Retrieval;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(IReadOnlyList<string>))]
internal sealed partial class RetrievalJson : JsonSerializerContext;
