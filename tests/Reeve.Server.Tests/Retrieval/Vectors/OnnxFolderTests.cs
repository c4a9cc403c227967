using Reeve.Server.Retrieval.Vectors;

namespace Reeve.Server.Tests.Retrieval.Vectors;

/// <summary>What a folder with a local model may look like, and what is said of one that cannot be used.</summary>
public sealed class OnnxFolderTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("reeve-tiny-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Vectors_AreTheMeanOfTheTokens_WhoeverPools(bool pools)
    {
        using var model = OnnxEmbeddings.Load(TinyModel.Write(_folder, pools: pools));

        var made = await MakeAsync(
            model, "Automobile", "A quick, QUICK boat!", string.Concat(Enumerable.Repeat("car ", 5_000)));

        Assert.Equal([0, 5, 0], made.Select(static vector => Array.IndexOf(vector, vector.Max())));
        Assert.True(made[1][5] > 1.9 * made[1][2] && made[1][2] > 0);
        Assert.Equal(0, made[0].Skip(1).Sum());
    }

    [Fact]
    public async Task Vectors_OfManyTexts_AreThoseOfEachAlone()
    {
        using var model = OnnxEmbeddings.Load(TinyModel.Write(_folder));
        var texts = Enumerable.Range(0, 40).Select(static at =>
            string.Join(' ', Enumerable.Repeat(at % 2 == 0 ? "car boat boat" : "doctor", at + 1))).ToArray();

        var together = await MakeAsync(model, texts);

        for (var at = 0; at < texts.Length; at++)
        {
            Assert.Equal((await MakeAsync(model, texts[at]))[0], together[at]);
        }
    }

    [Fact]
    public async Task FirstToken_IsTheVector_WhereTheFolderSaysSo()
    {
        TinyModel.Write(_folder);
        Write("1_Pooling/config.json", """{"word_embedding_dimension":8,"pooling_mode_cls_token":true}""");
        using var model = OnnxEmbeddings.Load(_folder);

        Assert.Equal(new float[TinyModel.Length], (await MakeAsync(model, "car"))[0]); // That of [CLS].
    }

    [Fact]
    public async Task TokenizerJson_AndTheOtherFiles_AreRead()
    {
        TinyModel.Write(_folder);
        using var plain = OnnxEmbeddings.Load(_folder);
        File.Delete(Path.Combine(_folder, "vocab.txt"));
        Write("tokenizer.json", TinyModel.TokenizerJson());
        Write("sentence_bert_config.json", """{"max_seq_length":4,"do_lower_case":false}""");
        Write("config_sentence_transformers.json", """{"prompts":{"query":"ask: ","document":"say: "}}""");
        Directory.CreateDirectory(Path.Combine(_folder, "onnx"));
        File.Move(Path.Combine(_folder, "model.onnx"), Path.Combine(_folder, "onnx/model.onnx"));
        using var model = OnnxEmbeddings.Load(_folder);

        Assert.Equal(("ask: ", "say: "), (model.QuestionPrefix, model.PassagePrefix));
        Assert.NotEqual(plain.Name, model.Name);
        var made = (await MakeAsync(model, "car boat doctor"))[0]; // Two tokens, and those around them.
        Assert.Equal((0.25f, 0.25f, 0), (made[0], made[2], made[1]));
    }

    [Theory]
    [InlineData("none", "which does not exist.")]
    [InlineData("no model", "which has no model.onnx.")]
    [InlineData("no tokens", "which has neither vocab.txt nor tokenizer.json.")]
    [InlineData("BPE", "which has a tokenizer.json that is no WordPiece tokenizer; others are not supported.")]
    [InlineData("holes", "which has a tokenizer.json whose tokens are not numbered from 0 on, each once.")]
    [InlineData("no JSON", "which has a tokenizer.json that is no JSON: ")]
    [InlineData("no BERT", "which has a vocabulary that is none of BERT: ")]
    [InlineData("max", "which has a 1_Pooling/config.json that asks for another pooling than the mean of the tokens ")]
    [InlineData("length", "which has a sentence_bert_config.json whose max_seq_length is not from 3 to 8192.")]
    [InlineData("cut", "which has a model that does not run here: ")]
    [InlineData("pixels", "which has a model that asks for pixels (Int64); there are input_ids, attention_mask")]
    [InlineData("few rows", "which has a model that does not run here: ")]
    public void Load_OfWhatCannotBeUsed_SaysWhy(string fault, string message)
    {
        TinyModel.Write(_folder, input: fault == "pixels" ? "pixels" : "input_ids");
        var vocabulary = Path.Combine(_folder, "vocab.txt");
        switch (fault)
        {
            case "no model":
                File.Delete(Path.Combine(_folder, "model.onnx"));
                break;
            case "no tokens":
                File.Delete(vocabulary);
                break;
            case "BPE" or "holes" or "no JSON":
                File.Delete(vocabulary);
                Write("tokenizer.json", fault == "BPE" ? TinyModel.TokenizerJson("BPE")
                    : fault == "holes" ? """{"model":{"type":"WordPiece","vocab":{"[PAD]":1}}}""" : "{");
                break;
            case "no BERT":
                File.WriteAllText(vocabulary, "a\nb\n");
                break;
            case "max":
                Write("1_Pooling/config.json", """{"pooling_mode_max_tokens":true}""");
                break;
            case "length":
                Write("sentence_bert_config.json", """{"max_seq_length":2}""");
                break;
            case "cut":
                File.WriteAllBytes(Path.Combine(_folder, "model.onnx"), [8, 8, 58, 200]);
                break;
            case "few rows":
                File.WriteAllText(vocabulary, string.Concat(Enumerable.Range(0, 100).Select(static at => $"w{at}\n"))
                    + File.ReadAllText(vocabulary));
                break;
        }

        var error = Assert.Throws<StartException>(() =>
            OnnxEmbeddings.Load(fault == "none" ? _folder + "-not" : _folder));

        Assert.StartsWith("retrieval.embeddings names the folder ", error.Message, StringComparison.Ordinal);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Server_WithAFolderThatCannotBeUsed_DoesNotStart()
    {
        var error = await Assert.ThrowsAsync<StartException>(() => TestServer.StartAsync(options => options with
        {
            Retrieval = new RetrievalOptions { Embeddings = _folder },
        }));

        Assert.Contains("has no model.onnx", error.Message, StringComparison.Ordinal);
    }

    private void Write(string name, string text)
    {
        var path = Path.Combine(_folder, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
    }

    private static async Task<List<float[]>> MakeAsync(OnnxEmbeddings model, params string[] texts) =>
        [.. (await model.GenerateAsync(texts, null, TestContext.Current.CancellationToken))
            .Select(static one => one.Vector.ToArray())];
}
