using System.Globalization;
using System.Text;

namespace Reeve.Reliability.Fuzz.ApiFuzz;

/// <summary>A request as it will stand on the wire, and what is known of its answer beforehand.</summary>
internal sealed class ApiRequest(ApiOperation operation, ApiCaller caller)
{
    internal ApiOperation Operation => operation;

    internal ApiCaller Caller => caller;

    /// <summary>What is wrong with it, for whoever reads of a violation; null: nothing known.</summary>
    internal string? Fault { get; set; }

    internal string Method { get; set; } = operation.Method;

    internal Dictionary<string, string> PathValues { get; } = new(StringComparer.Ordinal);

    internal List<(string Name, string Value)> Query { get; } = [];

    internal List<(string Name, string Value)> Headers { get; } = [];

    internal List<string> Authorizations { get; } = [$"Bearer {caller.Key}"];

    internal byte[]? Body { get; set; }

    internal string? ContentType { get; set; } = "application/json";

    /// <summary>The only statuses that are right; null: any that is documented.</summary>
    internal int[]? Expected { get; set; }

    /// <summary>The id that the answer to a deletion, or a use after one, is about.</summary>
    internal string? Target { get; set; }

    internal string Path
    {
        get
        {
            var path = operation.Path;
            foreach (var (name, value) in PathValues)
            {
                path = path.Replace($"{{{name}}}", Uri.EscapeDataString(value), StringComparison.Ordinal);
            }

            return Query.Count == 0 ? path : $"{path}?" + string.Join('&', Query.Select(static one =>
                $"{Uri.EscapeDataString(one.Name)}={Uri.EscapeDataString(one.Value)}"));
        }
    }

    internal byte[] ToBytes()
    {
        var head = new StringBuilder($"{Method} {Path} HTTP/1.1\r\nHost: localhost\r\n");
        foreach (var authorization in Authorizations)
        {
            head.Append("Authorization: ").Append(authorization).Append("\r\n");
        }

        foreach (var (name, value) in Headers)
        {
            head.Append(name).Append(": ").Append(value).Append("\r\n");
        }

        if (Body is not null)
        {
            if (ContentType is not null)
            {
                head.Append("Content-Type: ").Append(ContentType).Append("\r\n");
            }

            head.Append(CultureInfo.InvariantCulture, $"Content-Length: {Body.Length}\r\n");
        }
        else if (Method is "POST" or "PUT" or "PATCH")
        {
            head.Append("Content-Length: 0\r\n");
        }

        return [.. Encoding.UTF8.GetBytes(head.Append("\r\n").ToString()), .. Body ?? []];
    }

    public override string ToString()
    {
        var headers = string.Concat(Headers.Select(static one => $" {one.Name}: {one.Value};"));
        var body = Body is null ? "" : " " + Encoding.UTF8.GetString(Body.AsSpan(0, Math.Min(Body.Length, 400)));
        return $"{caller.Name}: {Method} {Path}{headers}{body} ({Fault ?? "as documented"})";
    }
}
