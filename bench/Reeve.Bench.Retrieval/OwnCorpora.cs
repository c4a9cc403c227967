namespace Reeve.Bench.Retrieval;

/// <summary>The texts of <c>Corpus/</c>; each file says in its head how it is written.</summary>
internal static class OwnCorpora
{
    internal static Corpus Handbook()
    {
        var passages = new List<Passage>();
        var queries = new List<Query>();
        var foreign = new List<string>();
        foreach (var line in Lines("handbook.txt"))
        {
            if (line.StartsWith("## ", StringComparison.Ordinal))
            {
                passages.Add(new Passage(line[3..], "handbook", ""));
            }
            else if (line.StartsWith("? ", StringComparison.Ordinal))
            {
                var parts = line[2..].Split('|', StringSplitOptions.TrimEntries);
                queries.Add(new Query(
                    parts[0], "handbook", new Dictionary<string, int> { [passages[^1].Id] = 2 }, parts[1..]));
            }
            else if (line.StartsWith("! ", StringComparison.Ordinal))
            {
                foreign.Add(line[2..]);
            }
            else
            {
                Append(passages, line);
            }
        }

        return new Corpus("handbook", passages, queries) { Foreign = foreign };
    }

    internal static Corpus Abstracts()
    {
        var passages = new List<Passage>();
        var queries = new List<Query>();
        foreach (var line in Lines("abstracts.txt"))
        {
            if (line.StartsWith("## ", StringComparison.Ordinal))
            {
                var parts = line[3..].Split(": ", 2);
                passages.Add(new Passage(parts[0], "abstracts", $"# {parts[1]}\n"));
            }
            else if (line.StartsWith("? ", StringComparison.Ordinal))
            {
                var parts = line[2..].Split('|', StringSplitOptions.TrimEntries);
                var grades = parts[1].Split(' ').Select(static grade => grade.Split('='))
                    .ToDictionary(static grade => grade[0], static grade => grade[1] == "2" ? 2 : 1);
                queries.Add(grades.Keys.All(id => passages.Exists(passage => passage.Id == id))
                    ? new Query(parts[0], "abstracts", grades, [])
                    : throw new BenchException($"abstracts.txt judges an abstract that is not there: {line}"));
            }
            else
            {
                Append(passages, line);
            }
        }

        return new Corpus("abstracts", passages, queries);
    }

    private static void Append(List<Passage> passages, string line)
    {
        var passage = passages[^1];
        passages[^1] = passage with { Text = passage.Text.Length == 0 ? line : $"{passage.Text}\n{line}" };
    }

    private static IEnumerable<string> Lines(string name)
    {
        using var stream = typeof(OwnCorpora).Assembly.GetManifestResourceStream(name)
            ?? throw new BenchException($"The program was built without {name}.");
        using var reader = new StreamReader(stream);
        var isHead = true;
        while (reader.ReadLine() is { } line)
        {
            isHead &= !line.StartsWith("## ", StringComparison.Ordinal);
            if (!isHead && line.Length > 0)
            {
                yield return line;
            }
        }
    }
}
