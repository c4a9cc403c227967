using Reeve.Server.Http;
using Reeve.Server.Inference.Providers.Builtin;
using Reeve.Server.Retrieval.Parsing;

namespace Reeve.Server.Retrieval;

/// <summary>
/// A range of the text, counted in scalar values, with the headings that it stands under or begins with; <c>Page</c> is
/// the one that it begins on.
/// </summary>
internal sealed record ChunkRange(
    string Text, int Start, int End, IReadOnlyList<string> Headings, int? Page = null);

/// <summary>
/// Cuts text into chunks by its structure: a heading begins one, blocks stay whole while they fit, longer ones are cut
/// between sentences, lines or words. The ranges tile the text: white space goes with what stands before it.
/// </summary>
internal static class Chunker
{
    internal const int TargetCharacters = 900;
    internal const int CharactersMax = 1_600;

    internal static List<ChunkRange> Split(ExtractedText extracted)
    {
        var cutter = new Cutter(extracted.Text);
        for (var i = 0; i < extracted.Blocks.Count; i++)
        {
            var block = extracted.Blocks[i];
            var start = i == 0 ? 0 : block.Start;
            var end = i + 1 < extracted.Blocks.Count ? extracted.Blocks[i + 1].Start : extracted.Text.Length;
            cutter.Add(block with { Start = start, End = end }, extracted.Text[block.Start..block.End]);
        }

        return cutter.Finish();
    }

    private sealed class Cutter(string text)
    {
        private readonly List<ChunkRange> _chunks = [];
        private readonly List<(int Level, string Title)> _path = [];
        private IReadOnlyList<string> _headings = [];
        private int _start;
        private int _end;
        private int _scalars;
        private int? _page;
        private int? _pageOfBlock;
        private bool _onlyHeadings = true;

        internal void Add(TextBlock block, string content)
        {
            if (block.Page != _pageOfBlock && !_onlyHeadings)
            {
                Cut(); // So that what is quoted from a chunk stands on its page.
                _onlyHeadings = true;
            }

            _pageOfBlock = block.Page;
            _page = _end == _start ? block.Page : _page;
            if (block.Kind == BlockKind.Heading)
            {
                AddHeading(block, content);
                return;
            }

            var startsBody = _onlyHeadings;
            _onlyHeadings = false;

            var length = block.End - block.Start;
            var open = _end - _start;
            if (open >= TargetCharacters / 2 && open + length > TargetCharacters && !startsBody)
            {
                Cut();
            }

            if (_end - _start + length <= CharactersMax)
            {
                _end = block.End;
            }
            else
            {
                AddPieces(block);
            }
        }

        internal List<ChunkRange> Finish()
        {
            _end = text.Length;
            Cut();
            return _chunks;
        }

        private void AddHeading(TextBlock block, string content)
        {
            if (!_onlyHeadings || _end - _start + block.End - block.Start > CharactersMax)
            {
                Cut();
            }

            if (_end == _start)
            {
                _onlyHeadings = true;
            }

            _path.RemoveAll(heading => heading.Level >= block.Level);
            _path.Add((block.Level, Shorten(content)));
            _headings = [.. _path.Select(static heading => heading.Title)];
            if (block.End - block.Start > CharactersMax)
            {
                AddPieces(block);
            }
            else
            {
                _end = block.End;
            }
        }

        /// <summary>A block that is too long: sentence by sentence, or line by line for code.</summary>
        private void AddPieces(TextBlock block)
        {
            var span = text.AsSpan(block.Start, block.End - block.Start);
            foreach (var range in block.Kind == BlockKind.Code ? Lines(span) : Sentences.Split(span))
            {
                var (offset, length) = range.GetOffsetAndLength(span.Length);
                if (_end > _start && _end - _start + length > TargetCharacters)
                {
                    Cut();
                }

                _end = block.Start + offset;
                AddWords(block.Start + offset + length);
            }
        }

        /// <summary>Takes in the text up to <paramref name="end"/>, cut between words where it does not fit.</summary>
        private void AddWords(int end)
        {
            while (end - _start > CharactersMax)
            {
                var cut = text.AsSpan(_start, CharactersMax).LastIndexOfAny(" \n\t") + 1;
                cut = cut > CharactersMax / 2 ? cut : CharactersMax;
                if (char.IsHighSurrogate(text[_start + cut - 1]) && char.IsLowSurrogate(text[_start + cut]))
                {
                    cut--;
                }

                _end = _start + cut;
                Cut();
            }

            _end = end;
        }

        private void Cut()
        {
            if (_end == _start)
            {
                return;
            }

            var part = text[_start.._end];
            var scalars = RequestObject.ScalarCount(part);
            _chunks.Add(new ChunkRange(part, _scalars, _scalars + scalars, _headings, _page));
            _scalars += scalars;
            _start = _end;
            _page = _pageOfBlock;
            _headings = [.. _path.Select(static heading => heading.Title)];
        }

        private static string Shorten(string heading)
        {
            var title = heading.ReplaceLineEndings(" ");
            if (title.Length <= 200)
            {
                return title;
            }

            return title[..(char.IsHighSurrogate(title[199]) ? 199 : 200)];
        }
    }

    private static List<Range> Lines(ReadOnlySpan<char> text)
    {
        var ranges = new List<Range>();
        var start = 0;
        while (start < text.Length)
        {
            var length = text[start..].IndexOf('\n') + 1;
            var end = length == 0 ? text.Length : start + length;
            ranges.Add(start..end);
            start = end;
        }

        return ranges;
    }
}
