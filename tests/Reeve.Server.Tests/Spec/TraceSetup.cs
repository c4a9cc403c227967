using System.Text.Json;

namespace Reeve.Server.Tests.Spec;

/// <summary>What has to be so before a trace's request is sent, and what happens while it is answered.</summary>
internal sealed record TraceSetup
{
    /// <summary>What of the server the trace needs beyond its API; empty when any server will do.</summary>
    internal required IReadOnlyDictionary<string, JsonElement> Server { get; init; }

    /// <summary>What the model says, reply by reply.</summary>
    internal required IReadOnlyList<JsonElement> Model { get; init; }

    internal required IReadOnlyList<TraceStep> Steps { get; init; }

    internal required IReadOnlyList<TraceStep> During { get; init; }

    internal bool NeedsOwnServer => Server.Count > 0;

    /// <summary>A server of somebody else has neither our script nor our switches.</summary>
    internal bool RunsAnywhere => Server.Count == 0 && Model.Count == 0;

    internal static TraceSetup Read(string json)
    {
        var setup = JsonElement.Parse(json);
        return new TraceSetup
        {
            Server = setup.TryGetProperty("server", out var server)
                ? server.EnumerateObject().ToDictionary(static one => one.Name, static one => one.Value)
                : [],
            Model = setup.TryGetProperty("model", out var model) ? [.. model.EnumerateArray()] : [],
            Steps = Read(setup, "steps"),
            During = Read(setup, "during"),
        };
    }

    private static List<TraceStep> Read(JsonElement setup, string name) =>
        setup.TryGetProperty(name, out var steps) ? [.. steps.EnumerateArray().Select(TraceStep.Read)] : [];
}

/// <summary>A call of a setup. It is repeated until the members that it waits for are there.</summary>
internal sealed record TraceStep(
    TraceCall Call, IReadOnlyDictionary<string, string> Save, IReadOnlyDictionary<string, string> Until)
{
    /// <summary>True: the answer comes later, the next step does not wait for it.</summary>
    internal bool Meanwhile { get; init; }

    internal static TraceStep Read(JsonElement step) => new(
        TraceCall.Read(step, isStep: true), Members(step, "save"), Members(step, "until"))
    {
        Meanwhile = step.TryGetProperty("meanwhile", out var meanwhile) && meanwhile.GetBoolean(),
    };

    /// <summary>True when the answer has what the step saves and waits for.</summary>
    internal bool IsDone(TraceAnswer answer) => answer.Status < 300
        && Save.Values.All(path => answer.Find(path) is not null)
        && Until.All(one => answer.Find(one.Key) == one.Value);

    private static Dictionary<string, string> Members(JsonElement step, string name) =>
        step.TryGetProperty(name, out var members)
            ? members.EnumerateObject().ToDictionary(static one => one.Name, static one => one.Value.GetString()!)
            : [];
}
