using Reeve.Server.Audit;

namespace Reeve.Server.Tests.Audit;

public sealed class AuditEntryTests
{
    private const string Account = "acct_06EY539WF2JMVJGR4MRBP7BD2C";
    private const string Key = "key_06EY539WGMFWP6BH2X299NJ97G";

    private static readonly AuditEntry Sample = new(
        Account, 2, 1_795_166_103_531, AuditTypes.KeyRevoked, Key, Key, """{"é":"1"}""");

    /// <summary>Hashes of another program, made from the words of docs/architecture.md.</summary>
    [Fact]
    public void Hash_OfAChain_IsThePublishedOne()
    {
        var first = new AuditEntry(
            Account, 1, 1_795_166_103_530, AuditTypes.AccountCreated, null, Account, "{}").Hash(AuditEntry.ChainStart);

        Assert.Equal("9399712242161a981df420973144cee3a48322a30f3fe3529e9665458490eb3c",
            Convert.ToHexStringLower(first));
        Assert.Equal("fc39a5b49ccc05896c0fa8b2da23e34a78a45bc40e0acff1cb7eaba0685d6368",
            Convert.ToHexStringLower(Sample.Hash(first)));
    }

    [Fact]
    public void Hash_OfEntriesThatDiffer_Differs()
    {
        AuditEntry[] all =
        [
            Sample, Sample with { Seq = 3 }, Sample with { At = 0 }, Sample with { AccountId = "acct_1" },
            Sample with { Type = AuditTypes.KeyLimited }, Sample with { KeyId = null }, Sample with { KeyId = "" },
            Sample with { Subject = Key[1..], KeyId = Key + Key[..1] }, Sample with { Subject = "" },
            Sample with { Detail = "{}" }, Sample with { Detail = new string('x', 5_000) },
            Sample with { Detail = new string('x', 5_001) },
        ];
        var hashes = all.Select(static entry => Convert.ToHexString(entry.Hash(AuditEntry.ChainStart))).ToHashSet();

        Assert.Equal(all.Length, hashes.Count);
        Assert.DoesNotContain(Convert.ToHexString(Sample.Hash([1, .. new byte[31]])), hashes);
    }
}
