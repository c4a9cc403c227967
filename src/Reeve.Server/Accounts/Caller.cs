using Microsoft.AspNetCore.Http.Features;
using Reeve.Server.Storage;

namespace Reeve.Server.Accounts;

/// <summary>Who makes a request: the account and the key, as they were when the request came in.</summary>
internal sealed record Caller(Account Account, ApiKey Key)
{
    internal TenantContext Tenant => new(Account.Id) { KeyId = Key.Id };

    /// <summary><c>live</c> or <c>test</c>: which balance is spent.</summary>
    internal string Mode => Key.Kind == ApiKeyKinds.MeshTest ? "test" : "live";

    /// <summary>Cancelled when the key is revoked: streams that it opened are to end.</summary>
    internal CancellationToken Revoked { get; init; }

    internal bool HasScope(string scope) => Key.Scopes.Contains(scope) || Key.Scopes.Contains(ApiKeyScopes.Admin);
}

internal static class CallerOfRequest
{
    /// <summary>Who makes this request; only endpoints that are not public have a caller.</summary>
    internal static Caller Caller(this HttpContext context) => context.Features.GetRequiredFeature<Caller>();
}
