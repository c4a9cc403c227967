using System.Diagnostics;

namespace Reeve.Server.Retrieval.Parsing.Child;

/// <summary>
/// <c>reeve parse</c>: reads one file after the other from stdin and says on stdout what is in it, till stdin ends. It
/// opens no file and no connection. Whatever goes wrong with a file may end the process; the server starts another.
/// </summary>
internal static class ParserChild
{
    private const int OrderBytesMax = 4_096;
    private const int ReportMillisecondsMin = 100;

    /// <summary>A server that died cannot end a parser that hangs: it ends itself, so long after its time.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    internal static int Run(Stream input, Stream output)
    {
        while (ReadLine(input) is { } line)
        {
            var order = ParserWire.ReadOrder(line);
            var file = new byte[order.Bytes];
            input.ReadExactly(file);
            using var watchdog = new Timer(static _ => Environment.Exit(1), null,
                TimeSpan.FromSeconds(order.SecondsMax) + Grace, Timeout.InfiniteTimeSpan);
            output.Write(Answer(order.MimeType, file, output));
            output.Flush();
        }

        return 0;
    }

    private static byte[] Answer(string mimeType, byte[] file, Stream output)
    {
        var reported = Stopwatch.GetTimestamp();
        try
        {
            return ParserWire.Result(FileReaders.Read(mimeType, file, progress =>
            {
                if (Stopwatch.GetElapsedTime(reported).TotalMilliseconds >= ReportMillisecondsMin)
                {
                    reported = Stopwatch.GetTimestamp();
                    output.Write(ParserWire.Progress(progress));
                    output.Flush();
                }
            }));
        }
        catch (ParseException error)
        {
            return ParserWire.Error(error);
        }
        catch (OutOfMemoryException)
        {
            return ParserWire.Error(ParserFaults.OutOfMemory());
        }
        catch (InsufficientExecutionStackException)
        {
            return ParserWire.Error(ParserFaults.TooDeep());
        }
    }

    private static byte[]? ReadLine(Stream input)
    {
        var line = new List<byte>();
        for (int read; (read = input.ReadByte()) != '\n';)
        {
            if (read < 0 || line.Count >= OrderBytesMax)
            {
                return null;
            }

            line.Add((byte)read);
        }

        return [.. line];
    }
}
