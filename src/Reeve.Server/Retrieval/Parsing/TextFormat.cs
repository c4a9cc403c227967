using System.Buffers;
using System.Text;
using Reeve.Server.Http;

namespace Reeve.Server.Retrieval.Parsing;

/// <summary>Finds out what an upload is, by its bytes first and its name second, and reads its text.</summary>
internal static class TextFormat
{
    internal const string Plain = "text/plain";
    internal const string Markdown = "text/markdown";
    internal const string Html = "text/html";

    private const string Accepted =
        "Plain text, Markdown, HTML, CSV, JSON, PDF, DOCX, PPTX, XLSX, EML and EPUB are accepted.";

    private static readonly (byte[] Magic, string Name)[] Binaries =
    [
        ("PK\u0003\u0004"u8.ToArray(), "a ZIP archive"),
        ("PK\u0005\u0006"u8.ToArray(), "an empty ZIP archive"),
        ([0x89, 0x50, 0x4E, 0x47], "a PNG image"),
        ([0xFF, 0xD8, 0xFF], "a JPEG image"),
        ("GIF8"u8.ToArray(), "a GIF image"),
        ("RIFF"u8.ToArray(), "an image, sound or film"),
        ([0x1F, 0x8B], "a gzip archive"),
        ([0xD0, 0xCF, 0x11, 0xE0], "an old Office document"),
        ([0x7F, 0x45, 0x4C, 0x46], "a program"),
        ("{\\rtf"u8.ToArray(), "RTF"),
    ];

    private static readonly SearchValues<char> MarkdownMarks = SearchValues.Create("#`*[|>");

    /// <summary>
    /// The type of an uploaded file, by its bytes first and its name second, and its text; null: the type is one of
    /// those that <see cref="FileReaders"/> reads.
    /// </summary>
    internal static (string MimeType, string? Text) ReadFile(ReadOnlySpan<byte> bytes, string name)
    {
        if (FileTypes.Find(bytes, name) is { } type)
        {
            return (type, null);
        }

        foreach (var (magic, what) in Binaries)
        {
            if (bytes.StartsWith(magic))
            {
                throw Refused(what);
            }
        }

        var text = Decode(bytes);
        return FileTypes.OfText(text, name) is { } structured ? (structured, null) : (TypeOf(text, name), text);
    }

    /// <summary>The type of text that came as text.</summary>
    internal static string TypeOf(string text, string name)
    {
        var head = text.AsSpan(0, Math.Min(text.Length, 4_096)).TrimStart();
        if (head.StartsWith("<!doctype html", StringComparison.OrdinalIgnoreCase)
            || head.StartsWith("<html", StringComparison.OrdinalIgnoreCase))
        {
            return Html;
        }

        return Path.GetExtension(name).ToUpperInvariant() switch
        {
            ".MD" or ".MARKDOWN" => Markdown,
            ".HTML" or ".HTM" or ".XHTML" => Html,
            ".TXT" or ".TEXT" or ".LOG" => Plain,
            _ => LooksLikeMarkdown(text) ? Markdown : Plain,
        };
    }

    internal static ExtractedText Extract(string mimeType, string text) => mimeType switch
    {
        Markdown => MarkdownText.Extract(text),
        Html => HtmlText.Extract(text),
        _ => PlainText.Extract(text),
    };

    internal static string Decode(ReadOnlySpan<byte> bytes)
    {
        var (encoding, skip) = bytes switch
        {
            [0xEF, 0xBB, 0xBF, ..] => (new UTF8Encoding(false, true), 3),
            [0xFF, 0xFE, 0, 0, ..] => (new UTF32Encoding(false, false, true), 4),
            [0, 0, 0xFE, 0xFF, ..] => (new UTF32Encoding(true, false, true), 4),
            [0xFF, 0xFE, ..] => (new UnicodeEncoding(false, false, true), 2),
            [0xFE, 0xFF, ..] => (new UnicodeEncoding(true, false, true), 2),
            _ => ((Encoding)new UTF8Encoding(false, true), 0),
        };
        string text;
        try
        {
            text = encoding.GetString(bytes[skip..]);
        }
        catch (DecoderFallbackException)
        {
            throw ApiException.Invalid(bytes.Contains((byte)0)
                ? "The file is of a type that cannot be read. " + Accepted
                : "The file is not text in UTF-8, nor in another Unicode encoding with a byte order mark; convert it "
                    + "to UTF-8. " + Accepted, "file");
        }

        return text.Contains('\0', StringComparison.Ordinal) ? throw Refused("of a binary type") : text;
    }

    internal static ApiException Refused(string what) => ApiException.Invalid(
        $"The file is {what}, which is not read by this server. {Accepted}", "file");

    private static bool LooksLikeMarkdown(string text)
    {
        var lines = 0;
        foreach (var line in text.AsSpan().EnumerateLines())
        {
            if (++lines > 200)
            {
                return false;
            }

            var trimmed = line.TrimStart('#');
            var hashes = line.Length - trimmed.Length;
            if ((hashes is > 0 and <= 6 && trimmed.StartsWith(" ", StringComparison.Ordinal))
                || line.StartsWith("```", StringComparison.Ordinal)
                || (line.ContainsAny(MarkdownMarks) && line.Contains("](", StringComparison.Ordinal)))
            {
                return true;
            }
        }

        return false;
    }
}
