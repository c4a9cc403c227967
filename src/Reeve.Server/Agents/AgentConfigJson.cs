using System.Buffers;
using System.Text;
using System.Text.Json;
using Reeve.Server.Http;
using Reeve.Server.Privacy;
using Reeve.Server.Tools;

namespace Reeve.Server.Agents;

/// <summary>
/// A config as JSON: the members of the wire, which are also what a version's row holds. Reading fills members that an
/// older row lacks with their defaults.
/// </summary>
internal static class AgentConfigJson
{
    internal static string Serialize(AgentConfig config)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var writer = new Utf8JsonWriter(buffer, ApiJson.Writer))
        {
            writer.WriteStartObject();
            WriteMembers(writer, config);
            writer.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    internal static void WriteMembers(Utf8JsonWriter writer, AgentConfig config)
    {
        writer.WriteString("name"u8, config.Name);
        writer.WriteString("slug"u8, config.Slug);
        writer.WriteString("description"u8, config.Description);
        writer.WriteString("instructions"u8, config.Instructions);
        writer.WriteString("model"u8, config.Model);
        writer.WriteString("privacy_class"u8, config.PrivacyClass.Word());
        WriteNumber(writer, "temperature"u8, config.Temperature);
        writer.WriteNumber("max_output_tokens"u8, config.MaxOutputTokens);
        writer.WriteStartArray("tools"u8);
        foreach (var tool in config.Tools)
        {
            tool.Write(writer);
        }

        writer.WriteEndArray();
        writer.WriteNumber("conversation_limit"u8, config.ConversationLimit);
        writer.WriteBoolean("builtin_fallback"u8, config.BuiltinFallback);
        writer.WriteBoolean("midstream_fallback"u8, config.MidstreamFallback);
        writer.WriteBoolean("strict_citations"u8, config.StrictCitations);
        writer.WriteStartObject("limits"u8);
        writer.WriteNumber("max_steps"u8, config.Limits.MaxSteps);
        writer.WriteNumber("max_tool_calls"u8, config.Limits.MaxToolCalls);
        writer.WriteNumber("max_run_seconds"u8, config.Limits.MaxRunSeconds);
        WriteNumber(writer, "max_credits_per_run"u8, config.Limits.MaxCreditsPerRun);
        writer.WriteEndObject();
        writer.WritePropertyName("metadata"u8);
        config.Metadata.WriteTo(writer);
    }

    internal static AgentConfig Deserialize(string json)
    {
        using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = RequestBody.DepthMax + 8 });
        var stored = new RequestObject(document.RootElement);
        var none = AgentConfig.New;
        return new AgentConfig
        {
            Name = stored.RequiredString("name", 0, int.MaxValue),
            Slug = stored.RequiredString("slug", 0, int.MaxValue),
            Description = stored.String("description", 0, int.MaxValue) ?? none.Description,
            Instructions = stored.String("instructions", 0, int.MaxValue) ?? none.Instructions,
            Model = stored.String("model", 0, int.MaxValue) ?? none.Model,
            BuiltinFallback = stored.Boolean("builtin_fallback") ?? none.BuiltinFallback,
            MidstreamFallback = stored.Boolean("midstream_fallback") ?? none.MidstreamFallback,
            StrictCitations = stored.Boolean("strict_citations") ?? none.StrictCitations,
            PrivacyClass = stored.Word("privacy_class", PrivacyClasses.Words) is { } word
                ? PrivacyClasses.Parse(word) : none.PrivacyClass,
            Temperature = Decimal(stored, "temperature"),
            MaxOutputTokens = Integer(stored, "max_output_tokens") ?? none.MaxOutputTokens,
            Tools = stored.Objects("tools", int.MaxValue)?.Select(ToolDefinition.Read).ToList() ?? none.Tools,
            ConversationLimit = Integer(stored, "conversation_limit") ?? none.ConversationLimit,
            Limits = stored.Object("limits") is { } limits ? ReadLimits(limits) : none.Limits,
            Metadata = stored.Take("metadata")?.Clone() ?? none.Metadata,
        };
    }

    private static AgentLimits ReadLimits(RequestObject limits)
    {
        var none = AgentConfig.New.Limits;
        return new AgentLimits
        {
            MaxSteps = Integer(limits, "max_steps") ?? none.MaxSteps,
            MaxToolCalls = Integer(limits, "max_tool_calls") ?? none.MaxToolCalls,
            MaxRunSeconds = Integer(limits, "max_run_seconds") ?? none.MaxRunSeconds,
            MaxCreditsPerRun = Decimal(limits, "max_credits_per_run"),
        };
    }

    private static int? Integer(RequestObject stored, string name) => (int?)stored.Integer(name, 0, int.MaxValue);

    private static decimal? Decimal(RequestObject stored, string name) =>
        stored.Number(name, 0, decimal.MaxValue, decimals: 28);

    private static void WriteNumber(Utf8JsonWriter writer, ReadOnlySpan<byte> name, decimal? value)
    {
        if (value is { } number)
        {
            writer.WriteNumber(name, number);
        }
        else
        {
            writer.WriteNull(name);
        }
    }
}
