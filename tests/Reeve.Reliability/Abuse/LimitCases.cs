using System.Globalization;
using System.IO.Compression;
using System.Text;
using Reeve.Server.Tests;

namespace Reeve.Reliability.Abuse;

/// <summary>
/// A request that is too much of something. <c>Statuses</c> are those of its answers in their order; one with a
/// <c>Code</c> has the documented body.
/// </summary>
internal sealed record LimitCase(string Name, byte[] Bytes, int[] Statuses, string? Code = null)
{
    /// <summary>Sent once the first answer is there.</summary>
    internal string? Rest { get; init; }
}

/// <summary>Heads, bodies, JSON and encodings beyond what is accepted, and what they must be answered.</summary>
internal static class LimitCases
{
    private const int BodyBytesMax = 1 << 20;
    private const int UploadBytesMax = 32 << 20;
    private const string Invalid = "invalid_request";
    private const string TooLarge = "payload_too_large";
    private const string Get = "GET /health/live HTTP/1.1\r\nHost: localhost\r\n";
    private const string Key = $"Authorization: Bearer {TestServer.AdminKey}\r\n";
    private const string Expect = "Expect: 100-continue\r\n";

    private static readonly (string Name, string Head)[] Endpoints =
    [
        ("MESH", "POST /v1/agents/runs HTTP/1.1\r\nHost: localhost\r\n" + Key),
        ("Auteryn", "POST /api/run HTTP/1.1\r\nHost: localhost\r\nX-Agent-Id: demo\r\n" + Key),
        ("an upload", "POST /v1/agents/demo/documents HTTP/1.1\r\nHost: localhost\r\n" + Key),
        ("an agent", "POST /v1/agents HTTP/1.1\r\nHost: localhost\r\n" + Key),
    ];

    internal static IReadOnlyList<LimitCase> All() =>
    [
        .. Heads(), .. Bodies(), .. Encodings(),
        .. Json().SelectMany(static json => Endpoints.Select(endpoint =>
            Case($"{json.Name} ({endpoint.Name})", endpoint.Head, json.Body, [400], Invalid))),
    ];

    private static IEnumerable<LimitCase> Heads() =>
    [
        Case("65 headers", Get + Many(65, "X-A: b\r\n"), null, [431]),
        Case("a header of 33 KiB", $"{Get}X-A: {new string('b', 33 << 10)}\r\n", null, [431]),
        Case("a name of 33 KiB", $"{Get}{new string('b', 33 << 10)}: a\r\n", null, [431]),
        Case("60 headers of 1 KiB", Get + Many(60, $"X-A: {new string('b', 1 << 10)}\r\n"), null, [431]),
        Case("a header of 4 MiB that does not end", Get + "X-A: " + new string('b', 4 << 20), null, [431]),
        Case("a request line of 9 KiB", $"GET /{new string('a', 9 << 10)} HTTP/1.1\r\nHost: a\r\n", null, [414]),
        Case("a query of 9 KiB", $"GET /?{new string('a', 9 << 10)} HTTP/1.1\r\nHost: a\r\n", null, [414]),
        Case("a method of 9 KiB", $"{new string('A', 9 << 10)} / HTTP/1.1\r\nHost: a\r\n", null, [414]),
        Case("a request line that does not end", new string('A', 4 << 20), null, [414]),
        Case("a key of 20 KiB", "GET /v1/agents HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "
            + $"mesh_live_{new string('a', 20 << 10)}\r\n", null, [401], "unauthorized"),
    ];

    private static IEnumerable<LimitCase> Bodies()
    {
        foreach (var (name, head) in Endpoints)
        {
            var max = name == "an upload" ? UploadBytesMax : BodyBytesMax;
            yield return new($"a length that is too much ({name})", Text(
                $"{head}Content-Length: {max + 1}\r\n\r\n"), [413], TooLarge);
            yield return new($"a length of 2^62 ({name})", Text(
                $"{head}Content-Length: {1L << 62}\r\n\r\n"), [413], TooLarge);
            yield return new($"a length that is too much, announced ({name})", Text(
                $"{head}{Expect}Content-Length: {max + 1}\r\n\r\n"), [413], TooLarge);
            yield return new($"a body without a length that is too much ({name})",
                Chunked(head, (max / 65_536) + 2, 65_536), [413], TooLarge);
            yield return new($"100,000 chunks of a byte ({name})", Chunked(head, 100_000, 1), [400], Invalid);
            yield return new($"a chunk's extension of 4 MiB ({name})", Text(
                $"{head}Transfer-Encoding: chunked\r\n\r\n2;{new string('a', 4 << 20)}\r\n{{}}\r\n0\r\n\r\n"),
                [400], Invalid);
        }

        yield return new("a body of 64 MiB for a GET", [
            .. Text($"{Get}Content-Length: {64 << 20}\r\n\r\n"), .. new byte[64 << 20]], [200]);
        yield return new("a body of 64 MiB without a key", [
            .. Text($"POST /api/run HTTP/1.1\r\nHost: a\r\nContent-Length: {64 << 20}\r\n\r\n"),
            .. new byte[64 << 20]], [401], "unauthorized");
    }

