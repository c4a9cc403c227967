using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;
using Reeve.Server.Inference;

namespace Reeve.Reliability.Simulation;

/// <summary>
/// A provider outside the server: slow, chatty, wrong about its usage, sometimes silent for ever. What it does is drawn
/// when it is asked.
/// </summary>
internal sealed class SimModel(string id, SimEffects effects, SimRandom random, SimTime time) : IChatClient
{
    internal static Model Describe(string id) => new()
    {
        Id = id,
        Provider = id.Split('/')[1],
        Upstream = id,
        ContextTokens = 128_000,
        OutputTokensMax = 4_096,
        InputUsdPerMillion = 3,
        OutputUsdPerMillion = 15,
        Capabilities = new HashSet<string>(["chat", "tools", "structured_output", "streaming"]),
    };

    public async Task<ChatResponse> GetResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        var updates = new List<ChatResponseUpdate>();
        await foreach (var update in GetStreamingResponseAsync(messages, options, cancellationToken))
        {
            updates.Add(update);
        }

        return updates.ToChatResponse();
    }

    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        effects.Asked(time.IsDead);
        await PauseAsync(cancellationToken);
        FailSometimes(percent: 6);
        if (random.Chance(2))
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, time, cancellationToken); // Silent until somebody gives up.
        }

        var wantsTool = options?.Tools is { Count: > 0 } && random.Chance(45);
        var pieces = wantsTool ? random.Below(2) : 1 + random.Below(5);
        var said = new StringBuilder();
        for (var i = 0; i < pieces; i++)
        {
            var piece = $"{id} says {random.Below(1_000)}, \n. ";
            said.Append(piece);
            yield return new ChatResponseUpdate(ChatRole.Assistant, piece);
            await PauseAsync(cancellationToken);
            FailSometimes(percent: 2);
        }

        effects.Answered(said.ToString());
        if (wantsTool)
        {
            foreach (var _ in Enumerable.Range(0, 1 + random.Below(2)))
            {
                yield return new ChatResponseUpdate(ChatRole.Assistant, [Call(random.Pick(options!.Tools!.ToList()))]);
            }
        }

        if (random.Chance(70))
        {
            var times = random.Chance(5) ? 10_000 : 1; // Some providers lie.
            yield return new ChatResponseUpdate(ChatRole.Assistant,
            [
                new UsageContent(new UsageDetails
                {
                    InputTokenCount = 1 + random.Below(500),
                    OutputTokenCount = 1 + (random.Below(300) * times),
                }),
            ]);
        }

        yield return new ChatResponseUpdate
        {
            FinishReason = wantsTool ? ChatFinishReason.ToolCalls : ChatFinishReason.Stop,
        };
    }

    public object? GetService(Type serviceType, object? serviceKey = null) => null;

    public void Dispose()
    {
    }

    private FunctionCallContent Call(AITool tool) => new($"p{random.Below(1_000_000)}", tool.Name,
        new Dictionary<string, object?> { ["amount"] = JsonElement.Parse($"{random.Below(100)}") });

    private Task PauseAsync(CancellationToken cancellationToken) => random.Chance(50)
        ? Task.Delay(TimeSpan.FromMilliseconds(random.Below(1_500)), time, cancellationToken)
        : Task.CompletedTask;

    private void FailSometimes(int percent)
    {
        if (!random.Chance(percent))
        {
            return;
        }

        throw random.Chance(80)
            ? new ProviderException(random.Pick(Enum.GetValues<ProviderFault>()), "The provider failed.")
            : new InvalidOperationException("Nobody expects this.");
    }
}
