using System.Text;

namespace Reeve.Bench.Retrieval;

/// <summary>Markdown, line by line: to the console at once, and to a file at the end when one was named.</summary>
internal sealed class Report(TextWriter? console)
{
    private readonly StringBuilder _text = new();

    internal void Line(string line)
    {
        _text.Append(line).Append('\n');
        console?.WriteLine(line);
    }

    internal async Task SaveAsync(string? file, CancellationToken cancellationToken)
    {
        if (file is not null)
        {
            await File.WriteAllTextAsync(file, _text.ToString(), cancellationToken);
        }
    }
}
