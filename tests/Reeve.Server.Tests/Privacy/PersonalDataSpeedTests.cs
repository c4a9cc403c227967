using System.Diagnostics;
using System.Text;
using Reeve.Server.Privacy;

namespace Reeve.Server.Tests.Privacy;

public sealed class PersonalDataSpeedTests
{
    /// <summary>A bound that a machine under load keeps too; alone it does many times as much.</summary>
    [Theory]
    [InlineData("ordinary", "", 10)]
    [InlineData("Unicode", "Grüße, “quoted” — and 東京 ", 5)]
    [InlineData("numbers", "12,345.67 2026-11-26 ", 3)]
    public void Mask_Text_GoesByTheMegabyte(string kind, string more, int bound)
    {
        var text = new StringBuilder();
        for (var i = 0; text.Length < 1_000_000; i++)
        {
            text.Append("The agent answers from the documents of the team, and cites them: each sentence is held ")
                .Append("against its chunk, so that a reader can trust what stands there in ").Append(2000 + (i % 30))
                .Append(more).Append(more)
                .Append(i % 5 == 0 ? ". Write to ann.lee@mail.example or call +47 22 33 44 55.\n" : ".\n");
        }

        var masker = new Masker(new PersonalData([]), ["Ann Lee"]);
        var whole = text.ToString();
        var best = 0.0;
        for (var round = 0; round < 20; round++) // The first ones run before the code is optimized.
        {
            var started = Stopwatch.GetTimestamp();
            masker.Mask(whole);
            best = Math.Max(best, whole.Length / 1e6 / Stopwatch.GetElapsedTime(started).TotalSeconds);
        }

        TestContext.Current.SendDiagnosticMessage("{0}: {1:0} MB/s", kind, best);
        Assert.True(best > bound, $"{kind}: {best:0.0} MB/s");
    }

    [Fact]
    public void Restore_Stream_GoesByTheMegabyte()
    {
        var masker = new Masker(new PersonalData([]), []);
        var masked = masker.Mask("Write to ann.lee@mail.example, says the answer [1], and wait for what comes of it. ");
        var pieces = string.Concat(Enumerable.Repeat(masked, 10_000)).Chunk(20).Select(static one => new string(one))
            .ToList();
        var best = 0.0;
        for (var round = 0; round < 20; round++)
        {
            var restorer = new Restorer(masker.Originals, escapesJson: false);
            var (started, length) = (Stopwatch.GetTimestamp(), 0);
            foreach (var piece in pieces)
            {
                length += restorer.Push(piece).Length;
            }

            best = Math.Max(best, length / 1e6 / Stopwatch.GetElapsedTime(started).TotalSeconds);
        }

        TestContext.Current.SendDiagnosticMessage("a stream of pieces of 20: {0:0} MB/s", best);
        Assert.True(best > 5, $"{best:0.0} MB/s");
    }

    /// <summary>Digits, marks and brackets that are nothing: none of it may take time by its square.</summary>
    [Theory]
    [InlineData("1")]
    [InlineData("1 ")]
    [InlineData("+(")]
    [InlineData("a@")]
    [InlineData("a.@a")]
    [InlineData("\"")]
    [InlineData("\"@")]
    [InlineData(":a1")]
    [InlineData("GB82")]
    [InlineData("GB82 ")]
    [InlineData("[")]
    [InlineData("[A")]
    [InlineData("[A_1")]
    [InlineData("%40")]
    [InlineData("An")]
    [InlineData("\u200B1")]
    [InlineData("e\u0301")]
    [InlineData("x_")]
    public void Mask_TextThatOnlyLooksLikeIt_IsReadOnce(string piece)
    {
        var text = string.Concat(Enumerable.Repeat(piece, 300_000)) + "1@";
        var masker = new Masker(new PersonalData([]), ["An Anne"]);
        var started = Stopwatch.GetTimestamp();
        masker.Mask(text);
        var restorer = new Restorer(masker.Originals, escapesJson: false);
        foreach (var one in text.Chunk(1_000))
        {
            restorer.Push(new string(one));
        }

        Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(5));
    }
}
