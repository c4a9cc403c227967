using Microsoft.AspNetCore.Routing.Patterns;

namespace Reeve.Server.Http;

/// <summary>
/// Compares a path with the pattern of a route, letter case included: routing itself ignores it. A trailing slash does
/// not count.
/// </summary>
internal static class RoutePath
{
    internal static bool Matches(RoutePattern pattern, ReadOnlySpan<char> path)
    {
        path = path is ['/', ..] ? path[1..] : path;
        path = path is [.., '/'] ? path[..^1] : path;
        var ended = path.IsEmpty;
        foreach (var segment in pattern.PathSegments)
        {
            if (segment.Parts[0] is RoutePatternParameterPart { IsCatchAll: true })
            {
                return true;
            }

            if (ended)
            {
                return segment.IsSimple && segment.Parts[0] is RoutePatternParameterPart { IsOptional: true };
            }

            var slash = path.IndexOf('/');
            if (!Matches(segment, slash < 0 ? path : path[..slash]))
            {
                return false;
            }

            ended = slash < 0;
            path = path[(slash + 1)..];
        }

        return ended;
    }

    private static bool Matches(RoutePatternPathSegment segment, ReadOnlySpan<char> text)
    {
        if (segment.IsSimple)
        {
            return segment.Parts[0] is RoutePatternLiteralPart literal
                ? text.SequenceEqual(literal.Content)
                : !text.IsEmpty;
        }

        // Several parts, as in {id}:cancel: each literal must stand in its order.
        foreach (var part in segment.Parts)
        {
            var content = part switch
            {
                RoutePatternLiteralPart literal => literal.Content,
                RoutePatternSeparatorPart separator => separator.Content,
                _ => "",
            };
            var at = text.IndexOf(content, StringComparison.Ordinal);
            if (at < 0)
            {
                return false;
            }

            text = text[(at + content.Length)..];
        }

        return true;
    }
}
