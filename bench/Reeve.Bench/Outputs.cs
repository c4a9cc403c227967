using System.Text.Json;

namespace Reeve.Bench;

/// <summary>Writes the files that were asked for.</summary>
internal static class Outputs
{
    internal static async Task WriteAsync(
        BenchOptions options, BenchReport report, CancellationToken cancellationToken)
    {
        if (options.JsonFile is { } jsonFile)
        {
            var json = JsonSerializer.SerializeToUtf8Bytes(report, BenchJsonContext.Default.BenchReport);
            await File.WriteAllBytesAsync(jsonFile, json, cancellationToken);
        }

        if (options.MarkdownFile is { } markdownFile)
        {
            await File.WriteAllTextAsync(markdownFile, MarkdownReport.Render(report), cancellationToken);
        }
    }
}
