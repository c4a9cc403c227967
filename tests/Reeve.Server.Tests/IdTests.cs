using CsCheck;
using Microsoft.Extensions.Time.Testing;

namespace Reeve.Server.Tests;

public sealed class IdTests
{
    private const string Documented = "agt_06F7557C5CM18FNXB2V5D4V72R";

    [Fact]
    public void Encode_DocumentedBytes_IsTheDocumentedId() =>
        Assert.Equal(Documented, Id.Encode(Id.Agent, Convert.FromHexString("019e7294ec2b28143ebd58b656936716")));

    [Fact]
    public void TryParse_EncodedBytesInAnyLetterCase_GivesTheCanonicalForm() => Gen.Select(Gen.Byte.Array[16], Gen.Bool)
        .Sample(static (bytes, upper) =>
        {
            var id = Id.Encode(Id.Run, bytes);
            Assert.True(Id.TryParse(Id.Run, upper ? id.ToUpperInvariant() : Lower(id), out var parsed));
            Assert.Equal(id, parsed);
        });

    [Fact]
    public void Encode_Bytes_KeepsTheirOrder() => Gen.Select(Gen.Byte.Array[16], Gen.Byte.Array[16]).Sample(
        static (left, right) => Assert.Equal(
            Math.Sign(left.AsSpan().SequenceCompareTo(right)),
            Math.Sign(string.CompareOrdinal(Id.Encode(Id.Run, left), Id.Encode(Id.Run, right)))));

    [Theory]
    [InlineData("")]
    [InlineData("agt_")]
    [InlineData("06F7557C5CM18FNXB2V5D4V72R")]
    [InlineData("msg_06F7557C5CM18FNXB2V5D4V72R")]
    [InlineData("agt-06F7557C5CM18FNXB2V5D4V72R")]
    [InlineData("agt_06F7557C5CM18FNXB2V5D4V72")]
    [InlineData("agt_06F7557C5CM18FNXB2V5D4V72R0")]
    [InlineData("agt_I6F7557C5CM18FNXB2V5D4V72R")]
    [InlineData("agt_U6F7557C5CM18FNXB2V5D4V72R")]
    [InlineData("agt_06F7557C5CM18FNXB2V5D4V72S")] // padding
    [InlineData("agt_06F7557C5CM18FNXB2V5D4V72\u0131")]
    [InlineData(null)]
    public void TryParse_NoSuchForm_IsFalse(string? text) => Assert.False(Id.TryParse(Id.Agent, text, out _));

    [Fact]
    public void WithPrefix_AConversation_IsTheSameTask() =>
        Assert.Equal("task_06F7557C5CM18FNXB2V5D4V72R", Id.WithPrefix("task", "conv_06F7557C5CM18FNXB2V5D4V72R"));

    [Fact]
    public void New_FromManyThreads_OnlyGrowsAndNeverRepeats()
    {
        var ids = new IdGenerator(new FakeTimeProvider(TestServer.StartTime)
        {
            AutoAdvanceAmount = TimeSpan.FromMicroseconds(50),
        });
        var made = new List<string>[4];

        Parallel.For(0, made.Length, worker =>
            made[worker] = [.. Enumerable.Range(0, 20_000).Select(_ => ids.New(Id.Run))]);

        Assert.All(made, static mine => Assert.Equal(mine.Order(StringComparer.Ordinal), mine));
        Assert.Equal(80_000, made.SelectMany(static mine => mine).Distinct().Count());
    }

    [Fact]
    public void New_AfterTheClockWasSetBack_StillGrows()
    {
        var clock = new SettableClock { Now = TestServer.StartTime };
        var ids = new IdGenerator(clock);
        var before = ids.New(Id.Run);

        clock.Now -= TimeSpan.FromHours(1);

        Assert.True(string.CompareOrdinal(ids.New(Id.Run), before) > 0);
    }

    private sealed class SettableClock : TimeProvider
    {
        internal DateTimeOffset Now { get; set; }

        public override DateTimeOffset GetUtcNow() => Now;
    }

    private static string Lower(string id) => string.Concat(id.Select(char.ToLowerInvariant));
}
