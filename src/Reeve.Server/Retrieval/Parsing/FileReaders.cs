using System.Text.Json;
using System.Xml;
using DocumentFormat.OpenXml.Packaging;
using Reeve.Server.Http;
using UglyToad.PdfPig.Core;
using UglyToad.PdfPig.Exceptions;

namespace Reeve.Server.Retrieval.Parsing;

/// <summary>How far a reader is; <c>Unit</c> is <c>pages</c> or <c>bytes</c>.</summary>
internal readonly record struct ParseProgress(long Done, long Total, string Unit);

/// <summary>Reads the files whose formats are complex enough to be read in a process of its own.</summary>
internal static class FileReaders
{
    internal const int CharactersMax = 4_000_000;

    internal static bool Reads(string mimeType) => Find(mimeType) is not null;

    /// <exception cref="ParseException">The file has no text to give.</exception>
    internal static ExtractedText Read(string mimeType, byte[] file, Action<ParseProgress> report)
    {
        var writer = new BlockWriter(CharactersMax);
        try
        {
            Find(mimeType)!(file, writer, report);
        }
        catch (Exception error) when (Explain(error) is { } explained)
        {
            throw explained;
        }

        var text = writer.ToText();
        return text.Blocks.Count > 0 ? text : throw NoText(mimeType);
    }

    private static Action<byte[], BlockWriter, Action<ParseProgress>>? Find(string mimeType) => mimeType switch
    {
        FileTypes.Pdf => PdfText.Write,
        FileTypes.Word => static (file, writer, _) => WordText.Write(file, writer),
        FileTypes.Slides => SlideText.Write,
        FileTypes.Sheets => static (file, writer, _) => SheetText.Write(file, writer),
        FileTypes.Epub => static (file, writer, _) => EpubText.Write(file, writer),
        FileTypes.Mail => static (file, writer, _) => MailText.Write(file, writer),
        FileTypes.Csv => static (file, writer, _) => CsvText.Write(TextFormat.Decode(file), writer),
        FileTypes.Json => static (file, writer, _) => JsonText.Write(TextFormat.Decode(file), writer),
        _ => null,
    };

    // What the libraries throw at files that are broken; everything they may throw by mistake ends the process.
    private static ParseException? Explain(Exception error) => error switch
    {
        ParseException own => own,
        ApiException own => ParseException.TooComplex(own.Message),
        PdfDocumentEncryptedException => ParseException.Encrypted("PDF"),
        PdfDocumentStackDepthException => ParseException.TooComplex("The PDF is nested too deeply to be read."),
        OutOfMemoryException or InsufficientExecutionStackException => null,
        XmlException xml => ParseException.Damaged($"its XML is not well-formed at line {xml.LineNumber}.", error),
        JsonException json =>
            ParseException.Damaged($"its JSON is not valid at line {json.LineNumber + 1}.", error),
        InvalidDataException or OpenXmlPackageException or FormatException or PdfDocumentFormatException
            or EndOfStreamException => ParseException.Damaged("its parts do not fit together.", error),
        _ => ParseException.Damaged("it is not what its format asks for.", error),
    };

    private static ParseException NoText(string mimeType) => new(ParseErrors.NoText, mimeType == FileTypes.Pdf
        ? "The PDF has no text, only pictures of pages; run text recognition (OCR) over it and send the result."
        : "The document has no text to answer from.");
}
