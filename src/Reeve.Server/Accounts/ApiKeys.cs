using System.Globalization;
using System.Text.Json;
using Reeve.Server.Audit;
using Reeve.Server.Http;
using Reeve.Server.Storage;

namespace Reeve.Server.Accounts;

/// <summary>A key that is asked for.</summary>
internal sealed record NewApiKey(string Name, IReadOnlyList<string> Scopes)
{
    internal string Kind { get; init; } = ApiKeyKinds.MeshLive;

    internal UsageLimits Limits { get; init; } = UsageLimits.None;

    internal DateTimeOffset? ExpiresAt { get; init; }

    internal string? AgentId { get; init; }

    internal IReadOnlyList<string>? AllowedOrigins { get; init; }
}

/// <summary>Makes, lists, limits and revokes the keys of an account.</summary>
internal sealed class ApiKeys(
    Database database, ApiKeyHasher hasher, ApiKeyDirectory directory, IdGenerator ids, TimeProvider time)
{
    /// <summary>Makes a key for a caller, which must not get more by it than it has; answers its text too.</summary>
    internal Task<(ApiKey Key, string Text)> CreateAsync(Caller maker, NewApiKey wanted)
    {
        RefuseWider(maker, wanted);
        return database.WriteAsync(session =>
        {
            if (wanted.AgentId is { } agentId && !ApiKeyStore.AgentExists(session, maker.Tenant, agentId))
            {
                throw ApiException.NotFound("agent", "agent_id");
            }

            return Create(session, maker.Tenant, wanted, ApiKeyText.Make(wanted.Kind));
        });
    }

    /// <summary>Makes a key with a known text, inside a transaction; who may do that was decided before.</summary>
    internal (ApiKey Key, string Text) Create(DbSession session, TenantContext tenant, NewApiKey wanted, string text)
    {
        var key = new ApiKey
        {
            Id = ids.New(Id.Key),
            Name = wanted.Name,
            Kind = wanted.Kind,
            Scopes = wanted.Scopes.ToHashSet(StringComparer.Ordinal),
            LastFour = text[^4..],
            Limits = wanted.Limits,
            ExpiresAt = wanted.ExpiresAt,
            AgentId = wanted.AgentId,
            AllowedOrigins = wanted.AllowedOrigins,
            CreatedAt = DateTimeOffset.FromUnixTimeMilliseconds(time.GetUtcNow().ToUnixTimeMilliseconds()),
        };
        ApiKeyStore.Insert(session, tenant, key, hasher.Hash(text));
        AuditLog.Append(session, tenant, AuditTypes.KeyCreated, key.Id, key.CreatedAt, AuditLog.Detail(
            ("kind", key.Kind), ("scopes", string.Join(' ', key.Scopes)), ("limits", Text(key.Limits)),
            ("expires_at", key.ExpiresAt?.ToString("O", CultureInfo.InvariantCulture))));
        return (key, text);
    }

    internal ApiKey? FindByText(DbSession session, string text) =>
        ApiKeyStore.FindByHash(session, hasher.Hash(text).ToArray())?.Key;

    internal List<ApiKey> List(TenantContext tenant, PageQuery page) =>
        database.Read(session => ApiKeyStore.List(session, tenant, page.After, page.Limit + 1));

    /// <summary>Changes the limits as <paramref name="change"/> says; null when the account has no such key.</summary>
    internal async Task<ApiKey?> LimitAsync(Caller maker, string id, Func<UsageLimits, UsageLimits> change)
    {
        var tenant = maker.Tenant;
        var key = await database.WriteAsync(session =>
        {
            if (ApiKeyStore.Find(session, tenant, id) is not { } found)
            {
                return null;
            }

            var changed = found with { Limits = change(found.Limits) };
            RefuseLooser(maker, changed.Limits);
            ApiKeyStore.SetLimits(session, tenant, id, changed.Limits);
            AuditLog.Append(session, tenant, AuditTypes.KeyLimited, id, time.GetUtcNow(),
                AuditLog.Detail(("limits", Text(changed.Limits))));
            return changed;
        });
        directory.Changed();
        return key;
    }

    /// <summary>Revokes for good; false when the account has no such key. The last live admin key stays.</summary>
    internal async Task<bool> RevokeAsync(TenantContext tenant, string id)
    {
        var found = await database.WriteAsync(session =>
        {
            if (ApiKeyStore.Find(session, tenant, id) is not { } key)
            {
                return false;
            }

            if (ApiKeyStore.LiveAdminIds(session, tenant, time.GetUtcNow()) is [var last] && last == id)
            {
                throw new ApiException(ApiErrorCodes.Conflict,
                    "This is the last live key with the scope admin; make another one first.");
            }

            if (key.RevokedAt is null)
            {
                Revoke(session, tenant, id);
            }

            return true;
        });
        if (found)
        {
            directory.Revoked(id);
        }

        return found;
    }

    /// <summary>Revokes a live key, inside a transaction.</summary>
    internal void Revoke(DbSession session, TenantContext tenant, string id)
    {
        ApiKeyStore.Revoke(session, tenant, id, time.GetUtcNow());
        AuditLog.Append(session, tenant, AuditTypes.KeyRevoked, id, time.GetUtcNow());
    }

    /// <summary>A key that is limited itself cannot make or leave a key that is limited less; an admin's can.</summary>
    internal static void RefuseLooser(Caller maker, UsageLimits wanted)
    {
        var own = maker.Key.Limits;
        if (!maker.HasScope(ApiKeyScopes.Admin)
            && (IsLooser(wanted.RequestsPerMinute, own.RequestsPerMinute)
                || IsLooser(wanted.MonthlyRequestLimit, own.MonthlyRequestLimit)
                || IsLooser(wanted.MonthlyUsdLimit, own.MonthlyUsdLimit)
                || IsLooser(wanted.MonthlyTokenLimit, own.MonthlyTokenLimit)))
        {
            throw new ApiException(ApiErrorCodes.Forbidden,
                "A key cannot give looser limits than its own; a key with the scope admin can.", "limits");
        }
    }

    private static string Text(UsageLimits limits) =>
        JsonSerializer.Serialize(limits, AccountsJson.Wire.UsageLimits);

    private static bool IsLooser(decimal? wanted, decimal? own) => own is { } bound && !(wanted <= bound);

    /// <summary>
    /// A key gives at most what it has: its scopes, its life, and test money only if it is a test key.
    /// </summary>
    internal static void RefuseWider(Caller maker, NewApiKey wanted)
    {
        if (wanted.Scopes.FirstOrDefault(scope => !maker.HasScope(scope)) is { } scope)
        {
            throw new ApiException(ApiErrorCodes.Forbidden,
                $"The key lacks the scope {scope} and cannot give it.", "scopes");
        }

        if (maker.Key.ExpiresAt is { } end && (wanted.ExpiresAt is not { } wantedEnd || wantedEnd > end))
        {
            throw new ApiException(ApiErrorCodes.Forbidden, "A key cannot make one that lives longer.", "expires_at");
        }

        RefuseLooser(maker, wanted.Limits);
        if (maker.Key.Kind == ApiKeyKinds.MeshTest && wanted.Kind != ApiKeyKinds.MeshTest)
        {
            throw new ApiException(ApiErrorCodes.Forbidden, "A test key makes test keys only.", "kind");
        }
    }
}
