using System.IO.Compression;

namespace Reeve.Server.Retrieval.Parsing;

/// <summary>
/// Refuses ZIP files that are bombs before anything reads them: what the directory declares is bounded first, and then
/// what comes out is counted, since a directory may lie.
/// </summary>
internal static class ZipParts
{
    private const int EntriesMax = 10_000;
    private const long BytesMax = 256L << 20;

    /// <summary>Above this many bytes, no more than <see cref="RatioMax"/> times the file may come out of it.</summary>
    private const long FreeBytes = 8L << 20;
    private const int RatioMax = 100;

    internal static void Check(byte[] file, string what)
    {
        if (FileTypes.IsOle(file))
        {
            throw ParseException.Encrypted(what);
        }

        try
        {
            using var archive = new ZipArchive(new MemoryStream(file, writable: false), ZipArchiveMode.Read);
            if (archive.Entries.Count > EntriesMax)
            {
                throw ParseException.TooComplex($"The file is a ZIP archive of more than {EntriesMax} parts.");
            }

            Bound(file, archive.Entries.Sum(static entry => entry.Length));
            var total = 0L;
            var buffer = new byte[81_920];
            foreach (var entry in archive.Entries)
            {
                if (entry.IsEncrypted)
                {
                    throw ParseException.Encrypted(what);
                }

                using var part = entry.Open();
                for (int read; (read = part.Read(buffer)) > 0;)
                {
                    Bound(file, total += read);
                }
            }
        }
        catch (Exception error) when (error is InvalidDataException or IOException or NotSupportedException
            or OverflowException)
        {
            throw ParseException.Damaged("its ZIP archive cannot be unpacked.", error);
        }
    }

    private static void Bound(byte[] file, long bytes)
    {
        if (bytes > BytesMax || (bytes > FreeBytes && bytes / RatioMax > file.Length))
        {
            throw new ParseException(ParseErrors.TooLarge, $"The file unpacks to more than {BytesMax >> 20} MB or to "
                + $"more than {RatioMax} times its size, as files do that are made to fill a server's memory.");
        }
    }
}
