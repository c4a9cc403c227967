using System.Diagnostics.CodeAnalysis;
using System.Net;

namespace Reeve.Server.Egress;

/// <summary>
/// Reads an address that an account typed, and refuses early what would be refused when it is called. It is there for a
/// clear answer: what keeps callers out is the check of the address when it is connected to (<see cref="SafeHttp"/>).
/// </summary>
internal static class EgressUrl
{
    internal const int LengthMax = 2_048;

    /// <param name="text">What was typed.</param>
    /// <param name="options">What the operator allows.</param>
    /// <param name="url">The address.</param>
    /// <param name="problem">What is wrong, as the end of a sentence that begins with the field's name.</param>
    internal static bool TryRead(
        string text, EgressOptions options, [NotNullWhen(true)] out Uri? url,
        [NotNullWhen(false)] out string? problem)
    {
        url = null;
        problem = Problem(text, options, ref url);
        url = problem is null ? url : null;
        return problem is null && url is not null;
    }

    private static string? Problem(string text, EgressOptions options, ref Uri? url)
    {
        if (text.Length is 0 or > LengthMax)
        {
            return "must have 1 to 2048 characters";
        }

        if (text.AsSpan().ContainsAnyExceptInRange('!', '~') || text.Contains('\\', StringComparison.Ordinal))
        {
            return "must be plain ASCII: write other names as xn--, other characters with %";
        }

        var isHttp = text.StartsWith("http://", StringComparison.OrdinalIgnoreCase);
        if ((!isHttp && !text.StartsWith("https://", StringComparison.OrdinalIgnoreCase))
            || !Uri.TryCreate(text, UriKind.Absolute, out url) || url.Host.Length == 0)
        {
            return "must be an https address";
        }

        var authority = text.AsSpan(isHttp ? "http://".Length : "https://".Length);
        var end = authority.IndexOfAny('/', '?', '#');
        authority = end < 0 ? authority : authority[..end];
        if (authority.IndexOfAny('@', '%') >= 0 || url.UserInfo.Length > 0)
        {
            return "must name a host alone, without user, password or zone";
        }

        if (text.Contains('#', StringComparison.Ordinal) || url.Port is < 1 or > 65_535)
        {
            return "must have no fragment, and a port from 1 to 65535";
        }

        if (options.Allows(url.IdnHost, url.Port))
        {
            return null;
        }

        return isHttp && !options.AllowHttp ? "must be an https address" : HostProblem(url);
    }

    private static string? HostProblem(Uri url)
    {
        const string NotPublic = "must name a public host";
        if (IPAddress.TryParse(url.IdnHost, out var address))
        {
            return AddressTable.IsPublic(address) ? null : NotPublic;
        }

        // A last label that begins with a digit is an address in one of its many spellings, or nothing at all.
        var host = url.IdnHost;
        var last = host[(host.LastIndexOf('.') + 1)..];
        return url.HostNameType != UriHostNameType.Dns || last.Length == 0 || char.IsAsciiDigit(last[0])
            || !host.Contains('.', StringComparison.Ordinal)
            || last.Equals("localhost", StringComparison.OrdinalIgnoreCase)
                ? NotPublic
                : null;
    }
}
