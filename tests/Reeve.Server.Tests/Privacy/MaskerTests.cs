using System.Text.Json;
using CsCheck;
using Reeve.Server.Privacy;

namespace Reeve.Server.Tests.Privacy;

public sealed class MaskerTests
{
    private static readonly string[] Data =
    [
        "ann@mail.example", "bob.o'neil@x.co.uk", "+47 22 33 44 55", "(555) 123-4567", "4111 1111 1111 1111",
        "DE89 3704 0044 0532 0130 00", "４１１１１１１１１１１１１１１１", "b\u200Bob@x\u00AD.io",
        "192.168.0.1", "2001:db8::1", "Ann Lee", "Lee", "[EMAIL_1]", "[TEXT_1]",
    ];

    private static readonly string[] Words =
        ["the", "quick", "[", "]", "[E", "EMAIL_1", "\n", "Ünder", "🦊", "_", "12", "a]", "[[", "2026-11-26", "said:"];

    [Fact]
    public void Mask_SameDatum_HasTheSamePlaceholderEverywhere()
    {
        var masker = new Masker(new PersonalData([]), ["Ann Lee"]);
        Assert.Equal("[NAME_1] ([EMAIL_1]), [EMAIL_2]", masker.Mask("Ann Lee (a@x.io), b@x.io"));
        Assert.Equal("Mail [EMAIL_1], [NAME_2]!", masker.Mask("Mail a@x.io, Ann!"));
        Assert.Equal("Mail a@x.io, Ann! [EMAIL_9]", masker.Restore("Mail [EMAIL_1], [NAME_2]! [EMAIL_9]"));
        Assert.Equal("Annual Leeds", masker.Mask("Annual Leeds"));
    }

    [Fact]
    public void Mask_Json_ReachesEveryStringAndNameAndComesBack()
    {
        var masker = new Masker(new PersonalData([]), []);
        var value = JsonElement.Parse("""{"a@x.io":["b@x.io",{"n":12,"t":"a@x.io"}],"z":null}""");
        var masked = masker.Mask(value);
        Assert.Equal("""{"[EMAIL_1]":["[EMAIL_2]",{"n":12,"t":"[EMAIL_1]"}],"z":null}""", masked.GetRawText());
        Assert.Equal(value.GetRawText(), masker.Restore(masked).GetRawText());
    }

    [Fact]
    public void Mask_NumberOfACard_IsMaskedInValuesAndLeftInSchemas()
    {
        var masker = new Masker(new PersonalData([]), []);
        var value = JsonElement.Parse("""{"n":4111111111111111,"m":[1.5,2026]}""");
        Assert.Equal("""{"n":"[CARD_1]","m":[1.5,2026]}""", masker.Mask(value).GetRawText());
        Assert.Equal(value.GetRawText(), masker.MaskSchema(value).GetRawText());
    }

    [Theory]
    [InlineData("José García", "jose garcia, JOSE\u0301 and García.", "[NAME_1], [NAME_2] and [NAME_3].")]
    [InlineData("A+ (B)*", "A+ (B)* or (B)*", "[NAME_1] or [NAME_2]")]
    [InlineData("李 明华", "我是李明华，叫明华。", "我是[NAME_1]，叫[NAME_2]。")]
    [InlineData("김철수", "김철수는 왔다", "[NAME_1]는 왔다")]
    [InlineData("Li", "Li, Lima, li's Oli", "[NAME_1], Lima, [NAME_2]'s Oli")]
    [InlineData("Z", "Z stays", "Z stays")]
    public void Mask_Name_IsFoundAsPeopleWriteIt(string name, string text, string masked)
    {
        var masker = new Masker(new PersonalData([]), [name]);
        Assert.Equal(masked, masker.Mask(text));
        Assert.Equal(text, masker.Restore(masked));
    }

    [Fact]
    public void Restore_IntoJson_IsEscaped()
    {
        var restorer = new Restorer(new Dictionary<string, string> { ["[NAME_1]"] = "A \"B\"" }, escapesJson: true);
        Assert.Equal("""{"n":"A \"B\""}""", restorer.Push("""{"n":"[NAME_1]"}""") + restorer.Flush());
    }

    /// <summary>Nothing of it is left in what is sent, and all of it is back in an echo cut anywhere.</summary>
    [Fact]
    public void Mask_AnyText_LeavesNothingAndRestoresWhole() => Gen.Select(
        Gen.Int[0, Data.Length + Words.Length - 1].Select(At).List[0, 30], Gen.Int[1, 7].Array[1, 200]).Sample(
        (pieces, cuts) =>
        {
            var text = string.Join(' ', pieces);
            var masker = new Masker(new PersonalData([]), ["Ann Lee"]);
            var masked = masker.Mask(text);
            foreach (var datum in Data.Where(static one => one[0] != '['))
            {
                Assert.DoesNotContain(datum, masked, StringComparison.Ordinal);
            }

            var restorer = new Restorer(masker.Originals, escapesJson: false);
            var (restored, at) = ("", 0);
            for (var i = 0; at < masked.Length; i++)
            {
                var length = Math.Min(cuts[i % cuts.Length], masked.Length - at);
                restored += restorer.Push(masked.Substring(at, length));
                at += length;
            }

            Assert.Equal(text, restored + restorer.Flush());
        }, iter: 20_000);

    private static string At(int index) => index < Data.Length ? Data[index] : Words[index - Data.Length];
}
