using System.Diagnostics;
using System.Text;
using Reeve.Server.Privacy;

namespace Reeve.Server.Tests.Privacy;

public sealed class PersonalDataSpeedTests
{
    /// <summary>A bound that a machine under load keeps too; alone it does much more.</summary>
    [Fact]
    public void Mask_OrdinaryText_GoesByTheMegabyte()
    {
        var text = new StringBuilder();
        for (var i = 0; text.Length < 4_000_000; i++)
        {
            text.Append("The agent answers from the documents of the team, and cites them: each sentence is held ")
                .Append("against its chunk, so that a reader can trust what stands there in ").Append(2000 + (i % 30))
                .Append(i % 5 == 0 ? ". Write to ann.lee@mail.example or call +47 22 33 44 55.\n" : ".\n");
        }

        var masker = new Masker(new PersonalData([]), ["Ann Lee"]);
        var whole = text.ToString();
        masker.Mask(whole);
        var started = Stopwatch.GetTimestamp();
        masker.Mask(whole);
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        TestContext.Current.SendDiagnosticMessage("{0:0} MB/s", whole.Length / 1e6 / seconds);
        Assert.True(whole.Length / 1e6 / seconds > 5, $"{whole.Length / 1e6 / seconds:0.0} MB/s");
    }
}
