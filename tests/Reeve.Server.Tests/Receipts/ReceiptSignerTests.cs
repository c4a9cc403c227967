using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using CsCheck;
using NSec.Cryptography;
using Reeve.Server.Receipts;

namespace Reeve.Server.Tests.Receipts;

public sealed class ReceiptSignerTests : IDisposable
{
    // Test key 1 of RFC 8032.
    private readonly ReceiptSigner _signer = new(
        Convert.FromHexString("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"));

    private const string Published = """
        {"id":"rcpt_06GZGF6TYX6QCXR6Z1ERD40298","run_id":"run_06GZGF6TYJRGQV5NARXZR7KFJC",
        "account_id":"acct_06EY539WF2JMVJGR4MRBP7BD2C",
        "agent_id":"agt_06F7557C5CM18FNXB2V5D4V72R","agent_version":3,"model":"mesh/claude-sonnet-4.5",
        "provider":"anthropic","tier":"auto","privacy_class":"standard",
        "usage":{"input_tokens":1420,"output_tokens":24},
        "cost":{"upstream_usd":0.00462,"margin_usd":0.000462,"total_usd":0.005082},"latency_ms":3318,
        "input_sha256":"7cb504d53c4c77cc853707dc9d6cfc640719e02da63c3bbc72c2fbbc72177df7",
        "output_sha256":"1a188afd12cc2bbf59cfaae15f851e8c24fc06c8a520b33f83f8c30e90492982",
        "log_head":"e7a8505a356f2d5b6bdf999a617844e3157cea7c3806b078a77a1b8476b15557",
        "issued_at":"2026-11-20T09:15:03.530Z","key_id":"21fe31dfa154a261",
        "signature":"iPmRAt886Gd8fRY7jpkXmVYwbLvcDkzgfUJLDksTprLCxb7x-LlGskNLsn6q4qIVxG2-PuECHpQEcxHROSSRBA"}
        """;

    [Fact]
    public void Sign_PublishedReceipt_GivesThePublishedDocument() =>
        Assert.Equal(Published.ReplaceLineEndings(""), _signer.Sign(Sample));

    [Fact]
    public void Canonical_PublishedReceipt_HasThePublishedHash() => Assert.Equal(
        "6946564d672de638e611f3d60ee5e9a3e35fde1a7cf4304e6179074eaca48e6c",
        Convert.ToHexStringLower(SHA256.HashData(_signer.Canonical(Sample))));

    [Fact]
    public void KeyId_OfThePublishedKey_IsThePublishedOne()
    {
        Assert.Equal("21fe31dfa154a261", _signer.KeyId);
        Assert.Equal("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", Base64Url.EncodeToString(_signer.PublicKey));
    }

    [Fact]
    public void Canonical_AnyReceipt_IsWhatTheSignedDocumentCanonicalisesTo() => (
        from upstream in Gen.Long[0, 1L << 52]
        from margin in Gen.Long[0, 1L << 40]
        from tokens in Gen.Long[0, 1L << 53]
        from model in Gen.String.AlphaNumeric.Null()
        from isChat in Gen.Bool
        select Sample with
        {
            UpstreamMicroUsd = upstream,
            MarginMicroUsd = margin,
            InputTokens = tokens,
            Model = model,
            AgentId = isChat ? null : Sample.AgentId,
            AgentVersion = isChat ? null : 1,
        }).Sample(receipt =>
        {
            var canonical = _signer.Canonical(receipt).ToArray();
            var document = JsonElement.Parse(_signer.Sign(receipt));
            Assert.Equal(Encoding.UTF8.GetString(canonical),
                Encoding.UTF8.GetString(CanonicalJson.Serialize(document, "signature")));
            return SignatureAlgorithm.Ed25519.Verify(
                PublicKey.Import(SignatureAlgorithm.Ed25519, _signer.PublicKey, KeyBlobFormat.RawPublicKey), canonical,
                Base64Url.DecodeFromChars(document.GetProperty("signature").GetString()!));
        }, iter: 500);

    [Fact]
    public void Signature_AnyByteChanged_IsAnother()
    {
        var canonical = _signer.Canonical(Sample).ToArray();
        var signature = _signer.Signature(canonical);
        for (var i = 0; i < canonical.Length; i++)
        {
            canonical[i] ^= 1;
            Assert.NotEqual(signature, _signer.Signature(canonical));
            canonical[i] ^= 1;
        }
    }

    public void Dispose() => _signer.Dispose();

    internal static Receipt Sample => new()
    {
        Id = "rcpt_06GZGF6TYX6QCXR6Z1ERD40298",
        RunId = "run_06GZGF6TYJRGQV5NARXZR7KFJC",
        AccountId = "acct_06EY539WF2JMVJGR4MRBP7BD2C",
        AgentId = "agt_06F7557C5CM18FNXB2V5D4V72R",
        AgentVersion = 3,
        Model = "mesh/claude-sonnet-4.5",
        Provider = "anthropic",
        Tier = "auto",
        PrivacyClass = "standard",
        InputTokens = 1_420,
        OutputTokens = 24,
        UpstreamMicroUsd = 4_620,
        MarginMicroUsd = 462,
        LatencyMilliseconds = 3_318,
        InputSha256 = "7cb504d53c4c77cc853707dc9d6cfc640719e02da63c3bbc72c2fbbc72177df7",
        OutputSha256 = "1a188afd12cc2bbf59cfaae15f851e8c24fc06c8a520b33f83f8c30e90492982",
        LogHead = "e7a8505a356f2d5b6bdf999a617844e3157cea7c3806b078a77a1b8476b15557",
        IssuedAt = new DateTimeOffset(2026, 11, 20, 9, 15, 3, 530, TimeSpan.Zero),
    };
}
