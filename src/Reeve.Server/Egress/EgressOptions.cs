using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;

namespace Reeve.Server.Egress;

/// <summary>What the operator allows to addresses that accounts name, beyond https to the public internet.</summary>
internal sealed record EgressOptions
{
    /// <summary>Hosts that may be private and may be called without TLS, each on one port.</summary>
    internal IReadOnlyList<EgressTarget> Allow { get; init; } = [];

    /// <summary>http to public addresses; what it carries can be read and changed on its way.</summary>
    internal bool AllowHttp { get; init; }

    internal bool Allows(string host, int port)
    {
        foreach (var target in Allow)
        {
            if (target.Is(host, port))
            {
                return true;
            }
        }

        return false;
    }
}

/// <summary>A host as a caller must name it, and its port: another name of the same machine is another host.</summary>
internal sealed record EgressTarget(string Host, int Port)
{
    internal bool Is(string host, int port) => port == Port && string.Equals(
        Host, Canonical(host), StringComparison.OrdinalIgnoreCase);

    /// <summary>Reads <c>host:port</c>, <c>192.0.2.1:port</c> or <c>[v6]:port</c>.</summary>
    internal static bool TryParse(string text, [NotNullWhen(true)] out EgressTarget? target)
    {
        target = null;
        var colon = text.LastIndexOf(':');
        if (colon <= 0 || !int.TryParse(text[(colon + 1)..], NumberStyles.None, CultureInfo.InvariantCulture,
            out var port) || port is < 1 or > 65_535)
        {
            return false;
        }

        var host = text[..colon];
        var isV6 = host is ['[', .., ']'];
        if (isV6 ? !IPAddress.TryParse(host, out _) : Uri.CheckHostName(host) is not (UriHostNameType.Dns
            or UriHostNameType.IPv4))
        {
            return false;
        }

        target = new EgressTarget(Canonical(isV6 ? host[1..^1] : host), port);
        return true;
    }

    private static string Canonical(string host) =>
        IPAddress.TryParse(host, out var address) ? address.ToString() : host;
}
