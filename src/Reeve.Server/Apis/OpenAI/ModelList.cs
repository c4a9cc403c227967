using System.Text.Json;
using Reeve.Server.Accounts;
using Reeve.Server.Agents;
using Reeve.Server.Http;
using Reeve.Server.Inference;
using Reeve.Server.Privacy;
using Reeve.Server.Storage;

namespace Reeve.Server.Apis.OpenAI;

/// <summary>What a caller may name as a model (wire-mesh 4.3): router modes, models and the account's agents.</summary>
internal sealed class ModelList(
    ModelCatalog catalog, ProviderHealth health, Database database, AgentStore agents, CreditOptions credits)
{
    private const int AgentsMax = 10_000;
    private const string Owner = "reeve";

    private static readonly string[] Usual = ["temperature", "top_p", "max_tokens", "stop"];

    internal Task ListAsync(HttpContext context)
    {
        var type = new RequestQuery(context, "type").Word("type", "model", "agent");
        var tenant = context.Caller().Tenant;
        var found = type == "model" ? [] : database.Read(
            session => agents.List(session, tenant, null, AgentsMax, null));
        return ApiJson.WriteAsync(context, 200, ApiJson.Bytes((this, type, found), static (writer, it) =>
        {
            writer.WriteStartObject();
            writer.WriteString("object"u8, "list"u8);
            writer.WriteStartArray("data"u8);
            if (it.type != "agent")
            {
                it.Item1.WriteModels(writer);
            }

            foreach (var agent in it.found)
            {
                WriteAgent(writer, agent);
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }));
    }

    internal Task ShowAsync(HttpContext context, string id)
    {
        _ = new RequestQuery(context);
        var name = id.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase); // Routing leaves this one escaped.
        if (ModelCatalog.IsRouterMode(name))
        {
            return ApiJson.WriteAsync(context, 200, ApiJson.Bytes(name, WriteMode));
        }

        if (RoutesOf(name) is { Length: > 0 } routes)
        {
            return ApiJson.WriteAsync(context, 200, ApiJson.Bytes((this, routes, name), static (writer, it) =>
                it.Item1.WriteModel(writer, it.routes, it.Item1.TierOf(it.name))));
        }

        var tenant = context.Caller().Tenant;
        return AgentReference.TryParse(name, out var reference) && reference.Id is not null
            && database.Read(session => agents.Find(session, tenant, reference)) is { } agent
                ? ApiJson.WriteAsync(context, 200, ApiJson.Bytes(agent, WriteAgent))
                : throw ApiException.NotFound("model");
    }

    private CatalogModel[] RoutesOf(string name) => catalog.Routes(name) is { Length: > 0 } routes
        ? routes
        : catalog.EmbeddingRoutes(name);

    private string? TierOf(string name) => catalog.Tiers.ContainsKey(name) ? name : null;

    private void WriteModels(Utf8JsonWriter writer)
    {
        foreach (var mode in RouterModes.Words)
        {
            WriteMode(writer, mode);
        }

        foreach (var tier in catalog.Tiers.Keys.Order(StringComparer.Ordinal))
        {
            if (RoutesOf(tier) is { Length: > 0 } routes)
            {
                WriteModel(writer, routes, tier);
            }
        }

        foreach (var id in catalog.Entries.Concat<CatalogModel>(catalog.Embeddings)
            .Select(static entry => entry.Model.Id).Distinct(StringComparer.Ordinal))
        {
            WriteModel(writer, RoutesOf(id), null);
        }
    }

    /// <summary>A model, or the tier that stands for it.</summary>
    private void WriteModel(Utf8JsonWriter writer, CatalogModel[] routes, string? tier)
    {
        var model = routes[0].Model;
        writer.WriteStartObject();
        WriteHead(writer, tier ?? model.Id, model.CreatedAt, model.IsBuiltIn ? Owner : model.Provider,
            tier is null ? "model" : "tier", model.Id);
        writer.WriteNumber("context_length"u8, model.ContextTokens);
        if (model.MakesEmbeddings)
        {
            writer.WriteNull("max_output_tokens"u8);
        }
        else
        {
            writer.WriteNumber("max_output_tokens"u8, model.OutputTokensMax);
        }

        writer.WriteStartObject("modalities"u8);
        WriteWords(writer, "input"u8, model.Capabilities.Contains(Capabilities.Vision) ? ["text", "image"] : ["text"]);
        WriteWords(writer, "output"u8, [model.MakesEmbeddings ? "embedding" : "text"]);
        writer.WriteEndObject();
        WriteWords(writer, "capabilities"u8,
            Capabilities.Words.Concat(Capabilities.EmbeddingWords).Where(model.Capabilities.Contains));
        WriteWords(writer, "supported_parameters"u8,
        [
            .. model.MakesEmbeddings ? (string[])["encoding_format"] : Usual,
            .. model.Capabilities.Contains(Capabilities.Dimensions) ? (string[])["dimensions"] : [],
            .. model.Capabilities.Contains(Capabilities.Tools) ? (string[])["tools", "tool_choice"] : [],
            .. model.Capabilities.Contains(Capabilities.StructuredOutput) ? (string[])["response_format"] : [],
        ]);
        writer.WriteStartObject("pricing"u8);
        writer.WriteNumber("input_usd_per_million"u8, Paid(model.InputUsdPerMillion));
        writer.WriteNumber("output_usd_per_million"u8, Paid(model.OutputUsdPerMillion));
        writer.WriteEndObject();
        WriteWords(writer, "privacy_classes"u8, Enum.GetValues<PrivacyClass>()
            .Where(one => routes.Any(route => PrivacyGate.Permits(one, route.Privacy)))
            .Select(PrivacyClasses.Word));
        writer.WriteBoolean("built_in"u8, model.IsBuiltIn);
        writer.WriteBoolean("available"u8, model.IsBuiltIn || routes.Any(route => health.Of(route.Model.Provider)
            .Look().Standing is not (ProviderStanding.Open or ProviderStanding.Disabled)));
        writer.WriteEndObject();
    }

    /// <summary>What the account pays, the operator's margin included (and not shown).</summary>
    private decimal Paid(decimal price) => price * (1 + credits.MarginRate) / 1.0000000000000000000000000000m;

    private static void WriteMode(Utf8JsonWriter writer, string mode)
    {
        writer.WriteStartObject();
        WriteHead(writer, mode, DateTimeOffset.UnixEpoch, Owner, "router", mode);
        WriteUnknown(writer, builtIn: true);
        writer.WriteEndObject();
    }

    private static void WriteAgent(Utf8JsonWriter writer, Agent agent)
    {
        writer.WriteStartObject();
        WriteHead(writer, agent.Id, agent.CreatedAt, Owner, "agent", agent.Version.Config.Name);
        WriteUnknown(writer, builtIn: false);
        writer.WriteEndObject();
    }

    private static void WriteHead(
        Utf8JsonWriter writer, string id, DateTimeOffset created, string owner, string kind, string name)
    {
        writer.WriteString("id"u8, id);
        writer.WriteString("object"u8, "model"u8);
        writer.WriteNumber("created"u8, created.ToUnixTimeSeconds());
        writer.WriteString("owned_by"u8, owner);
        writer.WriteString("kind"u8, kind);
        writer.WriteString("name"u8, name);
    }

    /// <summary>What depends on the model that will be chosen.</summary>
    private static void WriteUnknown(Utf8JsonWriter writer, bool builtIn)
    {
        writer.WriteNull("context_length"u8);
        writer.WriteNull("max_output_tokens"u8);
        writer.WriteStartObject("modalities"u8);
        WriteWords(writer, "input"u8, ["text", "image"]);
        WriteWords(writer, "output"u8, ["text"]);
        writer.WriteEndObject();
        WriteWords(writer, "capabilities"u8, [Capabilities.Chat, Capabilities.Streaming]);
        WriteWords(writer, "supported_parameters"u8, [.. Usual, "tools", "tool_choice", "response_format"]);
        writer.WriteNull("pricing"u8);
        WriteWords(writer, "privacy_classes"u8, PrivacyClasses.Words);
        writer.WriteBoolean("built_in"u8, builtIn);
        writer.WriteBoolean("available"u8, true);
    }

    private static void WriteWords(Utf8JsonWriter writer, ReadOnlySpan<byte> name, IEnumerable<string> words)
    {
        writer.WriteStartArray(name);
        foreach (var word in words)
        {
            writer.WriteStringValue(word);
        }

        writer.WriteEndArray();
    }
}
