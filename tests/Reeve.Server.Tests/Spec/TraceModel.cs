using System.Text.Json;
using Microsoft.Extensions.AI;
using Reeve.Server.Inference;
using Reeve.Server.Tests.Runs;

namespace Reeve.Server.Tests.Spec;

/// <summary>The model of the traces: says what the trace that is running wrote down.</summary>
internal sealed class TraceModel : IChatClient
{
    private TaskCompletionSource _end = new();
    private ScriptedChatClient _script = new();

    /// <summary>The model of the documented examples, at its documented price without margin.</summary>
    internal static readonly Model Documented = ScriptedChatClient.Model("mesh/claude-sonnet-4.5") with
    {
        Provider = "anthropic",
    };

    /// <summary>Another one, to fall back to; dearer, so that it comes second.</summary>
    internal static readonly Model Second = ScriptedChatClient.Model("mesh/claude-opus-4.5", 5, 25) with
    {
        Provider = "bedrock",
    };

    internal void Begin(IReadOnlyList<JsonElement> replies)
    {
        _end = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _script = new ScriptedChatClient();
        foreach (var reply in replies)
        {
            _script.Reply([.. reply.EnumerateArray().Select(Piece)]);
        }
    }

    /// <summary>Lets go of replies that wait for the end of the trace.</summary>
    internal void End() => _end.TrySetResult();

    private object Piece(JsonElement piece)
    {
        if (piece.ValueKind == JsonValueKind.String)
        {
            return piece.GetString()!;
        }

        var member = piece.EnumerateObject().First();
        return member.Name switch
        {
            "call" => ScriptedChatClient.Call(member.Value.GetString()!, piece.GetProperty("params").GetRawText()),
            "usage" => ScriptedChatClient.Usage(member.Value[0].GetInt64(), member.Value[1].GetInt64()),
            "wait" => _end.Task,
            "fault" => member.Value.GetString() switch
            {
                "overloaded" => new ProviderException(ProviderFault.Overloaded, "busy"),
                "unreachable" => new ProviderException(ProviderFault.Unreachable, "cut"),
                "rate_limited" => new ProviderException(ProviderFault.RateLimited, "slow") { RetryAfterSeconds = 7 },
                _ => new InvalidOperationException("A fault of the server's own."),
            },
            var name => throw new InvalidOperationException($"{name} is no piece of a reply."),
        };
    }

    public Task<ChatResponse> GetResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null,
        CancellationToken cancellationToken = default) =>
        _script.GetResponseAsync(messages, options, cancellationToken);

    public IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null,
        CancellationToken cancellationToken = default) =>
        _script.GetStreamingResponseAsync(messages, options, cancellationToken);

    public object? GetService(Type serviceType, object? serviceKey = null) => null;

    public void Dispose() => _script.Dispose();
}
