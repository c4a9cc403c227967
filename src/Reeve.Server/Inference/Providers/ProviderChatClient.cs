using System.Collections.Frozen;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.AI;
using Reeve.Server.Egress;

namespace Reeve.Server.Inference.Providers;

/// <summary>What all adapters need beside their provider's address.</summary>
internal sealed record ProviderTools(
    ProviderHttp Http, ProviderHealth Health, TimeProvider Time, IdGenerator Ids, ILogger Logger);

/// <summary>
/// One model of a provider: writes the request, sends it, gives the answer out. What differs between protocols is the
/// JSON alone. Text goes on piece by piece as it comes; tool calls, usage and the reason of the end come last.
/// </summary>
internal abstract partial class ProviderChatClient(
    ProviderTools tools, ProviderEndpoint endpoint, Model model, FrozenSet<string> unsupported) : IChatClient
{
    /// <summary>
    /// A provider that goes on and on in spite of its limit is cut off there: no tokens in use are longer on average.
    /// </summary>
    private const int CharactersPerTokenMax = 32;

    private const int CharactersMin = 64 * 1024;

    /// <summary>
    /// No call has ten times the tokens that its model can hold, even where that was configured too low. Such a report
    /// would use up the month's tokens of a key at once.
    /// </summary>
    private const int ContextsMax = 10;

    private readonly ILogger _logger = tools.Logger;
    private volatile FrozenSet<string> _unsupported = unsupported;

    private protected Model Model { get; } = model;

    public async Task<ChatResponse> GetResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        using var call = await SendAsync(messages, options, streamed: false, cancellationToken);
        using var body = await call.ReadWholeAsync();
        var answer = NewAnswer(options);
        answer.Read(endpoint.Provider, body.Span);
        if (!answer.HasBegun)
        {
            throw new ProviderException(ProviderFault.Malformed, $"An answer of {endpoint.Provider} has no message.");
        }

        var contents = new List<AIContent>(1);
        if (answer.Thought is { } thought)
        {
            contents.Add(new TextReasoningContent(thought));
        }

        if (answer.Text is { } text)
        {
            contents.Add(new TextContent(text));
        }

        var finish = Finish(answer);
        answer.Calls.MoveTo(contents, tools.Ids);
        return new ChatResponse(new ChatMessage(ChatRole.Assistant, contents))
        {
            Usage = Usage(answer),
            FinishReason = finish,
        };
    }

    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        using var call = await SendAsync(messages, options, streamed: true, cancellationToken);
        using var events = NewReader(call.ReadAsync);
        var answer = NewAnswer(options);
        var left = CharactersMin + (CharactersPerTokenMax * (long)(options?.MaxOutputTokens ?? Model.OutputTokensMax));
        var hasBegun = false;
        while (await MoveAsync(events, answer))
        {
            if (!hasBegun && answer is { Thought: null, Text: null })
            {
                // It shows that the provider lives, which may think for minutes from here.
                yield return new ChatResponseUpdate { Role = ChatRole.Assistant };
            }

            hasBegun = true;
            left -= (answer.Thought?.Length ?? 0) + (answer.Text?.Length ?? 0);
            if (left < 0)
            {
                throw new ProviderException(ProviderFault.Malformed,
                    $"{endpoint.Provider} sent far more than the tokens that it was asked for.");
            }

            if (answer.Thought is { } thought)
            {
                yield return new ChatResponseUpdate(ChatRole.Assistant, [new TextReasoningContent(thought)]);
            }

            if (answer.Text is { } text)
            {
                yield return new ChatResponseUpdate(ChatRole.Assistant, text);
            }
        }

        var last = new ChatResponseUpdate { Role = ChatRole.Assistant, FinishReason = Finish(answer) };
        answer.Calls.MoveTo(last.Contents, tools.Ids);
        if (Usage(answer) is { } usage)
        {
            last.Contents.Add(new UsageContent(usage));
        }

        yield return last;
    }

    public object? GetService(Type serviceType, object? serviceKey = null) =>
        serviceKey is null && serviceType.IsInstanceOfType(this) ? this : null;

    public void Dispose()
    {
        // The connections belong to ProviderHttp.
    }

    private protected abstract PooledBytes Write(
        IEnumerable<ChatMessage> messages, ChatOptions? options, bool streamed, IReadOnlySet<string> without);

    private protected abstract ProviderAnswer NewAnswer(ChatOptions? options);

    private protected virtual IEventReader NewReader(ReadBytes read) => new SseReader(read);

    /// <summary>
    /// True for a parameter that can be left out when the provider says that this model does not take it.
    /// </summary>
    private protected virtual bool IsOptional(string parameter) => false;

    /// <summary>
    /// Reads the next event; false when the answer is over. One that did not come to its end was cut off.
    /// </summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> MoveAsync(IEventReader events, ProviderAnswer answer)
    {
        try
        {
            if (!answer.IsOver && await events.MoveAsync() && !events.Data.SequenceEqual("[DONE]"u8))
            {
                answer.Read(endpoint.Provider, events.Data);
                return true;
            }
        }
        catch (ProviderException) when (answer.Finish is not null)
        {
            // The answer is whole. What failed after it can only have been the usage, which is counted then.
            LogLostUsage(Model.Id);
            return false;
        }

        return answer.Finish is not null
            ? false
            : throw new ProviderException(
                answer.HasBegun ? ProviderFault.Unreachable : ProviderFault.Malformed,
                $"The stream of {endpoint.Provider} ended before its answer did.");
    }

    private async Task<ProviderCall> SendAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options, bool streamed, CancellationToken cancellationToken)
    {
        while (true)
        {
            var without = _unsupported;
            try
            {
                var body = Write(messages, options, streamed, without);
                return await ProviderCall.SendAsync(
                    tools.Http, endpoint, body, tools.Time, cancellationToken, streamed);
            }
            catch (ProviderException error) when (
                error.UnsupportedParameter is { } parameter && IsOptional(parameter) && !without.Contains(parameter))
            {
                // Being refused costs nothing, so the call is simply made again.
                _unsupported = [.. without, parameter];
                LogUnsupported(Model.Id, parameter);
            }
        }
    }

    private static ChatFinishReason Finish(ProviderAnswer answer)
    {
        // Some servers end an answer that calls tools with "stop", and a whole answer with nothing at all.
        var finish = answer.Finish ?? ChatFinishReason.Stop;
        return answer.Calls.Count > 0 && finish == ChatFinishReason.Stop ? ChatFinishReason.ToolCalls : finish;
    }

    private UsageDetails? Usage(ProviderAnswer answer)
    {
        var figures = answer.Usage;
        var usage = figures.ToDetails(ContextsMax * (long)Model.ContextTokens);
        if (figures.WasDoubtful)
        {
            LogDoubtfulUsage(Model.Id);
        }

        return usage;
    }

    [LoggerMessage(LogLevel.Warning, "{Model} reported impossible token counts; they are taken as not reported")]
    private partial void LogDoubtfulUsage(string model);

    [LoggerMessage(LogLevel.Warning, "The stream of {Model} failed after its answer; the usage may be missing")]
    private partial void LogLostUsage(string model);

    [LoggerMessage(LogLevel.Warning, "{Model} does not take {Parameter}; it is called without from now on")]
    private partial void LogUnsupported(string model, string parameter);
}
