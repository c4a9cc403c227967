using System.Buffers.Binary;
using System.Globalization;
using System.IO.MemoryMappedFiles;

namespace Reeve.Reliability.Fuzz.Guided;

/// <summary>Where inputs are written that say something about one parser.</summary>
internal sealed class FuzzFolder(string folder, string target)
{
    private readonly string _name = string.Join('-', target.Split(
        [.. target.Where(static letter => !char.IsAsciiLetterOrDigit(letter))], StringSplitOptions.RemoveEmptyEntries));

    private string Current => Path.Combine(folder, $"{_name}.current");

    /// <summary>A new file with the input.</summary>
    internal string Keep(ReadOnlySpan<byte> input)
    {
        var findings = Directory.CreateDirectory(Path.Combine(folder, "findings"));
        for (var i = 1; ; i++)
        {
            var file = Path.Combine(findings.FullName, string.Create(CultureInfo.InvariantCulture, $"{_name}-{i}"));
            if (!File.Exists(file))
            {
                File.WriteAllBytes(file, input);
                return file;
            }
        }
    }

    /// <summary>Keeps the input at which the process ended.</summary>
    internal string KeepCurrent()
    {
        var bytes = File.ReadAllBytes(Current);
        return Keep(bytes.AsSpan(sizeof(int), BinaryPrimitives.ReadInt32LittleEndian(bytes)));
    }

    /// <summary>
    /// The memory of a file, which outlives the process: the length of the input at hand, 4 bytes, and then the input.
    /// </summary>
    internal MemoryMappedViewAccessor OpenCurrent(int lengthMax)
    {
        Directory.CreateDirectory(folder);
        using var file = MemoryMappedFile.CreateFromFile(Current, FileMode.Create, null, sizeof(int) + lengthMax);
        return file.CreateViewAccessor();
    }
}
