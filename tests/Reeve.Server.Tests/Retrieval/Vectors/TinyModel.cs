using System.Runtime.InteropServices;
using System.Text;

namespace Reeve.Server.Tests.Retrieval.Vectors;

/// <summary>
/// A sentence-transformer of a few words: each word points along what it means, so that <c>car</c> and
/// <c>automobile</c> are one, and a text is the mean of its words. Words that it does not know say nothing.
/// </summary>
internal static class TinyModel
{
    internal const int Length = 8;
    private const int TypeFloat = 1;
    private const int TypeInteger = 7;

    /// <summary>Words of one line mean the same.</summary>
    private static readonly string[][] Meanings =
    [
        ["car", "automobile", "vehicle"],
        ["doctor", "physician"],
        ["boat", "vessel"],
        ["money", "cash"],
        ["garden", "yard"],
        ["fast", "quick"],
        ["bread", "loaf"],
        ["teacher", "tutor"],
    ];

    private static readonly string[] Vocabulary =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", .. Meanings.SelectMany(static words => words)];

    /// <summary>
    /// Writes <c>model.onnx</c> and <c>vocab.txt</c>; <paramref name="turn"/> makes it another model.
    /// </summary>
    internal static string Write(string folder, int turn = 0, string input = "input_ids", bool pools = false)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "vocab.txt"), string.Join('\n', Vocabulary));
        File.WriteAllBytes(Path.Combine(folder, "model.onnx"), Bytes(turn, input, pools));
        return folder;
    }

    /// <summary>As a tokenizer.json has them.</summary>
    internal static string TokenizerJson(string type = "WordPiece") =>
        $$$"""
        {"normalizer":{"type":"BertNormalizer","lowercase":true},"model":{"type":"{{{type}}}","vocab":{
        """ + string.Join(',', Vocabulary.Select(static (word, id) => $"\"{word}\":{id}")) + "}}}";

    /// <summary>The same vectors, made here.</summary>
    internal static float[] Vector(string text, int turn = 0)
    {
        var vector = new float[Length];
        foreach (var word in text.ToLowerInvariant().Split(
            [' ', '.', ',', '?', '!', '\n'], StringSplitOptions.RemoveEmptyEntries))
        {
            var meaning = Array.FindIndex(Meanings, words => words.Contains(word));
            if (meaning >= 0)
            {
                vector[(meaning + turn) % Length] += 1;
            }
        }

        return vector;
    }

    // A model of ONNX is a message of protobuf; these are the fields that it needs.
    private static byte[] Bytes(int turn, string input, bool pools)
    {
        const int Opset = 13;
        var table = new float[Vocabulary.Length * Length];
        for (var id = 0; id < Vocabulary.Length; id++)
        {
            Vector(Vocabulary[id], turn).CopyTo(table.AsSpan(id * Length));
        }

        byte[] weights =
        [
            .. Number(1, Vocabulary.Length), .. Number(1, Length), .. Number(2, TypeFloat), .. Text(8, "table"),
            .. Message(9, MemoryMarshal.AsBytes(table.AsSpan()).ToArray()),
        ];
        var tokens = pools ? "tokens" : "last_hidden_state";
        var nodes = Message(1, [.. Text(1, "table"), .. Text(1, input), .. Text(2, tokens), .. Text(4, "Gather")]);
        if (pools)
        {
            byte[] axes = [.. Text(1, "axes"), .. Number(8, 1), .. Number(20, 7)];
            byte[] keep = [.. Text(1, "keepdims"), .. Number(3, 0), .. Number(20, 2)];
            nodes =
            [
                .. nodes,
                .. Message(1, [.. Text(1, tokens), .. Text(2, "sentence_embedding"), .. Text(4, "ReduceMean"),
                    .. Message(5, axes), .. Message(5, keep)]),
            ];
        }

        byte[] graph =
        [
            .. nodes, .. Text(2, "tiny"), .. Message(5, weights),
            .. Message(11, Value(input, TypeInteger, ["batch", "length"])),
            .. Message(11, Value("attention_mask", TypeInteger, ["batch", "length"])),
            .. Message(12, pools
                ? Value("sentence_embedding", TypeFloat, ["batch", "width"])
                : Value("last_hidden_state", TypeFloat, ["batch", "length", "width"])),
        ];
        return [.. Number(1, 8), .. Message(7, graph), .. Message(8, Number(2, Opset))];
    }

    private static byte[] Value(string name, int type, string[] dimensions)
    {
        var shape = dimensions.SelectMany(static dimension => Message(1, Text(2, dimension))).ToArray();
        return [.. Text(1, name), .. Message(2, Message(1, [.. Number(1, type), .. Message(2, shape)]))];
    }

    private static byte[] Text(int field, string text) => Message(field, Encoding.UTF8.GetBytes(text));

    private static byte[] Message(int field, byte[] content) =>
        [.. Varint((field << 3) | 2), .. Varint(content.Length), .. content];

    private static byte[] Number(int field, long value) => [.. Varint(field << 3), .. Varint(value)];

    private static List<byte> Varint(long value)
    {
        var bytes = new List<byte>();
        for (; value >= 0x80; value >>= 7)
        {
            bytes.Add((byte)(value | 0x80));
        }

        bytes.Add((byte)value);
        return bytes;
    }
}
