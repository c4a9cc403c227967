using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;
using Reeve.Server.Http;

namespace Reeve.Server.Tools;

/// <summary>An action of a tool as a function that the model may call.</summary>
internal sealed record ToolFunction
{
    internal required string Name { get; init; }

    /// <summary>The agent's name of the tool and the action: what events and answers show.</summary>
    internal required string Tool { get; init; }

    internal required string Action { get; init; }

    internal required bool Idempotent { get; init; }

    internal required IBuiltinTool Builtin { get; init; }

    /// <summary>What goes into a model request.</summary>
    internal required AIFunctionDeclaration Declaration { get; init; }
}

/// <summary>The functions that a run offers to its model, and the way back from a function's name.</summary>
internal sealed class ToolSet(IReadOnlyList<ToolFunction> functions)
{
    internal static readonly ToolSet Empty = new([]);

    private readonly Dictionary<string, ToolFunction> _byName =
        functions.ToDictionary(function => function.Name, StringComparer.Ordinal);

    internal IReadOnlyList<ToolFunction> Functions => functions;

    /// <summary>The function that a model named; null: it made the name up.</summary>
    internal ToolFunction? Find(string name) => _byName.GetValueOrDefault(name);
}

/// <summary>Knows which tools there are, checks what an agent asks for, and turns it into functions.</summary>
internal sealed class ToolCatalog(IEnumerable<IBuiltinTool> builtins)
{
    internal const string Knowledge = "knowledge";
    private const string BuiltinType = "builtin";
    private const int FunctionNameMax = 64;

    private readonly Dictionary<string, IBuiltinTool> _builtins =
        builtins.ToDictionary(tool => tool.Name, StringComparer.Ordinal);

    // A version's tools never change and the list lives as long as the version is cached.
    private readonly ConditionalWeakTable<IReadOnlyList<ToolDefinition>, Offers> _offers = [];

    /// <summary>
    /// The functions of an agent's tools. <c>knowledge</c> joins by itself when the agent has ready documents, unless
    /// the agent lists it and thereby says what of it is offered.
    /// </summary>
    internal ToolSet Offer(IReadOnlyList<ToolDefinition> tools, bool hasReadyDocuments)
    {
        var offers = _offers.GetValue(tools, static _ => new Offers());
        return hasReadyDocuments
            ? offers.WithKnowledge ??= Build(tools, withKnowledge: true)
            : offers.Listed ??= Build(tools, withKnowledge: false);
    }

    /// <summary>Refuses what cannot be offered, naming the member of the body.</summary>
    internal void Check(ToolDefinition tool, RequestObject body)
    {
        if (tool.Type != BuiltinType)
        {
            throw body.Wrong(
                "type", $"must be {BuiltinType}: tools of type {tool.Type} are not available on this server");
        }

        if (!_builtins.TryGetValue(tool.Name, out var builtin))
        {
            throw body.Wrong("name",
                $"must name a built-in tool ({string.Join(", ", _builtins.Keys.Order(StringComparer.Ordinal))})");
        }

        if (tool.Approval == "always")
        {
            throw body.Wrong("approval", "must be never: approvals are not available on this server");
        }

        if (tool.Config.EnumerateObject().FirstOrDefault() is { Value.ValueKind: not JsonValueKind.Undefined } setting)
        {
            throw body.Wrong($"config.{setting.Name}", "is not a known field here: built-in tools have no settings");
        }

        CheckActions(tool, builtin, body);
    }

    /// <summary><c>tool-action</c>: names never hold a dash. Over the providers' limit it is cut and hashed.</summary>
    internal static string FunctionName(string tool, string action)
    {
        var name = $"{tool}-{action}";
        if (name.Length <= FunctionNameMax)
        {
            return name;
        }

        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(name)).AsSpan(0, 8));
        return $"{name[..(FunctionNameMax - 2 - hash.Length)]}--{hash}";
    }

    private static void CheckActions(ToolDefinition tool, IBuiltinTool builtin, RequestObject body)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < tool.Actions?.Count; i++)
        {
            var action = tool.Actions[i];
            if (builtin.Actions.All(known => known.Name != action.Name))
            {
                throw body.Wrong($"actions[{i}].name", $"must name an action of {tool.Name} "
                    + $"({string.Join(", ", builtin.Actions.Select(known => known.Name))})");
            }

            if (!seen.Add(action.Name))
            {
                throw body.Wrong($"actions[{i}].name", "is listed twice");
            }

            if (action.Parameters is not null)
            {
                throw body.Wrong($"actions[{i}].parameters", "cannot be given for a built-in tool");
            }

            if (action.Permission == "ask")
            {
                throw body.Wrong($"actions[{i}].permission",
                    "must be allow or deny: approvals are not available on this server");
            }
        }
    }

    private ToolSet Build(IReadOnlyList<ToolDefinition> tools, bool withKnowledge)
    {
        var functions = new List<ToolFunction>();
        foreach (var tool in tools)
        {
            // A tool that this server no longer has is left out: an old version still runs, without it.
            if (tool.Type == BuiltinType && _builtins.TryGetValue(tool.Name, out var builtin))
            {
                functions.AddRange(Functions(tool, builtin));
            }
        }

        if (withKnowledge && tools.All(tool => tool.Name != Knowledge)
            && _builtins.TryGetValue(Knowledge, out var knowledge))
        {
            functions.AddRange(Functions(new ToolDefinition { Name = Knowledge, Type = BuiltinType }, knowledge));
        }

        return functions.Count == 0 ? ToolSet.Empty : new ToolSet(functions);
    }

    private static IEnumerable<ToolFunction> Functions(ToolDefinition tool, IBuiltinTool builtin)
    {
        foreach (var action in builtin.Actions)
        {
            var choice = tool.Actions?.FirstOrDefault(listed => listed.Name == action.Name);
            if ((tool.Actions is not null && choice is null) || choice?.Permission == "deny")
            {
                continue;
            }

            var name = FunctionName(tool.Name, action.Name);
            yield return new ToolFunction
            {
                Name = name,
                Tool = tool.Name,
                Action = action.Name,
                Idempotent = action.IsIdempotent,
                Builtin = builtin,
                Declaration = AIFunctionFactory.CreateDeclaration(
                    name, choice?.Description ?? action.Description, action.Parameters),
            };
        }
    }

    private sealed class Offers
    {
        internal ToolSet? Listed { get; set; }

        internal ToolSet? WithKnowledge { get; set; }
    }
}