    private static IEnumerable<LimitCase> Encodings()
    {
        var bomb = Gzip(new byte[64 << 20]);
        foreach (var (name, head) in Endpoints)
        {
            foreach (var encoding in (string[])["gzip", "deflate", "br", "zstd", "gzip, gzip", "x-gzip", "identity"])
            {
                yield return new($"a bomb as {encoding} ({name})", [
                    .. Text($"{head}Content-Encoding: {encoding}\r\nContent-Length: {bomb.Length}\r\n\r\n"), .. bomb],
                    [400], Invalid);
            }

            yield return new($"an announced body ({name})", Text($"{head}{Expect}Content-Length: 2\r\n\r\n"),
                [100, 400], Invalid)
            {
                Rest = "{}",
            };
        }

        yield return Case("another expectation", Get + "Expect: the-unexpected\r\n", null, [200]);
        yield return Case("an upgrade to WebSocket", Get + "Connection: Upgrade\r\nUpgrade: websocket\r\n"
            + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", null, [200]);
        yield return Case("an upgrade to HTTP/2", Get + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
            + "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n", null, [200]);
        yield return Case("an upgrade to TLS", Get + "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n", null, [200]);
        yield return Case("1,000 ranges", Get + $"Range: bytes={Many(1_000, "0-,")}0-\r\n", null, [200]);
    }

    private static IEnumerable<(string Name, string Body)> Json() =>
    [
        ("10,000 arrays", $$"""{"input":{{new string('[', 10_000)}}{{new string(']', 10_000)}}}"""),
        ("10,000 objects", $"{Many(10_000, "{\"a\":")}1{new string('}', 10_000)}"),
        ("500,000 open brackets", new string('[', 500_000)),
        ("65 arrays", $$"""{"metadata":{{new string('[', 65)}}{{new string(']', 65)}}}"""),
        ("a string of 1 MB", $$"""{"input":"{{new string('a', 1_000_000)}}","name":7}"""),
        ("a string of 160,000 escapes", $$"""{"input":"{{Many(160_000, "\\u0041")}}","name":7}"""),
        ("a name of 1 MB", $$"""{"{{new string('a', 1_000_000)}}":1}"""),
        ("100,000 members", "{" + string.Concat(Enumerable.Range(0, 100_000).Select(static index =>
            string.Create(CultureInfo.InvariantCulture, $"\"{index}\":1,"))) + "\"z\":1}"),
        ("100,000 elements", $$"""{"metadata":[{{Many(100_000, "1,")}}1]}"""),
        ("a member twice", """{"agent":"demo","agent":"other","input":"Hi"}"""),
        ("a member twice by an escape", """{"input":"Hi","inpu\u0074":"Hi"}"""),
        ("a huge number", """{"input":1e999999999}"""),
        ("a number of 100,000 digits", $$"""{"max_credits":{{new string('9', 100_000)}},"name":7}"""),
        ("a tiny number", """{"max_credits":1e-999999999,"name":7}"""),
        ("a number with a plus", """{"max_credits":+1}"""), ("not a number", """{"max_credits":NaN}"""),
        ("half of a surrogate pair", """{"input":"\ud800"}"""), ("U+0000", """{"input":"a\u0000b"}"""),
        ("bytes that are no UTF-8", "{\"input\":\"\xFF\xFE\"}"), ("a comment", """{"input":"Hi"/**/}"""),
        ("a comma too many", """{"input":"Hi",}"""), ("text behind the end", """{"input":"Hi"}{}"""),
        ("nothing", ""), ("a byte order mark alone", "\xEF\xBB\xBF"), ("null", "null"), ("a list", "[]"),
        ("a member of another kind", """{"__proto__":{"a":1},"constructor":1}"""),
    ];

    private static LimitCase Case(string name, string head, string? body, int[] statuses, string? code = null) =>
        new(name, Text(body is null
            ? head + "\r\n"
            : string.Create(CultureInfo.InvariantCulture, $"{head}Content-Length: {body.Length}\r\n\r\n{body}")),
            statuses, code);

    private static byte[] Chunked(string head, int chunks, int bytes)
    {
        var chunk = Text(string.Create(CultureInfo.InvariantCulture, $"{bytes:x}\r\n{new string('a', bytes)}\r\n"));
        using var request = new MemoryStream();
        request.Write(Text($"{head}Transfer-Encoding: chunked\r\n\r\n"));
        for (var i = 0; i < chunks; i++)
        {
            request.Write(chunk);
        }

        request.Write("0\r\n\r\n"u8);
        return request.ToArray();
    }

    private static byte[] Gzip(byte[] bytes)
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.SmallestSize, leaveOpen: true))
        {
            gzip.Write(bytes);
        }

        return packed.ToArray();
    }

    private static string Many(int count, string text) => new StringBuilder().Insert(0, text, count).ToString();

    private static byte[] Text(string text) => Encoding.Latin1.GetBytes(text);
}
