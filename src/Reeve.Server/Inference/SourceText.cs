using System.Text;

namespace Reeve.Server.Inference;

/// <summary>
/// How a retrieved chunk reads in a prompt: its text between marks that carry its id. The marks help a model tell a
/// document from its instructions; nothing relies on them.
/// </summary>
internal static class SourceText
{
    private const string Closing = "</source";

    internal static string Render(SourceContent source)
    {
        var text = new StringBuilder(source.Text.Length + 160);
        text.Append("<source id=\"").Append(source.ChunkId).Append("\" document=\"");
        AppendAttribute(text, source.DocumentName);
        for (var i = 0; i < source.Headings.Count; i++)
        {
            text.Append(i == 0 ? "\" section=\"" : " / ");
            AppendAttribute(text, source.Headings[i]);
        }

        // A document cannot close its own marks.
        return text.Append("\">\n")
            .Append(source.Text.Replace(Closing, "<\\/source", StringComparison.OrdinalIgnoreCase))
            .Append("\n</source>")
            .ToString();
    }

    /// <summary>About the bytes of <see cref="Render"/>, without rendering.</summary>
    internal static int BytesMax(SourceContent source)
    {
        const int Marks = 64;
        const int Separator = 3;
        var bytes = Marks + source.ChunkId.Length + Encoding.UTF8.GetByteCount(source.DocumentName)
            + Encoding.UTF8.GetByteCount(source.Text);
        for (var i = 0; i < source.Headings.Count; i++)
        {
            bytes += Separator + Encoding.UTF8.GetByteCount(source.Headings[i]);
        }

        return bytes;
    }

    private static void AppendAttribute(StringBuilder text, string value)
    {
        foreach (var character in value)
        {
            text.Append(character switch
            {
                '"' => '\'',
                '<' or '>' or < ' ' => ' ',
                _ => character,
            });
        }
    }
}
