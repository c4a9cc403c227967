using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Patterns;
using Reeve.Server.Http;

namespace Reeve.Server.Tests.Matrix;

/// <summary>A method and a pattern of the route table: what a matrix over all endpoints is generated from.</summary>
internal sealed record ApiRoute(string Method, RoutePattern Pattern)
{
    internal string Path => "/" + Pattern.RawText!.Trim('/');

    internal string Name => $"{Method} {Path}";

    internal bool IsAuteryn => Path.StartsWith("/api/", StringComparison.Ordinal);

    internal bool TakesABody => Method is "POST" or "PATCH" or "PUT";

    internal IReadOnlyList<string> Parameters => [.. Pattern.Parameters.Select(parameter => parameter.Name)];

    /// <summary>Every route that wants a key.</summary>
    internal static IReadOnlyList<ApiRoute> Of(TestServer server) =>
    [
        .. server.Service<EndpointDataSource>().Endpoints.Cast<RouteEndpoint>()
            .Where(route => route.Metadata.GetMetadata<AccessRule>() is not { IsPublic: true })
            .SelectMany(route => route.Metadata.GetRequiredMetadata<Microsoft.AspNetCore.Routing.IHttpMethodMetadata>()
                .HttpMethods.Select(method => new ApiRoute(method, route.RoutePattern)))
            .DistinctBy(route => route.Name).OrderBy(route => route.Name, StringComparer.Ordinal),
    ];

    /// <summary>
    /// What the parameter names, by the segment before it: <c>/v1/agents/{id}</c> is an agent. Null where the matrix
    /// does not know the segment yet.
    /// </summary>
    internal string? KindOf(string parameter)
    {
        var before = "";
        foreach (var segment in Pattern.PathSegments)
        {
            switch (segment.Parts[0])
            {
                case RoutePatternParameterPart part when part.Name == parameter:
                    return before switch
                    {
                        "accounts" => "account",
                        "agents" or "models" => "agent",
                        "api-keys" => "key",
                        "conversations" or "tasks" => "conversation",
                        "documents" => "document",
                        "config" => "provider",
                        "receipts" => "receipt",
                        "runs" => "run",
                        "versions" => "version",
                        "webhooks" => "webhook",
                        _ => null,
                    };
                case RoutePatternLiteralPart literal:
                    before = literal.Content;
                    break;
                default:
                    break;
            }
        }

        return null;
    }

    internal string Fill(Func<string, string> value) => "/" + string.Join('/', Pattern.PathSegments.Select(segment =>
        string.Concat(segment.Parts.Select(part => part switch
        {
            RoutePatternLiteralPart literal => literal.Content,
            RoutePatternSeparatorPart separator => separator.Content,
            RoutePatternParameterPart parameter => Uri.EscapeDataString(value(parameter.Name)),
            _ => throw new InvalidOperationException($"{part} is no part of a route."),
        }))));
}
