namespace Reeve.Server.Storage;

/// <summary>Whose rows a store may see. Every lookup by a store takes one and filters by it.</summary>
internal readonly record struct TenantContext(string AccountId);
