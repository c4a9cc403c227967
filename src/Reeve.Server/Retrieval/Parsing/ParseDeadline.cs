using Markdig;
using Markdig.Helpers;
using Markdig.Parsers;
using Markdig.Renderers;

namespace Reeve.Server.Retrieval.Parsing;

/// <summary>The text was made to keep a parser busy.</summary>
internal sealed class ParseDeadlineException() : Exception("The parser did not end in time.");

/// <summary>
/// Ends a parse of Markdown that takes too long. Some inputs cost the square of their length, one scan for each special
/// character; this parser is asked first at each of them and looks at the clock.
/// </summary>
internal sealed class ParseDeadline : InlineParser, IMarkdownExtension
{
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(3);

    private readonly long _end = Environment.TickCount64 + (long)Duration.TotalMilliseconds;

    internal ParseDeadline() =>
        OpeningCharacters = ['[', ']', '!', '*', '_', '`', '<', '>', '|', '&', '~', '^', '=', '+', ':', '\\'];

    public override bool Match(InlineProcessor processor, ref StringSlice slice)
    {
        Check();
        return false;
    }

    public void Setup(MarkdownPipelineBuilder pipeline) => pipeline.InlineParsers.Insert(0, this);

    public void Setup(MarkdownPipeline pipeline, IMarkdownRenderer renderer)
    {
        // Nothing is rendered.
    }

    internal void Check()
    {
        if (Environment.TickCount64 > _end)
        {
            throw new ParseDeadlineException();
        }
    }
}
