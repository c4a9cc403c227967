using System.Text.Json;
using System.Text.RegularExpressions;
using Reeve.Server.Http;

namespace Reeve.Server.Tools;

/// <summary>One action that an agent's tool lists; members left out are null.</summary>
internal sealed record ToolActionChoice
{
    internal required string Name { get; init; }

    internal string? Description { get; init; }

    /// <summary>A JSON Schema object.</summary>
    internal JsonElement? Parameters { get; init; }

    /// <summary><c>allow</c>, <c>ask</c> or <c>deny</c>; null: the tool's approval decides.</summary>
    internal string? Permission { get; init; }

    internal bool? Idempotent { get; init; }
}

/// <summary>A tool as an agent's version holds it (wire-mesh 3.1).</summary>
internal sealed partial record ToolDefinition
{
    internal const int CountMax = 64;
    private const int ActionsMax = 64;
    private const int DescriptionMax = 1_000;
    private const int ConfigBytesMax = 16 * 1024;

    internal required string Name { get; init; }

    internal required string Type { get; init; }

    /// <summary>Null: all actions of a built-in tool, none of another type.</summary>
    internal IReadOnlyList<ToolActionChoice>? Actions { get; init; }

    /// <summary><c>never</c> or <c>always</c>.</summary>
    internal string Approval { get; init; } = "never";

    internal bool Idempotent { get; init; }

    internal JsonElement Config { get; init; } = JsonElement.Parse("{}");

    /// <summary>Reads a tool of a request body; what its type allows is the catalogue's to say.</summary>
    internal static ToolDefinition Read(RequestObject tool)
    {
        var config = tool.Take("config");
        if (config is { ValueKind: not JsonValueKind.Object })
        {
            throw tool.Wrong("config", "must be an object");
        }

        if (config is { } given && given.GetRawText().Length > ConfigBytesMax)
        {
            throw tool.Wrong("config", "must be at most 16 KiB of JSON");
        }

        return new ToolDefinition
        {
            Name = ReadName(tool),
            Type = tool.Word("type", "builtin", "http", "openapi", "mcp", "github", "webhook", "client", "agent")
                ?? throw tool.Wrong("type", "is required"),
            Actions = tool.Objects("actions", ActionsMax)?.Select(ReadAction).ToList(),
            Approval = tool.Word("approval", "never", "always") ?? "never",
            Idempotent = tool.Boolean("idempotent") ?? false,
            Config = config?.Clone() ?? JsonElement.Parse("{}"),
        };
    }

    internal void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("name"u8, Name);
        writer.WriteString("type"u8, Type);
        if (Actions is null)
        {
            writer.WriteNull("actions"u8);
        }
        else
        {
            writer.WriteStartArray("actions"u8);
            foreach (var action in Actions)
            {
                WriteAction(writer, action);
            }

            writer.WriteEndArray();
        }

        writer.WriteString("approval"u8, Approval);
        writer.WriteBoolean("idempotent"u8, Idempotent);
        writer.WritePropertyName("config"u8);
        Config.WriteTo(writer);
        writer.WriteEndObject();
    }

    private static ToolActionChoice ReadAction(RequestObject action)
    {
        var parameters = action.Take("parameters");
        if (parameters is { ValueKind: not JsonValueKind.Object })
        {
            throw action.Wrong("parameters", "must be a JSON Schema object");
        }

        return new ToolActionChoice
        {
            Name = ReadName(action),
            Description = action.String("description", 0, DescriptionMax),
            Parameters = parameters?.Clone(),
            Permission = action.Word("permission", "allow", "ask", "deny"),
            Idempotent = action.Boolean("idempotent"),
        };
    }

    private static string ReadName(RequestObject item)
    {
        var name = item.RequiredString("name", 1, 48);
        return NamePattern().IsMatch(name)
            ? name
            : throw item.Wrong("name", "must begin with a-z and go on with a-z, 0-9 or _");
    }

    // Members that were left out stay out, so that a definition that is read and sent back says the same.
    private static void WriteAction(Utf8JsonWriter writer, ToolActionChoice action)
    {
        writer.WriteStartObject();
        writer.WriteString("name"u8, action.Name);
        if (action.Description is { } description)
        {
            writer.WriteString("description"u8, description);
        }

        if (action.Parameters is { } parameters)
        {
            writer.WritePropertyName("parameters"u8);
            parameters.WriteTo(writer);
        }

        if (action.Permission is { } permission)
        {
            writer.WriteString("permission"u8, permission);
        }

        if (action.Idempotent is { } idempotent)
        {
            writer.WriteBoolean("idempotent"u8, idempotent);
        }

        writer.WriteEndObject();
    }

    [GeneratedRegex(@"^[a-z][a-z0-9_]{0,47}\z")]
    private static partial Regex NamePattern();
}
