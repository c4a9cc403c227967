using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.ML.Tokenizers;

namespace Reeve.Server.Retrieval.Vectors;

/// <summary>
/// A folder in the layout of sentence-transformers: <c>model.onnx</c> (or <c>onnx/model.onnx</c>), a WordPiece
/// tokenizer as <c>vocab.txt</c> or <c>tokenizer.json</c>, and, where they are there, length, pooling and prompts.
/// </summary>
internal sealed class OnnxFolder
{
    private const int TokensDefault = 256;
    private const int TokensMax = 8_192;
    private const long ModelBytesMax = 4L << 30;
    private const long FileBytesMax = 64L << 20;

    private readonly string _path;
    private readonly BertTokenizer _tokenizer;
    private readonly int _tokensMax = TokensDefault;

    private OnnxFolder(string path)
    {
        _path = path;
        ModelPath = Array.Find([File("model.onnx"), File("onnx/model.onnx")], System.IO.File.Exists)
            ?? throw Wrong("has no model.onnx");
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using (var model = System.IO.File.OpenRead(ModelPath))
        {
            hash.AppendData(model.Length <= ModelBytesMax
                ? SHA256.HashData(model) : throw Wrong("has a model of more than 4 GiB"));
        }

        if (Json("sentence_bert_config.json") is { } config
            && config.TryGetProperty("max_seq_length", out var length) && length.ValueKind == JsonValueKind.Number)
        {
            _tokensMax = length.TryGetInt32(out var tokens) && tokens is >= 3 and <= TokensMax
                ? tokens
                : throw Wrong($"has a sentence_bert_config.json whose max_seq_length is not from 3 to {TokensMax}");
        }

        TakesFirstToken = ReadPooling();
        (QuestionPrefix, PassagePrefix) = ReadPrompts();
        var (vocabulary, isLower) = ReadVocabulary();
        hash.AppendData(vocabulary);
        hash.AppendData(Encoding.UTF8.GetBytes(
            $"{_tokensMax} {TakesFirstToken} {isLower}\n{QuestionPrefix}\n{PassagePrefix}"));
        Name = $"onnx {Convert.ToHexStringLower(hash.GetHashAndReset())}";
        try
        {
            _tokenizer = BertTokenizer.Create(new MemoryStream(vocabulary), new BertOptions
            {
                LowerCaseBeforeTokenization = isLower,
                RemoveNonSpacingMarks = isLower,
            });
        }
        catch (Exception error) when (error is ArgumentException or InvalidOperationException or FormatException)
        {
            throw Wrong($"has a vocabulary that is none of BERT: {error.Message}", error);
        }
    }

    /// <summary>Of the content: another model, or other settings, have another.</summary>
    internal string Name { get; }

    internal string ModelPath { get; }

    /// <summary>True: the first token's vector is that of the text; false: the mean of all is.</summary>
    internal bool TakesFirstToken { get; }

    internal string QuestionPrefix { get; }

    internal string PassagePrefix { get; }

    internal long PaddingToken => _tokenizer.PaddingTokenId;

