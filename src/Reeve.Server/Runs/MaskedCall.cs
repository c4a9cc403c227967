using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;
using Reeve.Server.Http;
using Reeve.Server.Inference;
using Reeve.Server.Privacy;

namespace Reeve.Server.Runs;

/// <summary>
/// A model call of the class <c>protected</c>: what is sent has placeholders for personal data, and what comes back has
/// the data again. Whatever part of a request is not known here is not sent: it fails closed.
/// </summary>
internal sealed class MaskedCall
{
    private readonly Masker _masker;
    private readonly Restorer _restorer;
    private HashSet<string> _functions = [];

    private MaskedCall(Masker masker, bool isJson)
    {
        _masker = masker;
        _restorer = new Restorer(masker.Originals, isJson);
    }

    /// <summary>Null where nothing has to be masked: a looser class, or a model that the operator runs.</summary>
    internal static MaskedCall? For(LiveRun run, RunContext context, PlannedCall plan, PersonalData personal) =>
        PrivacyGate.MustMask(plan.PrivacyClass, plan.Route.Privacy)
            ? new MaskedCall(new Masker(personal, Names(run.State.Admitted.User)),
                context.OutputSchema is not null || context.Chat?.Format is ChatResponseFormatJson)
            : null;

    internal (IReadOnlyList<ChatMessage> Messages, ChatOptions Options) Mask(Prompt prompt, ChatOptions options)
    {
        _functions = [.. (options.Tools ?? []).Select(static tool => tool.Name)];
        var messages = prompt.Messages
            .Select(message => new ChatMessage(message.Role, [.. Joined(message.Contents).Select(Mask)]))
            .ToList();
        var masked = options.Clone();
        masked.Tools = options.Tools is { } tools ? [.. tools.Select(Mask)] : null;
        masked.StopSequences = options.StopSequences is { } stops ? [.. stops.Select(_masker.Mask)] : null;
        masked.ResponseFormat = options.ResponseFormat is ChatResponseFormatJson { Schema: { } schema } json
            ? ChatResponseFormat.ForJsonSchema(
                _masker.MaskSchema(schema), json.SchemaName is { } name ? Id(name) : null,
                json.SchemaDescription is { } description ? _masker.Mask(description) : null)
            : options.ResponseFormat;
        return (messages, masked);
    }

    internal string Restore(string text) => _restorer.Push(text);

    internal string RestoreRest() => _restorer.Flush();

    /// <summary>A text that is whole, and no part of what the model says.</summary>
    internal string RestoreWhole(string text) => _masker.Restore(text);

    internal JsonElement Restore(JsonElement arguments) => _masker.Restore(arguments);

    /// <summary>Texts that follow one another arrive as one: what lies across their border is found too.</summary>
    private static IEnumerable<AIContent> Joined(IEnumerable<AIContent> contents)
    {
        StringBuilder? text = null;
        foreach (var content in contents)
        {
            if (content is TextContent piece)
            {
                (text ??= new StringBuilder()).Append(piece.Text);
                continue;
            }

            if (text is not null)
            {
                yield return new TextContent(text.ToString());
                text = null;
            }

            yield return content;
        }

        if (text is not null)
        {
            yield return new TextContent(text.ToString());
        }
    }

    private AIContent Mask(AIContent content) => content switch
    {
        TextContent text => new TextContent(_masker.Mask(text.Text)),
        SourceContent source => new SourceContent(source.ChunkId, _masker.Mask(source.DocumentName),
            [.. source.Headings.Select(_masker.Mask)], _masker.Mask(source.Text))
        {
            Position = source.Position,
        },
        FunctionCallContent call => new FunctionCallContent(
            Id(call.CallId), Function(call.Name), call.Arguments?.ToDictionary(
                pair => _masker.Mask(pair.Key),
                pair => (object?)(pair.Value is JsonElement value ? _masker.Mask(value) : Text(pair.Value)))),
        FunctionResultContent result => new FunctionResultContent(
            Id(result.CallId), result.Result is JsonElement value ? _masker.Mask(value) : Text(result.Result)),
        _ => throw new ApiException(ApiErrorCodes.NoPermittedRoute,
            "The privacy class protected masks personal data, which cannot be done in an image."),
    };

    private AIFunctionDeclaration Mask(AITool tool) => tool is AIFunctionDeclaration function
        ? AIFunctionFactory.CreateDeclaration(
            function.Name, _masker.Mask(function.Description), _masker.MaskSchema(function.JsonSchema))
        : throw new NotSupportedException($"A tool of type {tool.GetType().Name} cannot be masked.");

    // Providers take letters, digits, _ and - in ids and names.
    private string Id(string id) => _masker.Mask(id) is var masked && masked == id ? id
        : masked.Replace("[", "", StringComparison.Ordinal).Replace("]", "", StringComparison.Ordinal);

    /// <summary>The name of a function that is offered is the model's to say; any other is the caller's text.</summary>
    private string Function(string name) => _functions.Contains(name) ? name : Id(name);

    private string? Text(object? value) => value?.ToString() is { } text ? _masker.Mask(text) : null;

    /// <summary>What the caller said of the user under a name.</summary>
    private static IEnumerable<string> Names(JsonElement? user)
    {
        if (user is not { ValueKind: JsonValueKind.Object } of)
        {
            yield break;
        }

        if (of.TryGetProperty("name", out var name) && name.ValueKind == JsonValueKind.String)
        {
            yield return name.GetString()!;
        }

        if (of.TryGetProperty("metadata", out var metadata) && metadata.ValueKind == JsonValueKind.Object)
        {
            foreach (var member in metadata.EnumerateObject().Where(static one =>
                one.Value.ValueKind == JsonValueKind.String
                && one.Name.EndsWith("name", StringComparison.OrdinalIgnoreCase)))
            {
                yield return member.Value.GetString()!;
            }
        }
    }
}
