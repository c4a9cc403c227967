using System.Text;
using Reeve.Server.Tests;

namespace Reeve.Reliability.Abuse;

/// <summary>What may come of a request behind which another one hides.</summary>
internal enum Framing
{
    /// <summary>The head is no good: one 4xx, and the connection is closed.</summary>
    Refused,

    /// <summary>One answer, whatever it says, and the connection is closed: nobody knows where the body ends.</summary>
    Cut,

    /// <summary>What hides is inside the body: one answer, and the connection goes on.</summary>
    One,

    /// <summary>The sender made plain where the first ends, so the second is no secret: both are answered.</summary>
    Two,

    /// <summary>As <see cref="Two"/>, or refused by a server that is stricter.</summary>
    TwoOrRefused,
}

/// <summary>
/// Bytes that two parsers may take apart differently. <c>Head</c> follows the request line, Host and key of a
/// <see cref="FramingOpening"/>; without one (<c>IsWhole</c>) it is all of the head.
/// </summary>
internal sealed record FramingCase(string Name, Framing Expected, string Head, string Body = "")
{
    internal bool IsWhole { get; init; }

    /// <summary>The request that hides. What it is answered looks like no answer to any other.</summary>
    internal const string Hidden = "GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n";

    internal const string HiddenMark = "\"version\":";

    internal byte[] Bytes(FramingOpening opening) =>
        Encoding.Latin1.GetBytes((IsWhole ? "" : opening.Text) + Head + Body + Hidden);
}

/// <summary>Who asks for what: with a key the body is read, without one it is not, a GET wants none.</summary>
internal sealed record FramingOpening(string Name, string Text)
{
    internal static readonly IReadOnlyList<FramingOpening> All =
    [
        new("a run", "POST /v1/agents/runs HTTP/1.1\r\nHost: localhost\r\n"
            + $"Authorization: Bearer {TestServer.AdminKey}\r\n"),
        new("a run without a key", "POST /api/run HTTP/1.1\r\nHost: localhost\r\n"),
        new("a GET", "GET /health/live HTTP/1.1\r\nHost: localhost\r\n"),
    ];
}
