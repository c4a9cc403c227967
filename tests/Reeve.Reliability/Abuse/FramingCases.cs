using System.Globalization;
using static Reeve.Reliability.Abuse.Framing;

namespace Reeve.Reliability.Abuse;

/// <summary>
/// The ways to make a server and what stands before it disagree on where a request ends (RFC 9112, sections 2, 3, 5 to
/// 7 and 11.2), with the answer that is due.
/// </summary>
internal static class FramingCases
{
    private const string ChunkedHead = "Transfer-Encoding: chunked\r\n\r\n";
    private const string Body = "{}";
    private const string Chunks = "2\r\n{}\r\n0\r\n\r\n";

    private static readonly string HiddenLength =
        FramingCase.Hidden.Length.ToString(CultureInfo.InvariantCulture);

    /// <summary>Both lengths, and lengths that are none.</summary>
    private static readonly FramingCase[] Lengths =
    [
        new("no length, no body", Two, "\r\n"),
        new("a plain length", Two, "Content-Length: 2\r\n\r\n", Body),
        new("a length that covers what follows", One, $"Content-Length: {HiddenLength}\r\n\r\n"),
        new("a length with zeros before it", TwoOrRefused, "Content-Length: 0002\r\n\r\n", Body),
        new("a length with spaces around it", TwoOrRefused, "Content-Length:   2  \r\n\r\n", Body),
        new("a length with tabs around it", TwoOrRefused, "Content-Length:\t2\t\r\n\r\n", Body),
        new("both, the length first", Refused, "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", Chunks),
        new("both, the length last", Refused, "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n", Chunks),
        new("both, the length covers the chunks", Refused,
            "Content-Length: 12\r\nTransfer-Encoding: chunked\r\n\r\n", Chunks),
        new("both, the chunks end at once", Refused,
            $"Content-Length: {HiddenLength}\r\nTransfer-Encoding: chunked\r\n\r\n", "0\r\n\r\n"),
        new("two lengths that differ", Refused, $"Content-Length: 2\r\nContent-Length: {HiddenLength}\r\n\r\n", Body),
        new("two lengths that agree", TwoOrRefused, "Content-Length: 2\r\nContent-Length: 2\r\n\r\n", Body),
        Length("a list of lengths", "2, 2"), Length("a list of lengths that differ", "2,5"),
        Length("a negative length", "-2"),

        // Kestrel takes the sign: what is read is what the number says, and nginx refuses both before it.
        new("a length with a plus", TwoOrRefused, "Content-Length: +2\r\n\r\n", Body),
        new("minus zero", TwoOrRefused, "Content-Length: -0\r\n\r\n"),
        Length("a hexadecimal length", "0x2"), Length("a hexadecimal digit", "a"), Length("a fraction", "2.0"),
        Length("an exponent", "2e0"), Length("an empty length", ""), Length("a space inside", "1 2"),
        Length("a length of 2^63", "9223372036854775808"), Length("a length of 2^64 + 2", "18446744073709551618"),
        Length("a length of 40 digits", new string('9', 40)), Length("digits of another script", "\xD9\xA2"),
        Length("a vertical tab before the length", "\v2"), Length("an underscore", "0_2"),
        Length("quotes", "\"2\""), Length("a comment", "2;a"), Length("NUL behind the length", "2\0"),
        new("a folded length", Refused, "Content-Length:\r\n 2\r\n\r\n", Body),
        new("a space before the colon of the length", Refused, "Content-Length : 2\r\n\r\n", Body),
        new("a tab before the colon of the length", Refused, "Content-Length\t: 2\r\n\r\n", Body),
        new("a length with an underscore in its name", TwoOrRefused, "Content_Length: 50\r\n\r\n"),
    ];

