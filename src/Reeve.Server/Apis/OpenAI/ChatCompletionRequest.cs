using System.Buffers;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Extensions.AI;
using Reeve.Server.Accounts;
using Reeve.Server.Http;
using Reeve.Server.Inference;
using Reeve.Server.Receipts.Attestation;
using Reeve.Server.Receipts.Keys;
using Reeve.Server.Runs;

namespace Reeve.Server.Apis.OpenAI;

/// <summary>The body of <c>POST /v1/chat/completions</c> (wire-mesh 4.1), checked.</summary>
internal sealed partial record ChatCompletionRequest(StartRun Start, bool Stream)
{
    private const int ModelsMax = 8;
    private const int FunctionsMax = 128;
    private const int StopMax = 16;
    private const int OutputTokensMax = 10_000_000;

    /// <summary>What the log keeps beside the messages.</summary>
    private static readonly string[] Settings =
    [
        "max_tokens", "max_completion_tokens", "temperature", "top_p", "frequency_penalty", "presence_penalty", "seed",
        "stop", "tools", "tool_choice", "parallel_tool_calls", "response_format",
    ];

    internal static async Task<ChatCompletionRequest> ReadAsync(
        HttpContext context, ReeveOptions options, ModelCatalog catalog, KeyRing keys, Attestations attestations)
    {
        _ = new RequestQuery(context);
        using var document = await RequestBody.ReadAsync(context, options.Limits.ChatBytesMax);
        var body = new RequestObject(document.RootElement);
        RefuseWhatIsNotDone(body);
        var stream = body.Boolean("stream") ?? false;
        var streamOptions = body.Object("stream_options");
        var user = body.String("user", 1, 128);
        var metadata = body.Metadata("metadata");
        var privacy = ChatPrivacy.Read(body, keys);
        using var opened = privacy.Open(document.RootElement);
        var conversation = opened?.RootElement ?? document.RootElement;
        var messages = new ChatMessageReader();
        messages.Read(opened is null ? body : new RequestObject(conversation));
        var route = ChatRoute.Read(body, catalog, ModelsMax);
        var chat = ReadSettings(body, messages, route) with
        {
            Admitted = new ChatAdmitted
            {
                Messages = conversation.GetProperty("messages").Clone(),
                Settings = Keep(body),
                Routing = route.Mode,
                Chain = route.Chain,
                IncludeUsage = streamOptions?.Boolean("include_usage") ?? false,
                Attestation = privacy.IsAttested ? JsonElement.Parse(attestations.Issue(null)) : null,
            },
        };
        route.RequireAble(chat, catalog);
        return new ChatCompletionRequest(
            new StartRun
            {
                Payer = Payers.Of(context.Caller()),
                RequestId = context.TraceIdentifier,
                Agent = route.Agent,
                Input = chat.Questions.LastOrDefault() ?? "",
                UserId = user,
                User = RunUser.Show(user, null, null),
                Metadata = metadata,
                CancelOnDisconnect = true,
                Whole = !stream,
                PrivacyClass = privacy.Class,
                IsSealed = privacy.Prompt is not null,
                Chat = chat,
            },
            stream);
    }

    // These would change the answer; to pass them over in silence would be worse than to say no.
    private static void RefuseWhatIsNotDone(RequestObject body)
    {
        if (body.Take("n") is { } count && !(count.ValueKind == JsonValueKind.Number && count.GetRawText() == "1"))
        {
            throw body.Wrong("n", "must be 1: one answer is made for each request");
        }

        if (body.Take("logprobs") is { ValueKind: not JsonValueKind.False })
        {
            throw body.Wrong("logprobs", "must be false: probabilities are not passed on");
        }

        foreach (var name in (ReadOnlySpan<string>)["functions", "function_call"])
        {
            if (body.Take(name) is not null)
            {
                throw body.Wrong(name, "is not supported; use tools and tool_choice");
            }
        }

        if (body.Take("audio") is not null)
        {
            throw body.Wrong("audio", "is not supported: answers are text");
        }
    }

