using System.Globalization;
using MimeKit;

namespace Reeve.Server.Retrieval.Parsing;

/// <summary>A mail: who wrote it to whom, when and about what, what it says, and the names of its files.</summary>
internal static class MailText
{
    private const int MimeDepthMax = 64;

    internal static void Write(byte[] file, BlockWriter writer)
    {
        using var stream = new MemoryStream(file, writable: false);
        var options = new ParserOptions { MaxMimeDepth = MimeDepthMax, MaxAddressGroupDepth = 4 };
        using var message = new MimeParser(options, stream, MimeFormat.Entity, persistent: true).ParseMessage();
        writer.Add(BlockKind.Heading, message.Subject ?? "", 1);
        Add(writer, "From", message.From);
        Add(writer, "To", message.To);
        Add(writer, "Cc", message.Cc);
        if (message.Headers.Contains(HeaderId.Date) && message.Date != DateTimeOffset.MinValue)
        {
            writer.Add(BlockKind.TableRow,
                "Date: " + message.Date.ToString("yyyy-MM-ddTHH:mm:sszzz", CultureInfo.InvariantCulture));
        }

        var names = message.Attachments.Select(static part => part.ContentDisposition?.FileName
            ?? part.ContentType.Name ?? (part as MessagePart)?.Message?.Subject ?? part.ContentType.MimeType).ToList();
        if (names.Count > 0)
        {
            writer.Add(BlockKind.TableRow, "Attachments: " + string.Join(", ", names));
        }

        if (message.TextBody is { } text)
        {
            foreach (var paragraph in Paragraphs(text))
            {
                writer.Add(BlockKind.Paragraph, paragraph);
            }
        }
        else if (message.HtmlBody is { } html)
        {
            HtmlText.Write(html, writer);
        }
    }

    private static IEnumerable<string> Paragraphs(string text)
    {
        var plain = PlainText.Extract(text);
        return plain.Blocks.Select(block => plain.Text[block.Start..block.End]);
    }

    private static void Add(BlockWriter writer, string name, InternetAddressList addresses)
    {
        if (addresses.Count > 0)
        {
            writer.Add(BlockKind.TableRow, $"{name}: {addresses}");
        }
    }
}