    private static readonly FramingCase[] Encodings =
    [
        new("plain chunks", Two, ChunkedHead, Chunks),
        new("chunks in capitals", TwoOrRefused, "Transfer-Encoding: CHUNKED\r\n\r\n", Chunks),
        new("a tab before chunked", TwoOrRefused, "Transfer-Encoding:\tchunked\r\n\r\n", Chunks),
        new("a tab behind chunked", TwoOrRefused, "Transfer-Encoding: chunked\t\r\n\r\n", Chunks),
        new("gzip, chunked", Refused, "Transfer-Encoding: gzip, chunked\r\n\r\n", Chunks),
        new("identity, chunked", Refused, "Transfer-Encoding: identity, chunked\r\n\r\n", Chunks),
        new("identity and chunked, twice the header", Refused,
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n", Chunks),
        new("chunked, chunked", Refused, "Transfer-Encoding: chunked, chunked\r\n\r\n", Chunks),
        new("chunked twice", Refused,
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", Chunks),
        new("chunked, then identity in a header of its own", Refused,
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", Chunks),
        Encoding("chunked, identity"), Encoding("chunked, gzip"), Encoding("identity"), Encoding("gzip"),
        Encoding("xchunked"), Encoding("chunkedx"), Encoding("chunked;q=1"), Encoding("\"chunked\""),
        Encoding("\vchunked"), Encoding("chunked\v"), Encoding("chu nked"), Encoding("chunked\0"),
        Encoding("\xA0" + "chunked"), Encoding("chunked=1"),
        new("an encoding and a length", Refused, "Transfer-Encoding: xchunked\r\nContent-Length: 2\r\n\r\n", Body),
        new("an empty encoding", TwoOrRefused, "Transfer-Encoding:\r\n\r\n"),
        new("a comma before chunked", TwoOrRefused, "Transfer-Encoding: , chunked\r\n\r\n", Chunks),
        new("a folded encoding", Refused, "Transfer-Encoding:\r\n chunked\r\n\r\n", Chunks),
        new("a folded header before the encoding", Refused, "X-A: b\r\n Transfer-Encoding: chunked\r\n\r\n", Chunks),
        new("a space before the colon of the encoding", Refused, "Transfer-Encoding : chunked\r\n\r\n", Chunks),
        new("a space before the encoding", Refused, " Transfer-Encoding: chunked\r\n\r\n", Chunks),
        new("the encoding behind a bare CR", Refused, "X-A: b\rTransfer-Encoding: chunked\r\n\r\n", Chunks),
        new("the encoding behind a bare LF", Refused, "X-A: b\nTransfer-Encoding: chunked\r\n\r\n", Chunks),
        new("the encoding of an old version", Refused,
            "POST /v1/agents/runs HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n" + ChunkedHead, Chunks)
            { IsWhole = true },
    ];

    private static readonly FramingCase[] ChunkSizes =
    [
        Good("zeros before a size", "00000002\r\n{}\r\n00000\r\n\r\n"),
        Good("a size in capitals", "A\r\n{        }\r\n0\r\n\r\n"),
        Good("an extension", "2;a=b\r\n{}\r\n0;c\r\n\r\n"),
        Good("an extension with quotes", "2;a=\"b;c\"\r\n{}\r\n0\r\n\r\n"),
        Bad("a space behind a size", "2 \r\n{}\r\n0\r\n\r\n"),
        Bad("a tab behind a size", "2\t\r\n{}\r\n0\r\n\r\n"),
        Bad("a space before a size", " 2\r\n{}\r\n0\r\n\r\n"), Bad("a size with a plus", "+2\r\n{}\r\n0\r\n\r\n"),
        Bad("a negative size", "-2\r\n{}\r\n0\r\n\r\n"), Bad("a size with 0x", "0x2\r\n{}\r\n0\r\n\r\n"),
        Bad("a size with an underscore", "0_2\r\n{}\r\n0\r\n\r\n"), Bad("no size", "\r\n{}\r\n0\r\n\r\n"),
        Bad("a size that is none", "zz\r\n{}\r\n0\r\n\r\n"), Bad("NUL behind a size", "2\0\r\n{}\r\n0\r\n\r\n"),
        Bad("a size of 2^31", "80000000\r\n{}\r\n0\r\n\r\n"), Bad("a size of 2^63", "8000000000000000\r\n{}\r\n"),
        Bad("a size of 2^64 + 2", "10000000000000002\r\n{}\r\n0\r\n\r\n"),
        Bad("a size of -1 in 32 bits", "FFFFFFFF\r\n{}\r\n0\r\n\r\n"),
        Bad("a size of 2^32 + 2", "100000002\r\n{}\r\n0\r\n\r\n"),
        Bad("a size of 40 digits", new string('0', 39) + "2\r\n{}\r\n0\r\n\r\n"),
        Bad("an LF behind a size", "2\n{}\r\n0\r\n\r\n"), Bad("an LF behind the last size", "2\r\n{}\r\n0\n\r\n"),
        Bad("LF alone at the end", "2\r\n{}\r\n0\n\n"), Bad("a CR behind a size", "2\r{}\r\n0\r\n\r\n"),
        Bad("an LF behind the data", "2\r\n{}\n0\r\n\r\n"), Bad("nothing behind the data", "2\r\n{}0\r\n\r\n"),
        Bad("other bytes behind the data", "2\r\n{}XX0\r\n\r\n"), Bad("a size that is short", "1\r\n{}\r\n0\r\n\r\n"),
        Bad("a size that is long", "3\r\n{}\r\n0\r\n\r\n"),
        Bad("an LF in an extension", "2;\n{}\r\n0\r\n\r\n"),
        Bad("an LF in a named extension", "2;a=b\n{}\r\n0\r\n\r\n"),
        Bad("an LF in the last extension", "2\r\n{}\r\n0;\n\r\n"),
        Bad("a CR in an extension", "2;\rx\r\n{}\r\n0\r\n\r\n"),
        Bad("an LF and a second size in an extension", "2;\nxx\r\n31\r\n0\r\n\r\n"),
        Bad("a CR and a second size in an extension", "2;a\rxx\r\n31\r\n0\r\n\r\n"),
        Bad("CR CR LF in an extension", "2;a\r\r\n{}\r\n0\r\n\r\n"),
        Good("a trailer with a key", "2\r\n{}\r\n0\r\nAuthorization: Bearer mesh_live_a\r\n\r\n"),
        Good("a trailer with a length", $"2\r\n{{}}\r\n0\r\nContent-Length: {HiddenLength}\r\n\r\n", TwoOrRefused),
        Good("a trailer with an encoding", "2\r\n{}\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", TwoOrRefused),
        Good("a trailer with a host", "2\r\n{}\r\n0\r\nHost: elsewhere\r\n\r\n", TwoOrRefused),
        Bad("a trailer that ends in LF", "2\r\n{}\r\n0\r\nX-A: b\n\r\n"),
        Bad("a trailer without a colon", "2\r\n{}\r\n0\r\nX-A\r\n\r\n"),
        Bad("a folded trailer", "2\r\n{}\r\n0\r\nX-A: b\r\n c\r\n\r\n"),
        Bad("a trailer behind a bare CR", "2\r\n{}\r\n0\r\nX-A: b\rX-B: c\r\n\r\n"),
        Bad("NUL in a trailer", "2\r\n{}\r\n0\r\nX-A: \0\r\n\r\n"),
        Bad("trailers of 40,000 bytes", $"2\r\n{{}}\r\n0\r\nX-A: {new string('b', 40_000)}\r\n\r\n"),
    ];

    private static readonly FramingCase[] Heads =
    [
        new("NUL in a header", Refused, "X-A: \0\r\n\r\n"), new("NUL in a name", Refused, "X\0A: b\r\n\r\n"),
        new("a bare CR in a header", Refused, "X-A: b\rc\r\n\r\n"), new("no colon", Refused, "X-A\r\n\r\n"),
        new("no name", Refused, ": b\r\n\r\n"), new("a space in a name", Refused, "X A: b\r\n\r\n"),
        new("a bracket in a name", TwoOrRefused, "X(A: b\r\n\r\n"),
        new("a name of other letters", Refused, "X\xE9: b\r\n\r\n"),
        new("a folded header", Refused, "X-A: b\r\n\tc\r\n\r\n"),
        new("a space before the first name", Refused, " X: b\r\n\r\n"),
        new("a head that ends in LF LF", Refused, "X-A: b\n\n"),
        new("a head that ends in CR LF LF", Refused, "X-A: b\r\n\n"),
        new("a head that ends in CR CR", Refused, "X-A: b\r\n\r\r"),
        Whole("LF alone", Refused, "GET /health/live HTTP/1.1\nHost: localhost\n\n"),
        Whole("CR alone", Refused, "GET /health/live HTTP/1.1\rHost: localhost\r\r"),
        Whole("empty lines first", TwoOrRefused, "\r\n\r\nGET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        Whole("no host", Refused, "GET /health/live HTTP/1.1\r\n\r\n"),
        Whole("two hosts", Refused, "GET /health/live HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"),
        Whole("two hosts that differ", Refused, "GET /health/live HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n\r\n"),
        Host("a list of hosts", "localhost, other"), Host("a space in the host", "local host"),
        Host("a user in the host", "user@localhost"), Host("a path in the host", "localhost/a"),
        Host("half of an address", "[::1"), Host("a port that is none", "localhost:port"),
        Host("NUL in the host", "local\0host"), Host("a question in the host", "localhost?a"),
        Host("a tab in the host", "local\thost"), Host("a backslash in the host", "local\\host"),
        Whole("an absolute target", TwoOrRefused,
            "GET http://localhost/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        Whole("an absolute target elsewhere", Refused,
            "GET http://other/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        Whole("an absolute target, no host", Refused, "GET http://localhost/health/live HTTP/1.1\r\n\r\n"),
        Whole("an authority for a target", Refused, "GET localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        Whole("an asterisk for a target", Refused, "GET * HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        Whole("a target without a slash", Refused, "GET health HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        Whole("no target", Refused, "GET HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        Whole("two spaces before the target", Refused, "GET  /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        Whole("two spaces behind the target", TwoOrRefused, "GET /health/live  HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        Whole("tabs in the request line", Refused, "GET\t/health/live\tHTTP/1.1\r\nHost: localhost\r\n\r\n"),
        Whole("a space before the method", Refused, " GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        Whole("a space inside the target", Refused, "GET /health/ live HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        Whole("NUL in the target", Refused, "GET /health/\0live HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        Whole("a second version in the line", Refused, "GET /health/live HTTP/1.1 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        Whole("version 0.9", Refused, "GET /health/live\r\n"), Whole("version 0.9 by name", Refused,
            "GET /health/live HTTP/0.9\r\nHost: localhost\r\n\r\n"),
        Whole("version 1.2", Refused, "GET /health/live HTTP/1.2\r\nHost: localhost\r\n\r\n"),
        Whole("version 2.0", Refused, "GET /health/live HTTP/2.0\r\nHost: localhost\r\n\r\n"),
        Whole("a version in small letters", Refused, "GET /health/live http/1.1\r\nHost: localhost\r\n\r\n"),
        Whole("a version of many digits", Refused, "GET /health/live HTTP/1.11\r\nHost: localhost\r\n\r\n"),
        Whole("version 1.0, kept", Two,
            "GET /health/live HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n"),
        Whole("version 1.0, not kept", Cut, "GET /health/live HTTP/1.0\r\n\r\n"),
        Whole("a close", Cut, "GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        Whole("no request at all", Refused, "\x16\x03\x01\x02\0\x01\0\x01\xFC\x03\x03\r\n\r\n"),
    ];

    internal static readonly IReadOnlyList<FramingCase> All = [.. Lengths, .. Encodings, .. ChunkSizes, .. Heads];

    private static FramingCase Length(string name, string value) =>
        new(name, Refused, $"Content-Length: {value}\r\n\r\n", Body);

    private static FramingCase Encoding(string value) =>
        new($"the encoding {value.Replace('\0', '0')}", Refused, $"Transfer-Encoding: {value}\r\n\r\n", Chunks);

    private static FramingCase Good(string name, string chunks, Framing expected = Two) =>
        new(name, expected, ChunkedHead, chunks);

    private static FramingCase Bad(string name, string chunks) => new(name, Cut, ChunkedHead, chunks);

    private static FramingCase Host(string name, string host) =>
        Whole(name, Refused, $"GET /health/live HTTP/1.1\r\nHost: {host}\r\n\r\n");

    private static FramingCase Whole(string name, Framing expected, string head) =>
        new(name, expected, head) { IsWhole = true };
}