    private static ChatRequest ReadSettings(RequestObject body, ChatMessageReader messages, ChatRoute route)
    {
        var functions = ReadFunctions(body);
        var newer = body.Integer("max_completion_tokens", 1, OutputTokensMax);
        var older = body.Integer("max_tokens", 1, OutputTokensMax);
        return new ChatRequest
        {
            Model = route.Model,
            Fallbacks = route.Fallbacks,
            CheapestOfFallbacks = route.IsCheapest,
            Messages = messages.Messages,
            MessageTokens = messages.Tokens,
            HasImages = messages.HasImages,
            HasImageUrls = messages.HasImageUrls,
            Functions = functions,
            ToolMode = ReadToolMode(body, functions),
            ParallelToolCalls = body.Boolean("parallel_tool_calls"),
            Format = ReadFormat(body),
            OutputTokensMax = (int?)(newer ?? older),
            Temperature = body.Number("temperature", 0, 2, 6),
            TopP = body.Number("top_p", 0, 1, 6),
            FrequencyPenalty = body.Number("frequency_penalty", -2, 2, 6),
            PresencePenalty = body.Number("presence_penalty", -2, 2, 6),
            Seed = body.Integer("seed", long.MinValue, long.MaxValue),
            Stop = body.Take("stop") is { ValueKind: JsonValueKind.String }
                ? [body.RequiredString("stop", 1, 1_000)]
                : body.Strings("stop", StopMax, 1_000) ?? [],
            Admitted = null!,
        };
    }

    private static List<AIFunctionDeclaration> ReadFunctions(RequestObject body)
    {
        var functions = new List<AIFunctionDeclaration>();
        foreach (var tool in body.Objects("tools", FunctionsMax) ?? [])
        {
            if (tool.Word("type", "function") is null)
            {
                throw tool.Wrong("type", "is required");
            }

            var function = tool.Object("function") ?? throw tool.Wrong("function", "is required");
            var name = function.RequiredString("name", 1, 64);
            if (!FunctionName.IsMatch(name))
            {
                throw function.Wrong("name", "must be letters, digits, _ and -");
            }

            if (functions.Exists(known => known.Name == name))
            {
                throw function.Wrong("name", $"{name} is there twice");
            }

            var parameters = function.Object("parameters")?.Element ?? JsonElement.Parse("{\"type\":\"object\"}");
            if (!RequestObject.IsFinite(parameters))
            {
                throw function.Wrong("parameters", "has a number that is larger than a double can hold");
            }

            functions.Add(AIFunctionFactory.CreateDeclaration(
                name, function.String("description", 0, 8_192) ?? "", parameters.Clone()));
        }

        return functions;
    }

    private static ChatToolMode? ReadToolMode(RequestObject body, List<AIFunctionDeclaration> functions)
    {
        if (body.Take("tool_choice") is not { } choice)
        {
            return null;
        }

        if (choice.ValueKind == JsonValueKind.String)
        {
            var word = body.Word("tool_choice", "auto", "none", "required");
            return word == "required" && functions.Count == 0
                ? throw body.Wrong("tool_choice", "needs tools to choose from")
                : word == "none" ? ChatToolMode.None
                : word == "auto" ? ChatToolMode.Auto
                : ChatToolMode.RequireAny;
        }

        var named = body.Object("tool_choice")!;
        if (named.Word("type", "function") is null)
        {
            throw named.Wrong("type", "is required");
        }

        var function = named.Object("function") ?? throw named.Wrong("function", "is required");
        var name = function.RequiredString("name", 1, 64);
        return functions.Exists(known => known.Name == name)
            ? ChatToolMode.RequireSpecific(name)
            : throw function.Wrong("name", "must be the name of one of tools");
    }

    private static ChatResponseFormatJson? ReadFormat(RequestObject body)
    {
        if (body.Object("response_format") is not { } format)
        {
            return null;
        }

        switch (format.Word("type", "text", "json_object", "json_schema"))
        {
            case "text":
                return null;
            case "json_object":
                return ChatResponseFormat.Json;
            case "json_schema":
                var named = format.Object("json_schema") ?? throw format.Wrong("json_schema", "is required");
                var schema = named.Object("schema") ?? throw named.Wrong("schema", "is required");
                return RequestObject.IsFinite(schema.Element)
                    ? ChatResponseFormat.ForJsonSchema(schema.Element.Clone(),
                        named.RequiredString("name", 1, 64), named.String("description", 0, 8_192))
                    : throw named.Wrong("schema", "has a number that is larger than a double can hold");
            default:
                throw format.Wrong("type", "is required");
        }
    }

    private static JsonElement Keep(RequestObject body)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, ApiJson.Writer))
        {
            writer.WriteStartObject();
            foreach (var name in Settings)
            {
                if (body.Take(name) is { } value)
                {
                    writer.WritePropertyName(name);
                    value.WriteTo(writer);
                }
            }

            writer.WriteEndObject();
        }

        return JsonElement.Parse(buffer.WrittenSpan);
    }

    [GeneratedRegex("^[a-zA-Z0-9_-]+$")]
    private static partial Regex FunctionName { get; }
}
