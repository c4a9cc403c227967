using System.Text.Json;
using Microsoft.Extensions.AI;
using Reeve.Server.Http;
using Reeve.Server.Inference;

namespace Reeve.Server.Apis.OpenAI;

/// <summary>Reads the messages of a chat completion (OpenAI's API reference, "Create chat completion").</summary>
internal sealed class ChatMessageReader
{
    internal const int MessagesMax = 1_000;

    private const int MessageTokens = 4;
    private const int PartsMax = 1_000;
    private const int CallsMax = 128;

    /// <summary>What an image is taken for in the estimate: the most that the large vendors count for one.</summary>
    private const int ImageTokens = 1_600;

    private static readonly string[] ImageTypes = ["image/png", "image/jpeg", "image/gif", "image/webp"];

    private readonly List<ChatMessage> _messages = [];
    private readonly List<string> _unanswered = [];

    internal IReadOnlyList<ChatMessage> Messages => _messages;

    internal int Tokens { get; private set; }

    internal bool HasImages { get; private set; }

    internal bool HasImageUrls { get; private set; }

    internal void Read(RequestObject body)
    {
        if (body.Objects("messages", MessagesMax) is not { Count: > 0 } messages)
        {
            throw body.Wrong("messages", $"must have 1 to {MessagesMax} items");
        }

        if (!RequestObject.IsFinite(body.Element.GetProperty("messages")))
        {
            throw body.Wrong("messages", "has a number that is larger than a double can hold");
        }

        for (var i = 0; i < messages.Count; i++)
        {
            ReadMessage(messages[i]);
        }

        if (_unanswered.Count > 0)
        {
            throw body.Wrong("messages", $"must answer the tool call {_unanswered[0]} with a tool message");
        }
    }

    private void ReadMessage(RequestObject message)
    {
        Tokens += MessageTokens;
        var role = message.Word("role", "system", "developer", "user", "assistant", "tool")
            ?? throw message.Wrong("role", "is required");
        if (role == "tool")
        {
            ReadResult(message);
            return;
        }

        if (_unanswered.Count > 0)
        {
            throw message.Wrong("role", $"must be tool: the tool call {_unanswered[0]} has no answer yet");
        }

        switch (role)
        {
            case "user":
                Add(ChatRole.User, ReadContent(message, takesImages: true));
                break;
            case "assistant":
                ReadAssistant(message);
                break;
            default:
                Add(ChatRole.System, ReadContent(message, takesImages: false));
                break;
        }
    }

    private void ReadAssistant(RequestObject message)
    {
        var calls = message.Objects("tool_calls", CallsMax);
        var contents = message.Take("content") is null
            ? message.String("refusal", 0, int.MaxValue) is { } refusal ? [Text(refusal)] : []
            : ReadContent(message, takesImages: false);
        foreach (var call in calls ?? [])
        {
            contents.Add(ReadCall(call));
        }

        if (contents.Count == 0)
        {
            throw message.Wrong("content", "is required where there are no tool_calls");
        }

        Add(ChatRole.Assistant, contents);
    }

    private FunctionCallContent ReadCall(RequestObject call)
    {
        if (call.Word("type", "function") is null)
        {
            throw call.Wrong("type", "is required");
        }

        var id = call.RequiredString("id", 1, 256);
        if (_unanswered.Contains(id))
        {
            throw call.Wrong("id", "is there twice");
        }

        var function = call.Object("function") ?? throw call.Wrong("function", "is required");
        var name = function.RequiredString("name", 1, 256);
        var text = function.RequiredString("arguments", 0, int.MaxValue);
        Tokens += MessageTokens + TokenCounter.Estimate(text);
        _unanswered.Add(id);
        return new FunctionCallContent(id, name, ReadArguments(function, text));
    }

    private static Dictionary<string, object?> ReadArguments(RequestObject function, string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text.Length == 0 ? "{}" : text,
                new JsonDocumentOptions { MaxDepth = RequestBody.DepthMax, AllowDuplicateProperties = false });
            return document.RootElement.EnumerateObject()
                .ToDictionary(static member => member.Name, static member => (object?)member.Value.Clone());
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            throw function.Wrong("arguments", "must be a JSON object, as text");
        }
    }

    private void ReadResult(RequestObject message)
    {
        var id = message.RequiredString("tool_call_id", 1, 256);
        if (!_unanswered.Remove(id))
        {
            throw message.Wrong("tool_call_id", "must name a tool call of the assistant message before it");
        }

        var result = string.Concat(ReadContent(message, takesImages: false).Cast<TextContent>()
            .Select(static part => part.Text));
        var content = new FunctionResultContent(id, result);
        if (_messages is [.., { Role: var role } last] && role == ChatRole.Tool)
        {
            last.Contents.Add(content);
        }
        else
        {
            Add(ChatRole.Tool, [content]);
        }
    }

    private List<AIContent> ReadContent(RequestObject message, bool takesImages)
    {
        var content = message.Require("content");
        if (content.ValueKind == JsonValueKind.String)
        {
            return [Text(content.GetString()!)];
        }

        if (content.ValueKind != JsonValueKind.Array)
        {
            throw message.Wrong("content", "must be a string or an array of parts");
        }

        if (message.Objects("content", PartsMax) is not { Count: > 0 } parts)
        {
            throw message.Wrong("content", "must not be empty");
        }

        return [.. parts.Select(part => ReadPart(part, takesImages))];
    }

    private AIContent ReadPart(RequestObject part, bool takesImages)
    {
        switch (part.RequiredString("type", 1, 64))
        {
            case "text":
                return Text(part.RequiredString("text", 0, int.MaxValue));
            case "refusal":
                return Text(part.RequiredString("refusal", 0, int.MaxValue));
            case "image_url" when takesImages:
                return ReadImage(part.Object("image_url") ?? throw part.Wrong("image_url", "is required"));
            case "image_url":
                throw part.Wrong("type", "must be text: images are taken in user messages only");
            default:
                throw part.Wrong("type", "must be text or image_url");
        }
    }

    private AIContent ReadImage(RequestObject image)
    {
        var url = image.RequiredString("url", 1, int.MaxValue);
        HasImages = true;
        Tokens += ImageTokens;
        if (!url.StartsWith("data:", StringComparison.OrdinalIgnoreCase))
        {
            HasImageUrls = true;

            // Whoever makes the model fetches it; this server opens no address that a caller names here.
            return url.Length <= 8_192 && Uri.TryCreate(url, UriKind.Absolute, out var address)
                && address.Scheme is "http" or "https"
                ? new UriContent(address, "image/*")
                : throw image.Wrong("url", "must be an http or https address or a data: URL");
        }

        DataContent data;
        try
        {
            data = new DataContent(url);
        }
        catch (Exception error) when (error is ArgumentException or FormatException)
        {
            throw image.Wrong("url", "must be a well-formed data: URL in base64");
        }

        return ImageTypes.Contains(data.MediaType, StringComparer.OrdinalIgnoreCase) && data.Data.Length > 0
            ? data
            : throw image.Wrong("url", $"must hold an image of the type {string.Join(", ", ImageTypes)}");
    }

    private TextContent Text(string text)
    {
        Tokens += TokenCounter.Estimate(text);
        return new TextContent(text);
    }

    private void Add(ChatRole role, List<AIContent> contents) => _messages.Add(new ChatMessage(role, contents));
}
