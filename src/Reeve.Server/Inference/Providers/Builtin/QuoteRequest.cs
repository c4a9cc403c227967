using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Reeve.Server.Inference.Providers.Builtin;

/// <summary>What <c>reeve/quote</c> takes from a request's messages.</summary>
internal sealed class QuoteRequest
{
    private QuoteRequest()
    {
    }

    internal string Question { get; private set; } = "";

    /// <summary>The user's inputs before the question, oldest first.</summary>
    internal List<string> EarlierInputs { get; } = [];

    internal List<SourceContent> Sources { get; } = [];

    internal int InputTokens { get; private set; }

    internal int CallCount { get; private set; }

    /// <summary>A tool was called since the question was asked.</summary>
    internal bool HasCalled { get; private set; }

    internal static QuoteRequest Read(IEnumerable<ChatMessage> messages, CancellationToken cancellationToken)
    {
        var request = new QuoteRequest();
        foreach (var message in messages)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (message.Role == ChatRole.User && !string.IsNullOrWhiteSpace(message.Text))
            {
                if (request.Question.Length > 0)
                {
                    request.EarlierInputs.Add(request.Question);
                }

                request.Question = message.Text;
                request.HasCalled = false;
            }

            foreach (var content in message.Contents)
            {
                request.Take(content);
            }
        }

        return request;
    }

    private void Take(AIContent content)
    {
        switch (content)
        {
            case SourceContent source:
                Sources.Add(source);
                InputTokens += WordCount.Of(source.Text);
                break;
            case TextContent text:
                InputTokens += WordCount.Of(text.Text);
                break;
            case FunctionCallContent:
                CallCount++;
                HasCalled = true;
                break;
            case FunctionResultContent { Result: JsonElement result }:
                InputTokens += WordCount.Of(result.GetRawText());
                Sources.AddRange(SourceContent.Found(result));
                break;
            case FunctionResultContent { Result: string result }:
                InputTokens += WordCount.Of(result);
                TakeFound(result);
                break;
            default:
                break;
        }
    }

    private void TakeFound(string result)
    {
        if (!result.StartsWith('['))
        {
            return;
        }

        try
        {
            Sources.AddRange(SourceContent.Found(JsonElement.Parse(result)));
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or ArgumentException)
        {
            // A tool may answer any text; this one is no list of chunks.
        }
    }
}
