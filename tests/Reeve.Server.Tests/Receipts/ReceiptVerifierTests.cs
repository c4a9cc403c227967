using System.Text;
using Reeve.Server.Receipts;

namespace Reeve.Server.Tests.Receipts;

public sealed class ReceiptVerifierTests
{
    private static readonly byte[] PublicKey =
        Convert.FromHexString("D75A980182B10AB7D54BFED3C964073A0EE172F3DAA62325AF021A68F707511A");

    private static readonly ReceiptVerifier Verifier = new(PublicKey);

    /// <summary>A receipt of test key 1 of RFC 8032; signatures of Ed25519 are the same each time.</summary>
    private static string Signed()
    {
        using var signer = new ReceiptSigner(
            Convert.FromHexString("9D61B19DEFFD5A60BA844AF492EC2CC44449C5697B326919703BAC031CAE7F60"));
        return signer.Sign(new Receipt
        {
            Id = "rcpt_06GZGF6TYX6QCXR6Z1ERD40298",
            RunId = "run_06GZGF6TYJRGQV5NARXZR7KFJC",
            AccountId = "acct_06EY539WF2JMVJGR4MRBP7BD2C",
            Tier = "auto",
            PrivacyClass = "standard",
            InputTokens = 1420,
            OutputTokens = 24,
            UpstreamMicroUsd = 4_620,
            MarginMicroUsd = 462,
            LatencyMilliseconds = 3_318,
            InputSha256 = new string('a', 64),
            OutputSha256 = new string('b', 64),
            LogHead = new string('c', 64),
            IssuedAt = TestServer.StartTime,
        });
    }

    [Fact]
    public void Verify_Genuine_IsValid() =>
        Assert.Equal(new ReceiptVerdict("21fe31dfa154a261", null), Verify(Signed()));

    [Theory]
    [InlineData("0.005082", "5.082e-3")]
    [InlineData("\"tier\":\"auto\"", "\"tier\" : \"\\u0061uto\"")]
    public void Verify_AnotherSpellingOfTheSame_IsValid(string from, string to) =>
        Assert.True(Verify(Signed().Replace(from, to, StringComparison.Ordinal)).IsValid);

    [Theory]
    [InlineData("0.005082", "0.005083", ReceiptVerdict.BadSignature)]
    [InlineData("\"tier\"", "\"alg\":\"none\",\"tier\"", ReceiptVerdict.BadSignature)]
    [InlineData("21fe31dfa154a261", "21fe31dfa154a262", ReceiptVerdict.UnknownKey)]
    [InlineData("\"key_id\":", "\"key_ID\":", ReceiptVerdict.Malformed)]
    [InlineData("\"tier\"", "\"tier\":\"best\",\"tier\"", ReceiptVerdict.Malformed)]
    [InlineData("\"signature\":\"", "\"signature\":\" ", ReceiptVerdict.Malformed)]
    [InlineData("\"signature\":\"", "\"signature\":\"*", ReceiptVerdict.Malformed)]
    [InlineData("3318", "1e400", ReceiptVerdict.Malformed)]
    [InlineData("{\"id\"", "[{\"id\"", ReceiptVerdict.Malformed)]
    public void Verify_Changed_IsRefused(string from, string to, string reason) =>
        Assert.Equal(reason, Verify(Signed().Replace(from, to, StringComparison.Ordinal)).Reason);

    /// <summary>The last character has bits to spare, so other texts are the same bytes.</summary>
    [Fact]
    public void Verify_OtherTextOfTheSameSignature_IsMalformed()
    {
        var receipt = Signed();
        var last = receipt[^3];
        var verdicts = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".Where(one => one != last)
            .Select(one => Verify($"{receipt[..^3]}{one}\"}}").Reason).ToList();

        Assert.Equal(63, verdicts.Count);
        Assert.DoesNotContain(null, verdicts);
    }

    private static ReceiptVerdict Verify(string receipt) => Verifier.Verify(Encoding.UTF8.GetBytes(receipt));
}
