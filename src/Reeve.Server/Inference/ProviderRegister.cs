using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Reeve.Server.Audit;
using Reeve.Server.Privacy;
using Reeve.Server.Storage;

namespace Reeve.Server.Inference;

/// <summary>The providers of this server with the settings that an operator may change while it runs.</summary>
internal sealed class ProviderRegister : IHostedService
{
    private readonly Database _database;
    private readonly ProviderHealth _health;
    private readonly TimeProvider _time;
    private readonly Dictionary<string, PrivacyMarks> _marks;
    private readonly HashSet<string> _withCredential;
    private readonly Dictionary<string, ProviderSettings> _configured;

    public ProviderRegister(
        Database database, ModelCatalog catalog, ReeveOptions options, ProviderHealth health, TimeProvider time)
    {
        (_database, _health, _time) = (database, health, time);
        _marks = catalog.Entries.Concat<CatalogModel>(catalog.Embeddings)
            .Where(static entry => !entry.Model.IsBuiltIn)
            .GroupBy(static entry => entry.Model.Provider, StringComparer.Ordinal)
            .ToDictionary(static group => group.Key, static group => group.First().Privacy, StringComparer.Ordinal);
        _configured = _marks.Keys.ToDictionary(
            static name => name, name => health.Of(name).Settings, StringComparer.Ordinal);
        _withCredential = [.. options.Inference.Providers.Where(static one => one.ApiKey is not null)
            .Select(static one => one.Name)];
    }

    /// <summary>What was changed while an earlier process ran holds on; it wins over the file.</summary>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (var provider in _marks.Keys)
        {
            Take(provider);
        }

        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>By name.</summary>
    internal IReadOnlyList<ProviderRecord> List() =>
        [.. _marks.Keys.Order(StringComparer.Ordinal).Select(name => Find(name)!)];

    /// <summary>Null for a provider that is not configured.</summary>
    internal ProviderRecord? Find(string name) => _marks.TryGetValue(name, out var marks)
        ? new ProviderRecord(name, _health.Of(name).Settings, marks, _withCredential.Contains(name))
        : null;

    internal IReadOnlyList<(string Name, ProviderReport Report)> Reports() =>
        [.. _marks.Keys.Order(StringComparer.Ordinal).Select(name => (name, _health.Of(name).Report()))];

    /// <summary>
    /// Changes the settings of a provider that is configured, durably and at once. Where calls go decides who reads
    /// them, so the audit of the operator who did it says what holds from then on.
    /// </summary>
    internal async Task ChangeAsync(
        TenantContext tenant, string name, Func<ProviderChange, ProviderChange> change)
    {
        var at = _time.GetUtcNow();
        await _database.WriteAsync(session =>
        {
            var changed = change(Stored(session, name) ?? new ProviderChange());
            session.Execute(
                "INSERT INTO provider_settings (provider, settings, updated_at) VALUES ($1, $2, $3) "
                + "ON CONFLICT (provider) DO UPDATE SET settings = excluded.settings, updated_at = excluded.updated_at",
                name, JsonSerializer.Serialize(changed, ProviderSettingsJson.Default.ProviderChange),
                at.ToUnixTimeMilliseconds());
            AuditLog.Append(
                session, tenant, AuditTypes.ProviderChanged, name, at, Facts(changed.Over(_configured[name])));
        });
        Take(name);
    }

    /// <summary>By the names of the wire.</summary>
    private static string Facts(ProviderSettings settings) => AuditLog.Detail(
        ("enabled", settings.Enabled ? "true" : "false"),
        ("priority", Text(settings.Priority)),
        ("routingWeight", Text(settings.RoutingWeight)),
        ("timeoutMs", Text(settings.TimeoutMilliseconds)),
        ("maxConcurrency", Text(settings.MaxConcurrency)),
        ("errorRate", Text(settings.ErrorRate)),
        ("cooldownMs", Text(settings.CooldownMilliseconds)));

    private static string Text(IFormattable figure) => figure.ToString(null, CultureInfo.InvariantCulture);

    private void Take(string provider)
    {
        if (_database.Read(session => Stored(session, provider)) is { } changed)
        {
            _health.Of(provider).Settings = changed.Over(_configured[provider]);
        }
    }

    private static ProviderChange? Stored(DbSession session, string provider) =>
        session.Single("SELECT settings FROM provider_settings WHERE provider = $1",
            static row => row.GetString(0), provider) is { } json
            ? JsonSerializer.Deserialize(json, ProviderSettingsJson.Default.ProviderChange)
            : null;
}

internal sealed record ProviderRecord(
    string Name, ProviderSettings Settings, PrivacyMarks Marks, bool HasCredential);

[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ProviderChange))]
internal sealed partial class ProviderSettingsJson : JsonSerializerContext;
