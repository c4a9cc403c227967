using System.Text.Encodings.Web;
using System.Text.Json;

namespace Reeve.Server.Tests.Spec;

/// <summary>The folder <c>spec</c> of the repository and how its files are written.</summary>
internal static class SpecFiles
{
    /// <summary>Set: what the server answers is written to <c>spec</c> instead of being compared with it.</summary>
    internal static readonly bool Records = Environment.GetEnvironmentVariable("REEVE_RECORD") == "1";

    internal static readonly string Root = Path.Combine(FindRoot(), "spec");

    private static readonly JsonWriterOptions Indented = new()
    {
        Indented = true,
        NewLine = "\n",
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    internal static string Traces => Path.Combine(Root, "traces");

    /// <summary>JSON that people read; numbers and the order of members stay as they were.</summary>
    internal static string Format(Action<Utf8JsonWriter> write)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, Indented))
        {
            write(writer);
        }

        return System.Text.Encoding.UTF8.GetString(buffer.ToArray()) + "\n";
    }

    /// <summary>Compares with the committed file, or writes it when recording.</summary>
    internal static void Check(string path, string? text)
    {
        if (Records)
        {
            if (text is null)
            {
                File.Delete(path);
            }
            else
            {
                File.WriteAllText(path, text);
            }

            return;
        }

        var committed = File.Exists(path) ? File.ReadAllText(path) : null;
        Assert.True(committed == text,
            $"{Path.GetRelativePath(Root, path)} is not what the server answers; "
            + "REEVE_RECORD=1 ./test writes it anew.\n"
            + $"--- committed\n{committed}\n--- answered\n{text}");
    }

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Reeve.slnx")))
        {
            folder = folder.Parent ?? throw new InvalidOperationException("The tests run inside the repository alone.");
        }

        return folder.FullName;
    }
}
