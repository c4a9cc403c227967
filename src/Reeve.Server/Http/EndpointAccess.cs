namespace Reeve.Server.Http;

/// <summary>
/// Who may call an endpoint: anyone (public), any key, or a key with one of the scopes. An endpoint without a rule
/// answers nobody.
/// </summary>
internal sealed record AccessRule(bool IsPublic, IReadOnlyList<string> Scopes);

internal static class EndpointAccess
{
    private static readonly AccessRule Everyone = new(true, []);
    private static readonly AccessRule EveryKey = new(false, []);

    internal static TBuilder Public<TBuilder>(this TBuilder builder)
        where TBuilder : IEndpointConventionBuilder => builder.WithMetadata(Everyone);

    internal static TBuilder AnyKey<TBuilder>(this TBuilder builder)
        where TBuilder : IEndpointConventionBuilder => builder.WithMetadata(EveryKey);

    /// <summary>The key needs one of these scopes; <c>admin</c> includes all.</summary>
    internal static TBuilder RequireScope<TBuilder>(this TBuilder builder, params string[] scopes)
        where TBuilder : IEndpointConventionBuilder => builder.WithMetadata(new AccessRule(false, scopes));
}
