using System.Globalization;
using System.Text.Json;

namespace Reeve.Bench.Retrieval;

/// <summary>Reads questions in the format of SQuAD 2.0; a group is an article.</summary>
internal static class SquadFile
{
    internal static Corpus Read(string path)
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(path));
        var passages = new List<Passage>();
        var queries = new List<Query>();
        var unanswerable = new List<Query>();
        foreach (var article in document.RootElement.GetProperty("data").EnumerateArray())
        {
            var title = article.GetProperty("title").GetString()!;
            foreach (var paragraph in article.GetProperty("paragraphs").EnumerateArray())
            {
                var id = passages.Count.ToString("D4", CultureInfo.InvariantCulture);
                passages.Add(new Passage(id, title, paragraph.GetProperty("context").GetString()!));
                foreach (var asked in paragraph.GetProperty("qas").EnumerateArray())
                {
                    var query = new Query(asked.GetProperty("question").GetString()!.Trim(), title,
                        new Dictionary<string, int> { [id] = 2 },
                        [.. asked.GetProperty("answers").EnumerateArray()
                            .Select(static answer => answer.GetProperty("text").GetString()!).Distinct()]);
                    (asked.GetProperty("is_impossible").GetBoolean() ? unanswerable : queries).Add(query);
                }
            }
        }

        return new Corpus("SQuAD", passages, queries) { Unanswerable = unanswerable };
    }
}
