using System.Text.Json;
using Reeve.Server.Tools;

namespace Reeve.Server.Tests.Tools;

/// <summary>A built-in tool that answers each call with the call.</summary>
internal sealed class FakeTool(string name, params string[] actions) : IBuiltinTool
{
    public string Name => name;

    public IReadOnlyList<ToolAction> Actions { get; } = [.. actions.Select(action =>
        new ToolAction(action, $"Does {action}.", JsonElement.Parse("""{"type":"object"}""")))];

    public Task<ToolResult> InvokeAsync(
        string action, JsonElement arguments, ToolCallContext context, CancellationToken cancellationToken) =>
        Task.FromResult(new ToolResult(arguments, IsError: false));
}
