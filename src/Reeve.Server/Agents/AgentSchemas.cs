using System.Text.Json.Nodes;
using Reeve.Server.Http;
using Reeve.Server.Privacy;
using Reeve.Server.Tools;

namespace Reeve.Server.Agents;

/// <summary>Agents as the wire shows and takes them (wire-mesh 3.1).</summary>
internal static class AgentSchemas
{
    private const string ToolName = "^[a-z][a-z0-9_]{0,47}$";

    internal static readonly OpenApiSchemas All = new(
        ("Agent", Agent()),
        ("AgentCreate", Schema.Body(["name"], Input())),
        ("AgentChange", Schema.Change(["name"], Input())),
        ("AgentTool", Tool()),
        ("AgentToolInput", ToolInput()));

    private static JsonObject Agent() => Schema.Record(
        ("id", Schema.Id(Id.Agent)),
        ("version", Schema.Integer(1)),
        ("name", Schema.Text()),
        ("slug", Schema.Text()),
        ("description", Schema.Text()),
        ("instructions", Schema.Text()),
        ("model", Schema.Text().About("A router mode or the id of a model.")),
        ("privacy_class", Schema.Word(PrivacyClasses.Words)),
        ("temperature", Schema.Number().OrNull().About("Null: the provider's own.")),
        ("max_output_tokens", Schema.Integer()),
        ("tools", Schema.List(Schema.Ref("AgentTool"))),
        ("conversation_limit", Schema.Integer()),
        ("builtin_fallback", Schema.Flag()),
        ("midstream_fallback", Schema.Flag()),
        ("strict_citations", Schema.Flag()),
        ("limits", Schema.Record(
            ("max_steps", Schema.Integer()),
            ("max_tool_calls", Schema.Integer()),
            ("max_run_seconds", Schema.Integer()),
            ("max_credits_per_run", Schema.Number().OrNull()))),
        ("metadata", Schema.Free()),
        ("document_count", Schema.Integer()),
        ("created_at", Schema.Time()),
        ("updated_at", Schema.Time()));

    private static (string Name, JsonObject Schema)[] Input() =>
    [
        ("name", Schema.Text(1, 100)),
        ("slug", Schema.Text(1, AgentSlug.LengthMax, "^[a-z0-9][a-z0-9-]{0,62}$")
            .About("Made from the name when left out; unique in the account; not runs.")),
        ("description", Schema.Text(0, 1_000)),
        ("instructions", Schema.Text(0, 32_000)
            .About("May hold {{user.name}}, {{user.id}} and {{metadata.key}}, replaced in one pass.")),
        ("model", Schema.Text(1, 200).About("auto, cheapest, fast, best or the id of a model.")),
        ("builtin_fallback", Schema.Flag().About("When every permitted provider failed, the built-in model answers.")),
        ("midstream_fallback", Schema.Flag().About("False: a provider lost after the first text ends the run.")),
        ("strict_citations", Schema.Flag().About("An answer that no retrieved passage supports is output_invalid.")),
        ("privacy_class", Schema.Word(PrivacyClasses.Words)),
        ("temperature", Schema.Number(0, 2)),
        ("max_output_tokens", Schema.Integer(1, 128_000)),
        ("tools", Schema.List(Schema.Ref("AgentToolInput"), max: ToolDefinition.CountMax)),
        ("conversation_limit", Schema.Integer(1, 1_000_000)),
        ("limits", Schema.Body(
            [],
            ("max_steps", Schema.Integer(1, 200)),
            ("max_tool_calls", Schema.Integer(0, 1_000)),
            ("max_run_seconds", Schema.Integer(1, 7_200)),
            ("max_credits_per_run", Schema.Number(0.001m, AgentInput.CreditsMax)))),
        ("metadata", Schema.Metadata()),
    ];

    private static JsonObject Tool() => Schema.Record(
        ("name", Schema.Text()),
        ("type", Schema.Text()),
        ("actions", Schema.List(Schema.Record(("name", Schema.Text()))
            .Maybe("description", Schema.Text())
            .Maybe("parameters", Schema.Free())
            .Maybe("permission", Schema.Word("allow", "ask", "deny"))
            .Maybe("idempotent", Schema.Flag())).OrNull().About("Null: all actions of a built-in tool.")),
        ("approval", Schema.Word("never", "always")),
        ("idempotent", Schema.Flag()),
        ("config", Schema.Free()));

    private static JsonObject ToolInput() => Schema.Body(
        ["name", "type"],
        ("name", Schema.Text(pattern: ToolName)),
        ("type", Schema.Word("builtin", "http", "openapi", "mcp", "github", "webhook", "client", "agent")),
        ("actions", Schema.List(Schema.Body(
            ["name"],
            ("name", Schema.Text(pattern: ToolName)),
            ("description", Schema.Text(0, 1_000)),
            ("parameters", Schema.Free().About("A JSON Schema object.")),
            ("permission", Schema.Word("allow", "ask", "deny")),
            ("idempotent", Schema.Flag())), max: 64)),
        ("approval", Schema.Word("never", "always")),
        ("idempotent", Schema.Flag()),
        ("config", Schema.Free()));
}
