using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Text;
using System.Text.Json;
using NSec.Cryptography;
using Reeve.Server.Http;

namespace Reeve.Server.Receipts;

/// <summary>Signs receipts: Ed25519 over the canonical JSON of all members but <c>signature</c>.</summary>
internal sealed class ReceiptSigner : IDisposable
{
    internal const int SeedLength = 32;
    private const double MicroUsdPerUsd = 1_000_000;

    private readonly Key _key;

    internal ReceiptSigner(ReadOnlySpan<byte> seed)
    {
        _key = Key.Import(SignatureAlgorithm.Ed25519, seed, KeyBlobFormat.RawPrivateKey);
        PublicKey = _key.PublicKey.Export(KeyBlobFormat.RawPublicKey);
        KeyId = ReceiptVerifier.KeyIdOf(PublicKey);
    }

    internal string KeyId { get; }

    internal byte[] PublicKey { get; }

    /// <summary>The receipt as JSON, its members in the order of the wire and the signature last.</summary>
    internal string Sign(Receipt receipt)
    {
        var signature = Signature(Canonical(receipt));
        var buffer = new ArrayBufferWriter<byte>(1_024);
        using (var writer = new Utf8JsonWriter(buffer, ApiJson.Writer))
        {
            Write(writer, receipt, signature);
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    /// <summary>The signature over bytes that are canonical already, in base64url without padding.</summary>
    internal string Signature(ReadOnlySpan<byte> canonical)
    {
        Span<byte> signature = stackalloc byte[SignatureAlgorithm.Ed25519.SignatureSize];
        SignatureAlgorithm.Ed25519.Sign(_key, canonical, signature);
        return Base64Url.EncodeToString(signature);
    }

    /// <summary>The signed bytes, written straight in the order of the names.</summary>
    internal ReadOnlySpan<byte> Canonical(Receipt receipt)
    {
        var writer = new CanonicalWriter();
        writer.StartObject();
        Member(writer, "account_id", receipt.AccountId);
        Member(writer, "agent_id", receipt.AgentId);
        writer.Name("agent_version");
        if (receipt.AgentVersion is { } version)
        {
            writer.Integer(version);
        }
        else
        {
            writer.Literal("null"u8);
        }

        writer.Name("cost");
        writer.StartObject();
        Usd(writer, "margin_usd", receipt.MarginMicroUsd);
        Usd(writer, "total_usd", receipt.UpstreamMicroUsd + receipt.MarginMicroUsd);
        Usd(writer, "upstream_usd", receipt.UpstreamMicroUsd);
        writer.EndObject();
        Member(writer, "id", receipt.Id);
        Member(writer, "input_sha256", receipt.InputSha256);
        Member(writer, "issued_at", Time(receipt.IssuedAt));
        Member(writer, "key_id", KeyId);
        Member(writer, "latency_ms", receipt.LatencyMilliseconds);
        Member(writer, "log_head", receipt.LogHead);
        Member(writer, "model", receipt.Model);
        Member(writer, "output_sha256", receipt.OutputSha256);
        Member(writer, "privacy_class", receipt.PrivacyClass);
        Member(writer, "provider", receipt.Provider);
        Member(writer, "run_id", receipt.RunId);
        Member(writer, "tier", receipt.Tier);
        writer.Name("usage");
        writer.StartObject();
        Member(writer, "input_tokens", receipt.InputTokens);
        Member(writer, "output_tokens", receipt.OutputTokens);
        writer.EndObject();
        writer.EndObject();
        return writer.Written;
    }

    public void Dispose() => _key.Dispose();

    private void Write(Utf8JsonWriter writer, Receipt receipt, string signature)
    {
        writer.WriteStartObject();
        writer.WriteString("id"u8, receipt.Id);
        writer.WriteString("run_id"u8, receipt.RunId);
        writer.WriteString("account_id"u8, receipt.AccountId);
        writer.WriteString("agent_id"u8, receipt.AgentId);
        writer.WritePropertyName("agent_version"u8);
        if (receipt.AgentVersion is { } version)
        {
            writer.WriteNumberValue(version);
        }
        else
        {
            writer.WriteNullValue();
        }

        writer.WriteString("model"u8, receipt.Model);
        writer.WriteString("provider"u8, receipt.Provider);
        writer.WriteString("tier"u8, receipt.Tier);
        writer.WriteString("privacy_class"u8, receipt.PrivacyClass);
        writer.WriteStartObject("usage"u8);
        writer.WriteNumber("input_tokens"u8, receipt.InputTokens);
        writer.WriteNumber("output_tokens"u8, receipt.OutputTokens);
        writer.WriteEndObject();
        writer.WriteStartObject("cost"u8);
        writer.WriteNumber("upstream_usd"u8, Money.Usd(receipt.UpstreamMicroUsd));
        writer.WriteNumber("margin_usd"u8, Money.Usd(receipt.MarginMicroUsd));
        writer.WriteNumber("total_usd"u8, Money.Usd(receipt.UpstreamMicroUsd + receipt.MarginMicroUsd));
        writer.WriteEndObject();
        writer.WriteNumber("latency_ms"u8, receipt.LatencyMilliseconds);
        writer.WriteString("input_sha256"u8, receipt.InputSha256);
        writer.WriteString("output_sha256"u8, receipt.OutputSha256);
        writer.WriteString("log_head"u8, receipt.LogHead);
        writer.WriteString("issued_at"u8, Time(receipt.IssuedAt));
        writer.WriteString("key_id"u8, KeyId);
        writer.WriteString("signature"u8, signature);
        writer.WriteEndObject();
    }

    private static string Time(DateTimeOffset time) =>
        time.UtcDateTime.ToString(WireTimeConverter.Format, CultureInfo.InvariantCulture);

    // The double nearest to the exact decimal: what a reader of the JSON number gets, so it must be what is signed.
    private static void Usd(CanonicalWriter writer, string name, long microUsd)
    {
        writer.Name(name);
        writer.Number(microUsd / MicroUsdPerUsd);
    }

    private static void Member(CanonicalWriter writer, string name, string? value)
    {
        writer.Name(name);
        writer.String(value);
    }

    private static void Member(CanonicalWriter writer, string name, long value)
    {
        writer.Name(name);
        writer.Integer(value);
    }
}
