using System.Text.Json.Serialization;

namespace Reeve.Bench.PassThrough;

internal sealed record RunRequest(string Agent, string Input);

internal sealed record RunAnswer(string Output, ChatUsage? Usage);

internal sealed record ChatMessage(string Role, string Content);

internal sealed record ChatRequest(string Model, ChatMessage[] Messages, bool Stream);

internal sealed record ChatChoice(ChatMessage Message);

internal sealed record ChatUsage(int PromptTokens, int CompletionTokens);

internal sealed record ChatCompletion(ChatChoice[] Choices, ChatUsage? Usage);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(RunRequest))]
[JsonSerializable(typeof(RunAnswer))]
[JsonSerializable(typeof(ChatRequest))]
[JsonSerializable(typeof(ChatCompletion))]
[JsonSerializable(typeof(string))]
internal sealed partial class PassThroughJsonContext : JsonSerializerContext;
