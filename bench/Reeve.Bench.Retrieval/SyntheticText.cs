using System.Text;

namespace Reeve.Bench.Retrieval;

/// <summary>
/// Text whose words are as frequent as in a language: the word of rank r has the share 1 / r (Zipf). The first ranks
/// are English stop words, nearly half of all words then, as in English; the others are made of syllables. The same
/// seed always gives the same text.
/// </summary>
internal sealed class SyntheticText
{
    private const int Words = 50_000;
    private const int SentenceWords = 14;

    private const string StopWords = """
        the of and to in a is that for it as was with be by on not he his but at are this have from had or an they which
        you were their all one we her she there would if what who when been will more no out so into up do any some
        could them about than then other these may only such our over its me most after also did many off before must
        through your between where both under should each because those being same during against himself few how
        very my can here just own too until while again above below once him us why
        """;

    private static readonly string[] Syllables =
    [
        "ba", "ker", "lo", "min", "ta", "rud", "vel", "so", "gan", "pi", "tor", "mek", "la", "dro", "fen", "shu",
        "ral", "o", "zim", "ne", "cor", "ple", "ju", "hap", "ti", "bro", "wex", "da", "nol", "quer", "sti", "mu",
    ];

    private readonly string[] _vocabulary = new string[Words];
    private readonly double[] _upTo = new double[Words];
    private ulong _state;

    internal SyntheticText(ulong seed)
    {
        _state = seed;
        var stopWords = StopWords.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        var sum = 0.0;
        for (var rank = 0; rank < Words; rank++)
        {
            _vocabulary[rank] = rank < stopWords.Length ? stopWords[rank] : WordOf(rank);
            _upTo[rank] = sum += 1.0 / (rank + 1);
        }
    }

    /// <summary>A document of that many paragraphs, each of a length that makes it one chunk.</summary>
    internal List<string> Paragraphs(int count)
    {
        var paragraphs = new List<string>(count);
        for (var i = 0; i < count; i++)
        {
            var text = new StringBuilder();
            var length = 500 + Next(500);
            for (var word = 1; text.Length < length; word++)
            {
                text.Append(_vocabulary[Rank()]).Append(word % SentenceWords == 0 ? ". " : " ");
            }

            text[^1] = '.';
            paragraphs.Add(text.ToString());
        }

        return paragraphs;
    }

    /// <summary>Ten words in a row from somewhere in a paragraph: half are stop words, as in a question.</summary>
    internal string Question(string paragraph)
    {
        var words = paragraph.Split(' ');
        var start = Next(words.Length - 10);
        return string.Join(' ', words[start..(start + 10)]);
    }

    /// <summary>Five words that are no stop words and stand in many chunks each.</summary>
    internal string FrequentWords() =>
        string.Join(' ', Enumerable.Range(0, 5).Select(_ => _vocabulary[125 + Next(200)]));

    internal int Next(int below) => (int)(Random() % (ulong)below);

    private int Rank()
    {
        var at = Random() / (double)ulong.MaxValue * _upTo[^1];
        var index = Array.BinarySearch(_upTo, at);
        return Math.Min(index < 0 ? ~index : index, Words - 1);
    }

    private static string WordOf(int rank)
    {
        var word = new StringBuilder();
        for (var rest = (uint)rank * 2_654_435_761u % 1_048_576u; rest > 0 || word.Length < 3; rest /= 32)
        {
            word.Append(Syllables[rest % 32]);
        }

        return word.ToString();
    }

    // SplitMix64 (Steele, Lea and Flood, 2014).
    private ulong Random()
    {
        var mixed = _state += 0x9E3779B97F4A7C15;
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
        return mixed ^ (mixed >> 31);
    }
}
