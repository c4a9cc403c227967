using Reeve.Server.Storage;

namespace Reeve.Server.Accounts;

/// <summary>Who makes a request: the account and the key, as they were when the request came in.</summary>
internal sealed record Caller(Account Account, ApiKey Key)
{
    internal TenantContext Tenant => new(Account.Id);

    /// <summary><c>live</c> or <c>test</c>: which balance is spent.</summary>
    internal string Mode => Key.Kind == ApiKeyKinds.MeshTest ? "test" : "live";

    internal bool HasScope(string scope) => Key.Scopes.Contains(scope) || Key.Scopes.Contains(ApiKeyScopes.Admin);
}
