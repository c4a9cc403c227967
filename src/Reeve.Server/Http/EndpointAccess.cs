namespace Reeve.Server.Http;

/// <summary>
/// Who may call an endpoint: anyone (public), any key, or a key with one of the scopes. An endpoint without a rule
/// answers nobody.
/// </summary>
internal sealed record AccessRule(bool IsPublic, IReadOnlyList<string> Scopes)
{
    /// <summary>True where widget keys work; there no other key does, and they work nowhere else.</summary>
    internal bool IsForWidgets { get; init; }

    /// <summary>True where the keys of a suspended account still work.</summary>
    internal bool AnswersSuspended { get; init; }
}

/// <summary>Endpoint metadata: the method is known to this path and refused (405), whoever asks.</summary>
internal sealed record MethodRefusal(string Allow, string Message);

/// <summary>Endpoint metadata: what every answer of it gets, also when the key is refused.</summary>
internal sealed record EveryAnswer(Action<HttpContext> Prepare);

internal static class EndpointAccess
{
    private static readonly AccessRule Everyone = new(true, []);
    private static readonly AccessRule EveryKey = new(false, []);
    private static readonly AccessRule WidgetKeys = new(false, []) { IsForWidgets = true };

    /// <summary>Answers 405 before anything else is looked at, with a sentence that helps.</summary>
    internal static TBuilder RefusesMethod<TBuilder>(this TBuilder builder, string allow, string message)
        where TBuilder : IEndpointConventionBuilder =>
        builder.WithMetadata(new MethodRefusal(allow, message), Everyone);

    internal static TBuilder Public<TBuilder>(this TBuilder builder)
        where TBuilder : IEndpointConventionBuilder => builder.WithMetadata(Everyone);

    internal static TBuilder AnyKey<TBuilder>(this TBuilder builder, bool answersSuspended = false)
        where TBuilder : IEndpointConventionBuilder =>
        builder.WithMetadata(EveryKey with { AnswersSuspended = answersSuspended });

    internal static TBuilder WidgetKey<TBuilder>(this TBuilder builder)
        where TBuilder : IEndpointConventionBuilder => builder.WithMetadata(WidgetKeys);

    /// <summary>The key needs one of these scopes; <c>admin</c> includes all.</summary>
    internal static TBuilder RequireScope<TBuilder>(this TBuilder builder, params string[] scopes)
        where TBuilder : IEndpointConventionBuilder => builder.WithMetadata(new AccessRule(false, scopes));
}
