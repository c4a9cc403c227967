namespace Reeve.Server.Http;

/// <summary>
/// Refuses a request whose end what stands in front of the server may see elsewhere: Kestrel takes it, and what follows
/// could be another caller's request (RFC 9112, sections 6.1 and 11.2).
/// </summary>
internal static class RequestFraming
{
    /// <summary>Where Kestrel keeps a length that came beside an encoding.</summary>
    private const string LengthBesideEncoding = "X-Content-Length";

    internal static void Check(HttpContext context)
    {
        var headers = context.Request.Headers;
        var encoding = headers.TransferEncoding;
        if (encoding.Count == 0 || (encoding.Count == 1
            && string.Equals(encoding[0], "chunked", StringComparison.OrdinalIgnoreCase)
            && !headers.ContainsKey(LengthBesideEncoding)
            && !HttpProtocol.IsHttp10(context.Request.Protocol)))
        {
            return;
        }

        context.Response.Headers.Connection = "close";
        throw ApiException.Invalid(
            "A body is sent with HTTP/1.1 and either Content-Length or Transfer-Encoding: chunked.",
            "Transfer-Encoding");
    }
}
