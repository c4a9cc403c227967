using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using CsCheck;
using Reeve.Server;

namespace Reeve.Reliability.Fuzz.ApiFuzz;

/// <summary>A run with all that it hangs on.</summary>
internal sealed record ApiChain(string Agent, string Conversation, string Run);

/// <summary>
/// What answers named so far: ids of every kind that can be asked for again, and those that were deleted. The account
/// and the keys that everything is sent with are no targets: without them nothing would be left to send.
/// </summary>
internal sealed partial class ApiIds
{
    private const int KeptMax = 100;

    /// <summary>Nobody's, of each kind.</summary>
    private const string Nobodys = "06F7557C5CM18FNXB2V5D4V72R";

    private readonly Dictionary<string, List<string>> _byKind = new(StringComparer.Ordinal);
    private readonly List<ApiChain> _chains = [];
    private readonly HashSet<string> _protected = new(StringComparer.Ordinal);
    private readonly HashSet<string> _dead = new(StringComparer.Ordinal);

    /// <summary>Whose requests are being made; a hint takes its chance from the caller's generator.</summary>
    internal ApiChain? Chain { get; private set; }

    internal int Known => _byKind.Values.Sum(static one => one.Count);

    internal void Protect(params ReadOnlySpan<string> ids)
    {
        foreach (var id in ids)
        {
            _protected.Add(id);
        }
    }

    internal bool IsProtected(string id) => _protected.Contains(id);

    /// <summary>Takes up a chain for the next request, or none.</summary>
    internal void Turn(PCG pcg) => Chain = _chains.Count == 0 || pcg.Next(5) == 0
        ? null
        : _chains[(int)pcg.Next((uint)_chains.Count)];

    internal string Pick(PCG pcg, string kind)
    {
        var linked = kind switch
        {
            Id.Agent => Chain?.Agent,
            Id.Conversation => Chain?.Conversation,
            Id.Run => Chain?.Run,
            _ => null,
        };
        return linked is not null && pcg.Next(8) > 0 ? linked
            : _byKind.TryGetValue(kind, out var known) && known.Count > 0
                ? known[(int)pcg.Next((uint)known.Count)]
                : $"{kind}_{Nobodys}";
    }

    internal string? PickDead(PCG pcg, string kind)
    {
        var dead = _dead.Where(id => id.StartsWith(kind + "_", StringComparison.Ordinal)).ToList();
        return dead.Count == 0 ? null : dead[(int)pcg.Next((uint)dead.Count)];
    }

    /// <summary>Learns every id that stands in an answer.</summary>
    internal void Learn(JsonElement answer)
    {
        Walk(answer);
        switch (answer.ValueKind)
        {
            case JsonValueKind.Object:
                if (Text(answer, "agent_id") is { } agent && Text(answer, "conversation_id") is { } conversation
                    && Text(answer, "run_id") is { } run
                    && !_dead.Contains(agent) && !_dead.Contains(conversation))
                {
                    Keep(_chains, new ApiChain(agent, conversation, run));
                }

                foreach (var member in answer.EnumerateObject())
                {
                    Learn(member.Value);
                }

                break;
            case JsonValueKind.Array:
                foreach (var item in answer.EnumerateArray())
                {
                    Learn(item);
                }

                break;
            default:
                break;
        }
    }

    internal void Bury(string id)
    {
        _dead.Add(id);
        foreach (var known in _byKind.Values)
        {
            known.Remove(id);
        }

        _chains.RemoveAll(chain => chain.Agent == id || chain.Conversation == id);
        if (Chain is not null && (Chain.Agent == id || Chain.Conversation == id))
        {
            Chain = null;
        }
    }

