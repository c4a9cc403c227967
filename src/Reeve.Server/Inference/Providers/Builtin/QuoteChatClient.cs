using Microsoft.Extensions.AI;

namespace Reeve.Server.Inference.Providers.Builtin;

/// <summary>
/// <c>reeve/quote</c>: answers by quoting the sentences of the given sources that answer the question, each with its
/// citation, or says that they do not. The same request always gives the same answer; nothing leaves the process.
/// </summary>
/// <remarks>
/// A citation is a <see cref="CitationAnnotation"/> whose <c>FileId</c> is the chunk and whose <c>Snippet</c> is the
/// quote.
/// It is on the part that begins the quote; in a whole answer it has the quote's place too. Only a request that
/// demands a tool call gets one, and it gets it once.
/// </remarks>
internal sealed class QuoteChatClient : IChatClient
{
    private const string SearchFunction = "knowledge-search";

    private static readonly ChatClientMetadata Metadata = new(QuoteModel.Provider, null, QuoteModel.Id);

    public Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        var request = QuoteRequest.Read(messages, cancellationToken);
        if (ForcedCall.Of(request, options) is { } call)
        {
            return Task.FromResult(new ChatResponse(new ChatMessage(ChatRole.Assistant, [call]))
            {
                ModelId = QuoteModel.Id,
                FinishReason = ChatFinishReason.ToolCalls,
                Usage = Usage(request, CallTokens(call)),
            });
        }

        var answer = Answer(request, options);
        return Task.FromResult(new ChatResponse(new ChatMessage(ChatRole.Assistant, [answer.ToContent()]))
        {
            ModelId = QuoteModel.Id,
            FinishReason = answer.FinishReason,
            Usage = Usage(request, answer.OutputTokens),
        });
    }

    public IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(IEnumerable<ChatMessage> messages,
        ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        Updates(messages, options, cancellationToken).ToAsyncEnumerable();

    public object? GetService(Type serviceType, object? serviceKey = null) =>
        serviceKey is not null ? null
        : serviceType == typeof(ChatClientMetadata) ? Metadata
        : serviceType.IsInstanceOfType(this) ? this
        : null;

    public void Dispose()
    {
        // Nothing is held: the client has no connection and no state.
    }

    private static IEnumerable<ChatResponseUpdate> Updates(
        IEnumerable<ChatMessage> messages, ChatOptions? options, CancellationToken cancellationToken)
    {
        var request = QuoteRequest.Read(messages, cancellationToken);
        if (ForcedCall.Of(request, options) is { } call)
        {
            yield return Update(call);
            yield return End(request, CallTokens(call), ChatFinishReason.ToolCalls);
            yield break;
        }

        var answer = Answer(request, options);
        foreach (var piece in answer.Pieces)
        {
            cancellationToken.ThrowIfCancellationRequested();
            yield return Update(new TextContent(piece.Text)
            {
                Annotations = piece.Citation is { } citation ? [citation] : null,
            });
        }

        yield return End(request, answer.OutputTokens, answer.FinishReason);
    }

    private static QuoteAnswer Answer(QuoteRequest request, ChatOptions? options)
    {
        var tokensMax = options?.MaxOutputTokens ?? QuoteModel.OutputTokensMax;
        if (request.Sources.Count == 0)
        {
            // An agent is offered the search where it has documents.
            return QuoteAnswer.Of(options?.Tools?.Any(static tool => tool.Name == SearchFunction) ?? false
                ? QuoteAnswer.NotAnswered : QuoteAnswer.NoDocuments, tokensMax);
        }

        var earlier = FollowUp.Before(request.Question, request.EarlierInputs);
        var groups = QuoteSelector.Select(request.Question, earlier, request.Sources);
        return groups.Count == 0
            ? QuoteAnswer.Of(QuoteAnswer.NotAnswered, tokensMax)
            : QuoteAnswer.Of(groups, tokensMax);
    }

    private static ChatResponseUpdate Update(AIContent content) =>
        new(ChatRole.Assistant, [content]) { ModelId = QuoteModel.Id };

    private static ChatResponseUpdate End(QuoteRequest request, int outputTokens, ChatFinishReason reason) =>
        new(ChatRole.Assistant, [new UsageContent(Usage(request, outputTokens))])
        {
            ModelId = QuoteModel.Id,
            FinishReason = reason,
        };

    private static UsageDetails Usage(QuoteRequest request, int outputTokens) => new()
    {
        InputTokenCount = request.InputTokens,
        OutputTokenCount = outputTokens,
        TotalTokenCount = request.InputTokens + outputTokens,
    };

    private static int CallTokens(FunctionCallContent call) => WordCount.Of(call.Name)
        + (call.Arguments?.Sum(static argument =>
            WordCount.Of(argument.Key) + WordCount.Of(argument.Value?.ToString() ?? "")) ?? 0);
}
