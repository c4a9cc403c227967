using System.Buffers;
using System.Text.Json;
using Reeve.Server.Http;
using Reeve.Server.Privacy;
using Reeve.Server.Tools;

namespace Reeve.Server.Agents;

/// <summary>
/// Reads the body of POST and PATCH: members given replace those of the current config, null brings the default back,
/// <c>limits</c> and <c>metadata</c> are merged by member.
/// </summary>
internal sealed class AgentInput(KnownModel knownModel, ToolCatalog catalog)
{
    private const int NameMax = 100;
    private const int DescriptionMax = 1_000;
    private const int InstructionsMax = 32_000;
    internal const decimal CreditsMax = 1_000_000_000;

    /// <summary>The config that results; its slug is empty when one has to be derived from the name.</summary>
    internal AgentConfig Read(JsonElement element, AgentConfig? current)
    {
        var body = new RequestObject(element);
        var old = current ?? AgentConfig.New;
        var none = AgentConfig.New;
        var config = new AgentConfig
        {
            Name = current is not null && !body.Has("name") ? old.Name : body.RequiredString("name", 1, NameMax),
            Slug = ReadSlug(body) ?? Kept(body, "slug", old.Slug, none.Slug),
            Description = body.String("description", 0, DescriptionMax)
                ?? Kept(body, "description", old.Description, none.Description),
            Instructions = body.String("instructions", 0, InstructionsMax)
                ?? Kept(body, "instructions", old.Instructions, none.Instructions),
            Model = ReadModel(body) ?? Kept(body, "model", old.Model, none.Model),
            BuiltinFallback = body.Boolean("builtin_fallback")
                ?? Kept(body, "builtin_fallback", old.BuiltinFallback, none.BuiltinFallback),
            MidstreamFallback = body.Boolean("midstream_fallback")
                ?? Kept(body, "midstream_fallback", old.MidstreamFallback, none.MidstreamFallback),
            StrictCitations = body.Boolean("strict_citations")
                ?? Kept(body, "strict_citations", old.StrictCitations, none.StrictCitations),
            PrivacyClass = body.Word("privacy_class", PrivacyClasses.Words) is { } word
                ? PrivacyClasses.Parse(word) : Kept(body, "privacy_class", old.PrivacyClass, none.PrivacyClass),
            Temperature = body.Number("temperature", 0, 2, decimals: 6)
                ?? Kept(body, "temperature", old.Temperature, none.Temperature),
            MaxOutputTokens = Integer(body, "max_output_tokens", 1, 128_000, old.MaxOutputTokens, none.MaxOutputTokens),
            Tools = ReadTools(body) ?? Kept(body, "tools", old.Tools, none.Tools),
            ConversationLimit = Integer(
                body, "conversation_limit", 1, 1_000_000, old.ConversationLimit, none.ConversationLimit),
            Limits = body.Object("limits") is { } limits
                ? ReadLimits(limits, old.Limits, none.Limits) : Kept(body, "limits", old.Limits, none.Limits),
            Metadata = ReadMetadata(body, current) ?? Kept(body, "metadata", old.Metadata, none.Metadata),
        };
        body.RejectUnknown();
        return config;
    }

    private static AgentLimits ReadLimits(RequestObject limits, AgentLimits old, AgentLimits none) => new()
    {
        MaxSteps = Integer(limits, "max_steps", 1, 200, old.MaxSteps, none.MaxSteps),
        MaxToolCalls = Integer(limits, "max_tool_calls", 0, 1_000, old.MaxToolCalls, none.MaxToolCalls),
        MaxRunSeconds = Integer(limits, "max_run_seconds", 1, 7_200, old.MaxRunSeconds, none.MaxRunSeconds),
        MaxCreditsPerRun = limits.Number("max_credits_per_run", 0.001m, CreditsMax, decimals: 3)
            ?? Kept(limits, "max_credits_per_run", old.MaxCreditsPerRun, none.MaxCreditsPerRun),
    };

    private static string? ReadSlug(RequestObject body)
    {
        var slug = body.String("slug", 1, AgentSlug.LengthMax);
        if (slug is not null && !AgentSlug.IsValid(slug))
        {
            throw body.Wrong("slug", "must begin with a-z or 0-9 and go on with a-z, 0-9 or -");
        }

        return slug == AgentSlug.Reserved ? throw body.Wrong("slug", $"must not be {AgentSlug.Reserved}") : slug;
    }

    private string? ReadModel(RequestObject body)
    {
        var model = body.String("model", 1, 200);
        return model is null || knownModel(model)
            ? model
            : throw body.Wrong("model", "must be auto, cheapest, fast, best or the id of a model of GET /v1/models");
    }

    private List<ToolDefinition>? ReadTools(RequestObject body)
    {
        if (body.Objects("tools", ToolDefinition.CountMax) is not { } items)
        {
            return null;
        }

        var names = new HashSet<string>(StringComparer.Ordinal);
        var tools = new List<ToolDefinition>(items.Count);
        foreach (var item in items)
        {
            var tool = ToolDefinition.Read(item);
            catalog.Check(tool, item);
            tools.Add(names.Add(tool.Name) ? tool : throw item.Wrong("name", "is the name of another tool too"));
        }

        return tools;
    }

    private static JsonElement? ReadMetadata(RequestObject body, AgentConfig? current)
    {
        var given = body.Metadata("metadata");
        return given is null || current is null ? given : MetadataMerge.Apply(body, current.Metadata, given.Value);
    }

    private static int Integer(RequestObject body, string name, int min, int max, int old, int none) =>
        (int?)body.Integer(name, min, max) ?? Kept(body, name, old, none);

    private static T Kept<T>(RequestObject body, string name, T old, T none) => body.Has(name) ? none : old;
}

/// <summary>Merging of free members: a member given replaces, null removes it.</summary>
internal static class MetadataMerge
{
    internal static JsonElement Apply(RequestObject body, JsonElement current, JsonElement change)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var writer = new Utf8JsonWriter(buffer, ApiJson.Writer))
        {
            writer.WriteStartObject();
            writer.WritePropertyName("metadata"u8);
            writer.WriteStartObject();
            var kept = current.EnumerateObject().Where(member => !change.TryGetProperty(member.Name, out _));
            var given = change.EnumerateObject().Where(member => member.Value.ValueKind != JsonValueKind.Null);
            foreach (var member in kept.Concat(given))
            {
                member.WriteTo(writer);
            }

            writer.WriteEndObject();
            writer.WriteEndObject();
        }

        // Read again as a body, so that the limits hold for the whole and not for the change alone.
        var merged = new RequestObject(JsonElement.Parse(buffer.WrittenSpan));
        return merged.Metadata("metadata") ?? throw body.Wrong("metadata", "must be an object");
    }
}