    /// <summary>What a member or parameter of this name should hold so that a good request can succeed.</summary>
    internal Gen<JsonNode?>? Hint(string name, JsonElement schema) => name switch
    {
        "agent" or "agent_id" => Named(Id.Agent),
        "conversation_id" or "task_id" => Named(Id.Conversation),
        "message_id" => Named(Id.Message),
        "run_id" => Named(Id.Run),
        "model" when schema.GetRawText().Contains("mesh/embed", StringComparison.Ordinal) =>
            Gen.OneOf("mesh/house-e", "mesh/embed", "mesh/house-1").Select(static text => (JsonNode?)text),
        "model" => Gen.OneOf("auto", "cheapest", "fast", "best", "mesh/house-1", "reeve/quote")
            .Select(static text => (JsonNode?)text),
        "type" when schema.TryGetProperty("enum", out _) is false => null,
        "from" or "created_after" => Gen.OneOf("2026-11-20", "2026-11-20T09:15:03Z")
            .Select(static text => (JsonNode?)text),
        "to" or "created_before" => Gen.OneOf("2026-11-26", "2026-11-26T09:15:03.5Z")
            .Select(static text => (JsonNode?)text),
        "url" => Gen.OneOf("https://hooks.invalid/in", "https://a.b.invalid:8443/?a=b")
            .Select(static text => (JsonNode?)text),
        "expires_at" => Gen.OneOf("2031-01-01T00:00:00Z", "2042-11-26T09:15:03.530Z")
            .Select(static text => (JsonNode?)text),
        "allowed_origins" => Gen.Const(0).Select(_ => Fixed(name)),
        "tools" => Gen.Const(0).Select(_ => Fixed(
            schema.GetRawText().Contains("\"properties\"", StringComparison.Ordinal)
            || schema.GetRawText().Contains("$ref", StringComparison.Ordinal) ? "tools" : "functions")),
        "messages" or "models" or "response_format" or "tool_choice" or "stop" =>
            Gen.Const(0).Select(_ => Fixed(name)),

        // A provider that is switched off would answer nothing more.
        "enabled" => Gen.Const(0).Select(static _ => (JsonNode?)true),
        "output_schema" => Gen.Const(0).Select(static _ => JsonNode.Parse("""{"type":["string","object"]}""")),
        _ => null,
    };

    private static JsonNode? Fixed(string name) => JsonNode.Parse(name switch
    {
        "tools" => """[{"name":"time","type":"builtin"}]""",
        "functions" => """[{"type":"function","function":{"name":"look","parameters":{"type":"object"}}}]""",
        "messages" => """[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}]""",
        "models" => """["reeve/quote","mesh/house-1"]""",
        "response_format" => """{"type":"text"}""",
        "tool_choice" => "\"auto\"",
        "stop" => """["END"]""",
        _ => """["https://a.example"]""",
    });

    private Picked Named(string kind) => new(this, kind);

    private void Walk(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.String || !IdText().IsMatch(value.GetString()!))
        {
            return;
        }

        var id = Canonical(value.GetString()!);
        if (_protected.Contains(id) || _dead.Contains(id))
        {
            return;
        }

        var kind = id[..id.IndexOf('_', StringComparison.Ordinal)];
        if (!_byKind.TryGetValue(kind, out var known))
        {
            _byKind[kind] = known = [];
        }

        if (!known.Contains(id))
        {
            Keep(known, id);
        }
    }

    private static void Keep<T>(List<T> list, T one)
    {
        if (list.Count == KeptMax)
        {
            list.RemoveAt(0);
        }

        list.Add(one);
    }

    private static string? Text(JsonElement value, string name) =>
        value.TryGetProperty(name, out var member) && member.ValueKind == JsonValueKind.String
            ? member.GetString()
            : null;

    private static string Canonical(string id) =>
        id.StartsWith("task_", StringComparison.Ordinal) ? Id.WithPrefix(Id.Conversation, id)
        : id.StartsWith("agent_", StringComparison.Ordinal) ? Id.WithPrefix(Id.Agent, id) : id;

    [GeneratedRegex("^(agt|agent|conv|task|run|doc|key|rcpt|acct|msg|evt|chk|req|whk)_[0-9A-HJKMNP-TV-Z]{26}\\z")]
    private static partial Regex IdText();

    private sealed class Picked(ApiIds ids, string kind) : Gen<JsonNode?>
    {
        public override JsonNode? Generate(PCG pcg, Size? min, out Size size)
        {
            size = new Size(0);
            return ids.Pick(pcg, kind);
        }
    }
}
