using System.Buffers;
using System.Data.Common;
using System.Text;
using System.Text.Json;
using Reeve.Server.Storage;

namespace Reeve.Server.Audit;

/// <summary>
/// The chain of entries of each account. An entry is written in the transaction of what it tells of, after it, so that
/// neither is there without the other.
/// </summary>
internal static class AuditLog
{
    internal const int PageEntries = 500;

    private const string Columns =
        "SELECT account_id, seq, at, type, key_id, subject, detail, hash FROM audit_entries ";

    /// <summary>Adds an entry to the chain of the tenant; answers its number.</summary>
    internal static long Append(
        DbSession session, TenantContext tenant, string type, string subject, DateTimeOffset at, string detail = "{}")
    {
        var head = Head(session, tenant.AccountId);
        var entry = new AuditEntry(tenant.AccountId, (head?.Seq ?? 0) + 1, at.ToUnixTimeMilliseconds(), type,
            tenant.KeyId, subject, detail);
        session.Execute("INSERT INTO audit_entries (account_id, seq, at, type, key_id, subject, detail, hash) "
            + "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", entry.AccountId, entry.Seq, entry.At, entry.Type, entry.KeyId,
            entry.Subject, entry.Detail, entry.Hash(head is null ? AuditEntry.ChainStart : head.Hash));
        return entry.Seq;
    }

    /// <summary>Facts as the JSON of a detail.</summary>
    internal static string Detail(params ReadOnlySpan<(string Name, string? Value)> facts)
    {
        var buffer = new ArrayBufferWriter<byte>(128);
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            foreach (var (name, value) in facts)
            {
                writer.WriteString(name, value);
            }

            writer.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    /// <summary>The newest entry's number and hash; null for a chain that has not begun.</summary>
    internal static AuditHead? Head(DbSession session, string accountId) => session.Single(
        "SELECT seq, hash FROM audit_entries WHERE account_id = $1 ORDER BY seq DESC LIMIT 1",
        static row => new AuditHead(row.GetInt64(0), row.BytesOrNull(1) ?? []), accountId);

    /// <summary>Entries after the one of that number, at most a page, with the hash that each row has.</summary>
    internal static List<(AuditEntry Entry, byte[] Hash)> Read(DbSession session, string accountId, long after) =>
        session.List(Columns + "WHERE account_id = $1 AND seq > $2 ORDER BY seq LIMIT 500", Map, accountId, after);

    /// <summary>All accounts that have a chain.</summary>
    internal static List<string> Accounts(DbSession session)
    {
        var accounts = new List<string>();
        var after = "";
        while (session.Single("SELECT account_id FROM audit_entries WHERE account_id > $1 ORDER BY account_id LIMIT 1",
            static row => row.GetString(0), after) is { } next && next != after) // A damaged id may read as another.
        {
            accounts.Add(next);
            after = next;
        }

        return accounts;
    }

    // Whatever a damaged row has reads as something, and its hash tells.
    private static (AuditEntry Entry, byte[] Hash) Map(DbDataReader row) => (
        new AuditEntry(row.StringOrNull(0) ?? "", row.GetInt64(1), row.LongOrNull(2) ?? 0, row.StringOrNull(3) ?? "",
            row.StringOrNull(4), row.StringOrNull(5) ?? "", row.StringOrNull(6) ?? ""),
        row.BytesOrNull(7) ?? []);
}

/// <summary>How a chain stands: the number of its newest entry and that entry's hash.</summary>
internal sealed record AuditHead(long Seq, byte[] Hash);