    /// <exception cref="StartException">It lacks something, or has what cannot be used.</exception>
    internal static OnnxFolder Read(string path)
    {
        if (!Directory.Exists(path))
        {
            throw new StartException($"retrieval.embeddings names the folder {path}, which does not exist.");
        }

        try
        {
            return new OnnxFolder(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new StartException(
                $"retrieval.embeddings names the folder {path}, which cannot be read: {error.Message}", error);
        }
    }

    internal StartException Wrong(string what, Exception? error = null)
    {
        var message = $"retrieval.embeddings names the folder {_path}, which {what.TrimEnd('.')}.";
        return error is null ? new StartException(message) : new StartException(message, error);
    }

    /// <summary>The tokens of a text, those around it among them; of a long one the first.</summary>
    internal IReadOnlyList<int> TokensOf(string text) => _tokenizer.EncodeToIds(
        text, _tokensMax, addSpecialTokens: true, out _, out _);

    private string File(string name) => Path.Combine(_path, name);

    private bool ReadPooling()
    {
        if (Json("1_Pooling/config.json") is not { } pooling)
        {
            return false;
        }

        var modes = pooling.EnumerateObject().Where(static member =>
            member.Name.StartsWith("pooling_mode_", StringComparison.Ordinal)
            && member.Value.ValueKind == JsonValueKind.True).Select(static member => member.Name).ToList();
        return modes switch
        {
            ["pooling_mode_mean_tokens"] => false,
            ["pooling_mode_cls_token"] => true,
            _ => throw Wrong("has a 1_Pooling/config.json that asks for another pooling than the mean of the tokens "
                + "or the first token"),
        };
    }

    private (string Question, string Passage) ReadPrompts()
    {
        if (Json("config_sentence_transformers.json") is not { } config
            || !config.TryGetProperty("prompts", out var prompts) || prompts.ValueKind != JsonValueKind.Object)
        {
            return ("", "");
        }

        return (Prompt("query") ?? "", Prompt("passage") ?? Prompt("document") ?? "");

        string? Prompt(string name) =>
            prompts.TryGetProperty(name, out var text) && text.ValueKind == JsonValueKind.String
                ? text.GetString() : null;
    }

    /// <summary>The tokens, a line each in the order of their ids, and whether texts become lower case.</summary>
    private (byte[] Lines, bool IsLower) ReadVocabulary()
    {
        var isLower = Json("tokenizer_config.json") is not { } config
            || !config.TryGetProperty("do_lower_case", out var lower) || lower.ValueKind != JsonValueKind.False;
        if (System.IO.File.Exists(File("vocab.txt")))
        {
            return (Bytes("vocab.txt")!, isLower);
        }

        if (Json("tokenizer.json") is not { } tokenizer)
        {
            throw Wrong("has neither vocab.txt nor tokenizer.json");
        }

        if (!tokenizer.TryGetProperty("model", out var model) || model.ValueKind != JsonValueKind.Object
            || !model.TryGetProperty("type", out var type) || type.ValueKind != JsonValueKind.String
            || type.GetString() != "WordPiece" || !model.TryGetProperty("vocab", out var vocabulary)
            || vocabulary.ValueKind != JsonValueKind.Object)
        {
            throw Wrong("has a tokenizer.json that is no WordPiece tokenizer; others are not supported");
        }

        if (tokenizer.TryGetProperty("normalizer", out var normalizer) && normalizer.ValueKind == JsonValueKind.Object
            && normalizer.TryGetProperty("lowercase", out lower))
        {
            isLower = lower.ValueKind != JsonValueKind.False;
        }

        var tokens = new string?[vocabulary.GetPropertyCount()];
        foreach (var token in vocabulary.EnumerateObject())
        {
            if (token.Value.ValueKind != JsonValueKind.Number || !token.Value.TryGetInt32(out var id) || id < 0
                || id >= tokens.Length || tokens[id] is not null || token.Name.AsSpan().ContainsAny('\r', '\n'))
            {
                throw Wrong("has a tokenizer.json whose tokens are not numbered from 0 on, each once");
            }

            tokens[id] = token.Name;
        }

        return (Encoding.UTF8.GetBytes(string.Join('\n', tokens)), isLower);
    }

    /// <summary>Null when it is not there.</summary>
    private JsonElement? Json(string name)
    {
        if (Bytes(name) is not { } bytes)
        {
            return null;
        }

        try
        {
            return JsonElement.Parse(bytes) is { ValueKind: JsonValueKind.Object } read
                ? read : throw Wrong($"has a {name} that is no JSON object");
        }
        catch (JsonException error)
        {
            throw Wrong($"has a {name} that is no JSON: {error.Message}", error);
        }
    }

    private byte[]? Bytes(string name)
    {
        var file = new FileInfo(File(name));
        return !file.Exists ? null
            : file.Length <= FileBytesMax ? System.IO.File.ReadAllBytes(file.FullName)
            : throw Wrong($"has a {name} of more than 64 MiB");
    }
}
