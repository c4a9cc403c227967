using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Reeve.Server.Retrieval.Parsing.Child;

/// <summary>What a parser is asked: a line of JSON, which so many bytes follow.</summary>
internal sealed record ParserOrder(string MimeType, int Bytes, int SecondsMax);

/// <summary>
/// What the server and a parser say to each other. To the parser: an order and the file. Back: lines of JSON, any
/// number of <c>{"done","total","unit"}</c> and then <c>{"text","blocks"}</c>, five numbers a block, or
/// <c>{"error":{"code","message"}}</c>. The parser is not trusted: what it says is checked.
/// </summary>
internal static class ParserWire
{
    internal const int LineBytesMax = 96 << 20;
    private const int NumbersOfABlock = 5;

    private static readonly JsonWriterOptions Relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    internal static byte[] Order(ParserOrder order) => Line(writer =>
    {
        writer.WriteString("type"u8, order.MimeType);
        writer.WriteNumber("bytes"u8, order.Bytes);
        writer.WriteNumber("seconds"u8, order.SecondsMax);
    });

    internal static ParserOrder ReadOrder(byte[] line)
    {
        var order = JsonElement.Parse(line);
        return new ParserOrder(order.GetProperty("type").GetString()!, order.GetProperty("bytes").GetInt32(),
            order.GetProperty("seconds").GetInt32());
    }

    internal static byte[] Progress(ParseProgress progress) => Line(writer =>
    {
        writer.WriteNumber("done"u8, progress.Done);
        writer.WriteNumber("total"u8, progress.Total);
        writer.WriteString("unit"u8, progress.Unit);
    });

    internal static byte[] Error(ParseException error) => Line(writer =>
    {
        writer.WriteStartObject("error"u8);
        writer.WriteString("code"u8, error.Code);
        writer.WriteString("message"u8, error.Message);
        writer.WriteEndObject();
    });

    internal static byte[] Result(ExtractedText text) => Line(writer =>
    {
        writer.WriteString("text"u8, text.Text);
        writer.WriteStartArray("blocks"u8);
        foreach (var block in text.Blocks)
        {
            writer.WriteNumberValue(block.Start);
            writer.WriteNumberValue(block.End);
            writer.WriteNumberValue((int)block.Kind);
            writer.WriteNumberValue(block.Level);
            writer.WriteNumberValue(block.Page ?? 0);
        }

        writer.WriteEndArray();
    });

    /// <summary>The text of a last line; null: the line says how far the parser is.</summary>
    /// <exception cref="ParseException">The parser says why it has no text.</exception>
    /// <exception cref="InvalidDataException">The line is not of this protocol.</exception>
    internal static ExtractedText? Read(ReadOnlySequence<byte> line, Action<ParseProgress> report)
    {
        try
        {
            var reader = new Utf8JsonReader(line);
            return ReadLine(ref reader, report);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or FormatException)
        {
            throw new InvalidDataException("A parser answered something else than was agreed.", error);
        }
    }

    private static ExtractedText? ReadLine(ref Utf8JsonReader reader, Action<ParseProgress> report)
    {
        string? text = null, unit = null, code = null, message = null;
        var blocks = new List<TextBlock>();
        var (done, total) = (0L, 0L);
        while (reader.Read())
        {
            if (reader.TokenType != JsonTokenType.PropertyName)
            {
                continue;
            }

            var name = reader.GetString();
            reader.Read();
            switch (name)
            {
                case "text":
                    text = reader.GetString();
                    break;
                case "blocks":
                    ReadBlocks(ref reader, text ?? "", blocks);
                    break;
                case "done":
                    done = reader.GetInt64();
                    break;
                case "total":
                    total = reader.GetInt64();
                    break;
                case "unit":
                    unit = reader.GetString();
                    break;
                case "code":
                    code = reader.GetString();
                    break;
                case "message":
                    message = reader.GetString();
                    break;
                default:
                    break; // The object of an error; its members follow.
            }
        }

        if (code is not null)
        {
            throw new ParseException(code, message ?? "");
        }

        if (unit is "pages" or "bytes" && done >= 0 && done <= total)
        {
            report(new ParseProgress(done, total, unit));
            return null;
        }

        return text is { Length: <= FileReaders.CharactersMax } && blocks.Count > 0
            ? new ExtractedText(text, blocks)
            : throw new FormatException("Neither a text nor a step.");
    }

    private static void ReadBlocks(ref Utf8JsonReader reader, string text, List<TextBlock> blocks)
    {
        Span<int> numbers = stackalloc int[NumbersOfABlock];
        var end = 0;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            for (var i = 0; i < NumbersOfABlock; i++)
            {
                numbers[i] = reader.GetInt32();
                if (i + 1 < NumbersOfABlock)
                {
                    reader.Read();
                }
            }

            var block = new TextBlock(numbers[0], numbers[1], (BlockKind)numbers[2], numbers[3],
                numbers[4] > 0 ? numbers[4] : null);
            if (block.Start < end || block.End <= block.Start || block.End > text.Length
                || !Enum.IsDefined(block.Kind) || block.Level is < 0 or > 6)
            {
                throw new FormatException("A block is not of its text.");
            }

            end = block.End;
            blocks.Add(block);
        }
    }

    private static byte[] Line(Action<Utf8JsonWriter> members)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, Relaxed))
        {
            writer.WriteStartObject();
            members(writer);
            writer.WriteEndObject();
        }

        buffer.Write("\n"u8);
        return buffer.WrittenSpan.ToArray();
    }
}
