using System.Globalization;

namespace Reeve.Server.Retrieval.Parsing;

/// <summary>Why the text of a file cannot be had; the message is for whoever sent the file.</summary>
internal sealed class ParseException(string code, string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>Of <see cref="ParseErrors"/>.</summary>
    internal string Code { get; } = code;

    internal static ParseException Damaged(string what, Exception? inner = null) => new(ParseErrors.Damaged,
        $"The file is damaged or incomplete: {what} Save it again in the program that made it.", inner);

    internal static ParseException Encrypted(string what) => new(ParseErrors.Encrypted,
        $"The {what} is encrypted. Remove its password or its copy protection and send it again.");

    internal static ParseException TooComplex(string why) => new(ParseErrors.TooComplex, why);

    internal static ParseException TooMuchText(int charactersMax) => new(ParseErrors.TooLarge, string.Create(
        CultureInfo.InvariantCulture, $"The file has more than {charactersMax:N0} characters of text; split it."));
}

/// <summary>The codes of a document that failed (docs/documents.md).</summary>
internal static class ParseErrors
{
    internal const string Encrypted = "encrypted";
    internal const string Damaged = "damaged";
    internal const string TooLarge = "too_large";
    internal const string TooComplex = "too_complex";
    internal const string NoText = "no_text";
    internal const string TimedOut = "timed_out";
    internal const string OutOfMemory = "out_of_memory";
    internal const string ParserDied = "parser_died";
    internal const string Unavailable = "parser_unavailable";
}
