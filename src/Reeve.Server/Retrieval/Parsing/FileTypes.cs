using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using System.Text.Json;

namespace Reeve.Server.Retrieval.Parsing;

/// <summary>
/// Tells files apart by what is in them, without opening them: a walk over names and marks that allocates nothing.
/// </summary>
internal static class FileTypes
{
    internal const string Pdf = "application/pdf";
    internal const string Word = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
    internal const string Slides = "application/vnd.openxmlformats-officedocument.presentationml.presentation";
    internal const string Sheets = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
    internal const string Epub = "application/epub+zip";
    internal const string Mail = "message/rfc822";
    internal const string Csv = "text/csv";
    internal const string Json = "application/json";

    private const int EntriesMax = 10_000;
    private const int EndRecordBytes = 22;
    private const int EntryBytes = 46;

    /// <summary>The mark of a PDF may follow other bytes, within these.</summary>
    private const int PdfHeadBytes = 1_024;

    private static readonly SearchValues<byte> HeaderCharacters = SearchValues.Create(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"u8);

    /// <summary>The type of a file that is binary or a mail, and of which the parser reads; else null.</summary>
    internal static string? Find(ReadOnlySpan<byte> file, string name)
    {
        if (file[..Math.Min(file.Length, PdfHeadBytes)].IndexOf("%PDF-"u8) >= 0)
        {
            return Pdf;
        }

        if (file.StartsWith("PK"u8))
        {
            return OfZip(file);
        }

        return IsOle(file) ? OfOle(file, name) : LooksLikeMail(file, name) ? Mail : null;
    }

    /// <summary>The type of a text that has a syntax of its own; else null.</summary>
    internal static string? OfText(string text, string name)
    {
        if (IsJson(text))
        {
            return Json;
        }

        var first = text.AsSpan().TrimStart();
        return !first.StartsWith('<')
            && Path.GetExtension(name).ToUpperInvariant() is ".CSV" or ".TSV" or ".TAB" ? Csv : null;
    }

    /// <summary>The compound file of old Office, and of Office files with a password.</summary>
    internal static bool IsOle(ReadOnlySpan<byte> file) =>
        file.StartsWith((ReadOnlySpan<byte>)[0xD0, 0xCF, 0x11, 0xE0]);

    private static string? OfOle(ReadOnlySpan<byte> file, string name) =>
        file.IndexOf(Encoding.Unicode.GetBytes("EncryptedPackage")) < 0 ? null
        : Path.GetExtension(name).ToUpperInvariant() switch
        {
            ".XLSX" => Sheets,
            ".PPTX" => Slides,
            _ => Word,
        };

    /// <summary>Reads the directory of a ZIP, which stands at its end.</summary>
    private static string? OfZip(ReadOnlySpan<byte> file)
    {
        var tail = Math.Max(0, file.Length - ushort.MaxValue - EndRecordBytes);
        var end = file[tail..].LastIndexOf("PK\u0005\u0006"u8);
        if (end < 0 || file.Length - tail - end < EndRecordBytes)
        {
            return ByLocalNames(file);
        }

        var at = (long)BinaryPrimitives.ReadUInt32LittleEndian(file[(tail + end + 16)..]);
        for (var count = 0; count < EntriesMax && at + EntryBytes <= file.Length; count++)
        {
            var entry = file[(int)at..];
            if (!entry.StartsWith("PK\u0001\u0002"u8))
            {
                break;
            }

            var nameLength = BinaryPrimitives.ReadUInt16LittleEndian(entry[28..]);
            if (nameLength <= entry.Length - EntryBytes && OfPart(entry.Slice(EntryBytes, nameLength)) is { } type)
            {
                return type;
            }

            at += EntryBytes + nameLength + BinaryPrimitives.ReadUInt16LittleEndian(entry[30..])
                + BinaryPrimitives.ReadUInt16LittleEndian(entry[32..]);
        }

        return null;
    }

    // The directory is gone: what the file began as is known all the same, and the reader says that it is damaged.
    private static string? ByLocalNames(ReadOnlySpan<byte> file) =>
        file.IndexOf("word/document"u8) >= 0 ? Word
        : file.IndexOf("ppt/presentation"u8) >= 0 ? Slides
        : file.IndexOf("xl/workbook"u8) >= 0 ? Sheets
        : file.IndexOf("META-INF/container.xml"u8) >= 0 ? Epub : null;

    private static string? OfPart(ReadOnlySpan<byte> name) =>
        name.StartsWith("word/document"u8) ? Word
        : name.StartsWith("ppt/presentation"u8) ? Slides
        : name.StartsWith("xl/workbook"u8) ? Sheets
        : name.SequenceEqual("META-INF/container.xml"u8) ? Epub : null;

    private static bool LooksLikeMail(ReadOnlySpan<byte> file, string name)
    {
        var known = 0;
        var head = file[..Math.Min(file.Length, 32_768)];
        head = head.StartsWith((ReadOnlySpan<byte>)[0xEF, 0xBB, 0xBF]) ? head[3..] : head;
        foreach (var range in head.Split((byte)'\n'))
        {
            var line = head[range].TrimEnd((byte)'\r');
            if (line.Length == 0)
            {
                break;
            }

            if (line[0] is (byte)' ' or (byte)'\t')
            {
                continue;
            }

            var colon = line.IndexOf((byte)':');
            if (colon <= 0 || line[..colon].ContainsAnyExcept(HeaderCharacters))
            {
                return false;
            }

            known += IsMailHeader(line[..colon]) ? 1 : 0;
        }

        return known >= (Path.GetExtension(name).Equals(".eml", StringComparison.OrdinalIgnoreCase) ? 1 : 3);
    }

    private static bool IsMailHeader(ReadOnlySpan<byte> name) =>
        Encoding.ASCII.GetString(name).ToUpperInvariant() is "FROM" or "TO" or "SUBJECT" or "DATE" or "MESSAGE-ID"
            or "RECEIVED" or "MIME-VERSION" or "RETURN-PATH" or "DELIVERED-TO" or "CONTENT-TYPE" or "REPLY-TO" or "CC";

    // Valid as far as it goes, but for its depth, which the reader judges.
    private static bool IsJson(string text)
    {
        var trimmed = text.AsSpan().Trim();
        if (trimmed.Length < 2 || (trimmed[0], trimmed[^1]) is not (('{', '}') or ('[', ']')))
        {
            return false;
        }

        try
        {
            var options = new JsonReaderOptions { MaxDepth = 1_000_000 };
            var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(text), options);
            while (reader.Read())
            {
                // To its end: a text that only begins like JSON is prose.
            }

            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
