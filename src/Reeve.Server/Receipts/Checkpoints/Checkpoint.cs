using System.Text;
using System.Text.Json;
using Reeve.Server.Audit;
using Reeve.Server.Http;

namespace Reeve.Server.Receipts.Checkpoints;

/// <summary>A signed statement of how the chain of an account stood.</summary>
internal sealed record Checkpoint(string AccountId, long Seq, string Head, string Document)
{
    /// <summary>Tells it from all else that the key signs.</summary>
    internal const string Type = "audit.checkpoint";

    internal static Checkpoint Sign(ReceiptSigner signer, string accountId, AuditHead head, DateTimeOffset at)
    {
        var hash = Convert.ToHexStringLower(head.Hash);
        var document = SignedJson.Sign(signer, writer =>
        {
            writer.WriteString("type"u8, Type);
            writer.WriteString("account_id"u8, accountId);
            writer.WriteNumber("seq"u8, head.Seq);
            writer.WriteString("head"u8, hash);
            writer.WriteTime("issued_at"u8, at);
        });
        return new Checkpoint(accountId, head.Seq, hash, Encoding.UTF8.GetString(document));
    }

    /// <summary>
    /// What a document says; null when it is no checkpoint. Whether it is genuine, its signature tells.
    /// </summary>
    internal static Checkpoint? Read(string document)
    {
        try
        {
            using var json = RequestBody.Parse(Encoding.UTF8.GetBytes(document));
            var root = json.RootElement;
            return root.Text("type") == Type && root.Text("account_id") is { } account && root.Text("head") is { } head
                && root.TryGetProperty("seq", out var number) && number.ValueKind == JsonValueKind.Number
                && number.TryGetInt64(out var seq)
                ? new Checkpoint(account, seq, head, document)
                : null;
        }
        catch (ApiException)
        {
            return null;
        }
    }

    /// <summary>The reason why the signature is not one of these keys; null when it is.</summary>
    internal string? Problem(ReceiptVerifier keys)
    {
        using var json = RequestBody.Parse(Encoding.UTF8.GetBytes(Document));
        return keys.VerifySignature(json.RootElement).Reason;
    }
}
