using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Reeve.Server.Inference;
using Reeve.Server.Privacy;

namespace Reeve.Server.Tests.Runs;

/// <summary>
/// A model that says what a test wrote down: replies in their order, the last one again and again. Each reply is a list
/// of pieces: text, a tool call, usage, a fault, or a gate that the test opens.
/// </summary>
internal sealed class ScriptedChatClient : IChatClient
{
    private readonly ConcurrentQueue<object[]> _replies = new();
    private object[] _last = ["Hello."];
    private int _calls;

    internal int Calls => _calls;

    internal ConcurrentQueue<IReadOnlyList<ChatMessage>> Prompts { get; } = new();

    internal ConcurrentQueue<ChatOptions?> Options { get; } = new();

    /// <summary>
    /// A model of the catalogue: 3 and 15 USD per million tokens, the prices of the documented example.
    /// </summary>
    internal static Model Model(string id = "mesh/house-1", decimal input = 3, decimal output = 15) => new()
    {
        Id = id,
        Provider = id.Split('/')[1],
        Upstream = id,
        ContextTokens = 128_000,
        OutputTokensMax = 4_096,
        InputUsdPerMillion = input,
        OutputUsdPerMillion = output,
        Capabilities = new HashSet<string>(["chat", "tools", "structured_output", "streaming"]),
    };

    internal void AddTo(WebApplicationBuilder builder, Model? model = null, PrivacyMarks? marks = null) =>
        builder.Services.AddSingleton(new CatalogEntry(model ?? Model(), this, marks ?? PrivacyMarks.Nothing));

    /// <summary>Adds a reply.</summary>
    internal ScriptedChatClient Reply(params object[] pieces)
    {
        _replies.Enqueue(pieces);
        return this;
    }

    internal static UsageContent Usage(long input, long output) =>
        new(new UsageDetails { InputTokenCount = input, OutputTokenCount = output });

    internal static FunctionCallContent Call(string name, string arguments) => new("p1", name,
        JsonElement.Parse(arguments).EnumerateObject().ToDictionary(one => one.Name, one => (object?)one.Value));

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
        Interlocked.Increment(ref _calls);
        Prompts.Enqueue([.. messages]);
        Options.Enqueue(options);
        object[] reply;
        lock (_replies) // A call beside the last one must not see the reply before it.
        {
            reply = _last = _replies.TryDequeue(out var next) ? next : _last;
        }

        var finish = ChatFinishReason.Stop;
        foreach (var piece in reply)
        {
            switch (piece)
            {
                case string text:
                    yield return new ChatResponseUpdate(ChatRole.Assistant, text);
                    break;
                case Task gate:
                    await gate.WaitAsync(cancellationToken);
                    break;
                case Func<Task> gate:
                    await gate().WaitAsync(cancellationToken);
                    break;
                case Exception fault:
                    throw fault;
                case ChatFinishReason reason:
                    finish = reason;
                    break;
                case AIContent content:
                    yield return new ChatResponseUpdate(ChatRole.Assistant, [content]);
                    break;
                default:
                    throw new InvalidOperationException($"{piece} is no piece of a reply.");
            }
        }

        yield return new ChatResponseUpdate { FinishReason = finish };
    }

    public object? GetService(Type serviceType, object? serviceKey = null) => null;

    public void Dispose()
    {
    }
}
