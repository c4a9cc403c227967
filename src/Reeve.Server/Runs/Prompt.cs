using Microsoft.Extensions.AI;
using Reeve.Server.Inference;
using Reeve.Server.Tools;

namespace Reeve.Server.Runs;

/// <summary>The messages of one model call and their estimated size.</summary>
internal sealed record Prompt(IReadOnlyList<ChatMessage> Messages, int Tokens, int TurnsLeftOut);

/// <summary>
/// Builds the prompt: instructions, input, tools and chunks within their budgets, then history from its newest turn
/// backwards while it fits the model beside <c>max_output_tokens</c>; the oldest whole turns are left out.
/// </summary>
internal static class PromptBuilder
{
    internal const int ChunksMax = 6;

    /// <summary>Retrieval counts at this budget before it was made, so that admission needs no search.</summary>
    internal const int ChunkTokensMax = 3_000;

    /// <summary>No more of a conversation is read for a run, however large the model's context.</summary>
    internal const int HistoryCharactersMax = 400_000;

    private const int MessageTokens = 4;

    /// <summary>Everything but history: the least that a model must take.</summary>
    internal static int FixedTokens(RunContext context, RunState? state, string input)
    {
        if (context.Embedding is { } embedding)
        {
            return embedding.Tokens;
        }

        var tokens = MessageTokens + TokenCounter.Estimate(context.Instructions)
            + (context.Chat is { } chat ? chat.MessageTokens : MessageTokens + TokenCounter.Estimate(input));
        foreach (var function in context.Functions)
        {
            tokens += MessageTokens + TokenCounter.Estimate(function.Description)
                + TokenCounter.Estimate(function.JsonSchema.GetRawText());
        }

        tokens += context.Chunks is { } chunks
            ? chunks.Sum(chunk => MessageTokens + TokenCounter.Estimate(chunk.Chunk.Text))
            : context.HasDocuments ? ChunkTokensMax : 0;
        foreach (var step in state?.Steps ?? [])
        {
            tokens += MessageTokens + TokenCounter.Estimate(step.Text);
            foreach (var call in step.ToolCalls)
            {
                tokens += (2 * MessageTokens) + TokenCounter.Estimate(call.Params.GetRawText())
                    + (call.IsFinished ? TokenCounter.Estimate(call.Result.GetRawText()) : 0);
            }
        }

        return tokens + (context.SchemaComplaint is { } complaint ? TokenCounter.Estimate(complaint) : 0);
    }

    internal static Prompt Build(RunContext context, RunState state, Model model, int outputTokensMax)
    {
        var tokens = FixedTokens(context, state, state.Admitted.Input);
        var (kept, historyTokens) = KeepTurns(context, model.ContextTokens - outputTokensMax - tokens);
        var messages = new List<ChatMessage>();
        if (context.Instructions.Length > 0)
        {
            messages.Add(new ChatMessage(ChatRole.System, context.Instructions));
        }

        foreach (var turn in context.History.Turns.Skip(context.History.Turns.Count - kept))
        {
            messages.Add(new ChatMessage(ChatRole.User, turn.User));
            if (turn.Assistant is { } answer)
            {
                messages.Add(new ChatMessage(ChatRole.Assistant, answer));
            }
        }

        if (context.Chat is { } chat)
        {
            AddChat(messages, context, chat);
        }
        else
        {
            messages.Add(new ChatMessage(ChatRole.User, WithChunks(context, [new TextContent(state.Admitted.Input)])));
        }

        AddSteps(messages, state);
        if (context.SchemaComplaint is { } complaint)
        {
            messages.Add(new ChatMessage(ChatRole.User, complaint));
        }

        return new Prompt(messages, tokens + historyTokens, context.History.Turns.Count - kept);
    }

    /// <summary>Tokens of the history that would be sent, for the hold before the prompt exists.</summary>
    internal static int HistoryTokens(RunContext context, int room) => KeepTurns(context, room).Tokens;

    private static (int Count, int Tokens) KeepTurns(RunContext context, int room)
    {
        var (count, tokens) = (0, 0);
        foreach (var turn in context.History.Turns.Reverse())
        {
            var size = (2 * MessageTokens) + TokenCounter.Estimate(turn.User)
                + TokenCounter.Estimate(turn.Assistant ?? "");
            if (tokens + size > room)
            {
                break;
            }

            (count, tokens) = (count + 1, tokens + size);
        }

        return (count, tokens);
    }

    /// <summary>The caller's messages as they are; what was retrieved stands before his last words.</summary>
    private static void AddChat(List<ChatMessage> messages, RunContext context, ChatRequest chat)
    {
        var before = messages.Count;
        messages.AddRange(chat.Messages);
        var last = messages.FindLastIndex(static message => message.Role == ChatRole.User);
        if (context.Chunks is { Count: > 0 } && last >= before)
        {
            messages[last] = new ChatMessage(ChatRole.User, WithChunks(context, messages[last].Contents));
        }
    }

    private static List<AIContent> WithChunks(RunContext context, IEnumerable<AIContent> contents) =>
        [.. (context.Chunks ?? []).Select(static chunk => chunk.ToContent()), .. contents];

    private static void AddSteps(List<ChatMessage> messages, RunState state)
    {
        foreach (var step in state.Steps.Where(step => step.ToolCalls.Count > 0))
        {
            var said = new List<AIContent>();
            if (step.Text.Length > 0)
            {
                said.Add(new TextContent(step.Text));
            }

            var answers = new List<AIContent>();
            foreach (var call in step.ToolCalls)
            {
                said.Add(new FunctionCallContent(
                    call.Id, ToolCatalog.FunctionName(call.Tool, call.Action), Arguments(call)));
                answers.Add(new FunctionResultContent(call.Id, call.IsFinished ? call.Result : null));
            }

            messages.Add(new ChatMessage(ChatRole.Assistant, said));
            messages.Add(new ChatMessage(ChatRole.Tool, answers));
        }
    }

    private static Dictionary<string, object?> Arguments(RunToolCall call) =>
        call.Params.EnumerateObject().ToDictionary(member => member.Name, member => (object?)member.Value);
}
