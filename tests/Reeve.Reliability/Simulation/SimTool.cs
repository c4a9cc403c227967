using System.Text.Json;
using Reeve.Server.Tools;

namespace Reeve.Reliability.Simulation;

/// <summary>What was done outside the server, where no crash of it undoes anything.</summary>
internal sealed class SimEffects
{
    private readonly Dictionary<string, int> _payments = new(StringComparer.Ordinal);

    internal int ModelCalls { get; private set; }

    internal IReadOnlyDictionary<string, int> Payments => _payments;

    internal void Asked(bool byTheDead)
    {
        RefuseTheDead(byTheDead);
        ModelCalls++;
    }

    /// <summary>Answers that a model gave to their end.</summary>
    internal HashSet<string> Answers { get; } = new(StringComparer.Ordinal);

    internal void Answered(string text) => Answers.Add(text);

    internal void Pay(string call, bool byTheDead)
    {
        RefuseTheDead(byTheDead);
        _payments[call] = _payments.GetValueOrDefault(call) + 1;
    }

    // A process that died between two instructions does not reach out any more.
    private static void RefuseTheDead(bool isDead)
    {
        if (isDead)
        {
            throw new SimCrash();
        }
    }
}

/// <summary>Two actions: <c>pay</c> must never be repeated, <c>look</c> may.</summary>
internal sealed class SimTool(SimEffects effects, SimRandom random, SimTime time) : IBuiltinTool
{
    private static readonly JsonElement Parameters =
        JsonElement.Parse("""{"type":"object","properties":{"amount":{"type":"number"}}}""");

    public string Name => "bank";

    public IReadOnlyList<ToolAction> Actions { get; } =
    [
        new ToolAction("pay", "Pays.", Parameters) { IsIdempotent = false },
        new ToolAction("look", "Looks.", Parameters),
    ];

    public async Task<ToolResult> InvokeAsync(
        string action, JsonElement arguments, ToolCallContext context, CancellationToken cancellationToken)
    {
        if (random.Chance(50))
        {
            await Task.Delay(TimeSpan.FromMilliseconds(random.Below(5_000)), time, cancellationToken);
        }

        if (action == "pay")
        {
            effects.Pay($"{context.RunId} {context.CallId}", time.IsDead);
        }

        if (random.Chance(50))
        {
            await Task.Delay(TimeSpan.FromMilliseconds(random.Below(5_000)), time, cancellationToken);
        }

        return new ToolResult(JsonElement.Parse("""{"ok":true}"""), IsError: false);
    }
}

/// <summary>Ends a process of the simulation where it stands.</summary>
internal sealed class SimCrash() : Exception("The process died here.");
