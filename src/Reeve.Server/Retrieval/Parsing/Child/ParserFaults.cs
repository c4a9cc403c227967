namespace Reeve.Server.Retrieval.Parsing.Child;

/// <summary>Why a parser did not come to the end of a file, in words for whoever sent it.</summary>
internal static class ParserFaults
{
    internal static ParseException OutOfMemory() => new(ParseErrors.OutOfMemory,
        "Reading the file took more memory than a document may take; split it or send its text.");

    internal static ParseException TooDeep() =>
        ParseException.TooComplex("The parts of the file are nested in each other too deeply to be read.");

    internal static ParseException TimedOut(int seconds) => new(ParseErrors.TimedOut,
        $"Reading the file took longer than {seconds} seconds; split it or send its text.");

    internal static ParseException Died() => new(ParseErrors.ParserDied,
        "The parser broke off at this file, which is damaged or made to do that. Save it again in another program.");

    internal static ParseException Unavailable() => new(ParseErrors.Unavailable,
        "The server could not start its parser; try the document again when its operator has looked at the log.");
}
