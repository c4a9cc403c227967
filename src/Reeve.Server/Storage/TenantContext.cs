namespace Reeve.Server.Storage;

/// <summary>Whose rows a store may see. Every lookup by a store takes one and filters by it.</summary>
internal readonly record struct TenantContext(string AccountId)
{
    /// <summary>
    /// The key that asks, for the audit; null when the server acts by itself. Who asks makes no other tenant.
    /// </summary>
    internal string? KeyId { get; init; }

    public bool Equals(TenantContext other) => AccountId == other.AccountId;

    public override int GetHashCode() => AccountId.GetHashCode(StringComparison.Ordinal);
}
