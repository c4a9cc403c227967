using System.Text;
using Reeve.Server.Http;

namespace Reeve.Server.Tests.Http;

public sealed class RequestBodyTests
{
    public static TheoryData<string, string> Refused => new()
    {
        { "", "not JSON" },
        { "[]", "must be a JSON object" },
        { "\"text\"", "must be a JSON object" },
        { "null", "must be a JSON object" },
        { "{", "not JSON" },
        { "{} {}", "not JSON" },
        { "{},", "not JSON" },
        { "{\"a\":1,}", "not JSON" },
        { "{\"a\":1} // comment", "not JSON" },
        { "{'a':1}", "not JSON" },
        { "{\"a\":NaN}", "not JSON" },
        { "{\"a\":01}", "not JSON" },
        { "{\"a\":\"\u0001\"}", "not JSON" },
        { "{\"a\":1,\"a\":1}", "stands in it twice" },
        { "{\"a\":{\"b\":1,\"\\u0062\":1}}", "stands in it twice" },
        { "{\"a\":\"\\u0000\"}", "U+0000" },
        { "{\"\\u0000\":1}", "U+0000" },
        { "{\"a\":\"\\ud800\"}", "surrogate" },
        { "{\"a\":\"\\udc00\\ud800\"}", "surrogate" },
        { "{\"\\ud800\":1}", "surrogate" },
        { "{\"a\":" + new string('[', 64) + new string(']', 64) + "}", "64 deep" },
        { new string('[', 10_000), "64 deep" },
        { string.Concat(Enumerable.Repeat("{\"a\":", 10_000)), "64 deep" },
        { "\uFEFF\uFEFF{}", "not JSON" },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void Parse_WhatTheWireForbids_IsRefusedWithTheReason(string json, string reason)
    {
        var error = Assert.Throws<ApiException>(() => RequestBody.Parse(Encoding.UTF8.GetBytes(json)));

        Assert.Equal(ApiErrorCodes.InvalidRequest, error.Code);
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(new byte[] { 0x7B, 0x22, 0xFF, 0x22, 0x3A, 0x31, 0x7D })] // a byte that UTF-8 never has
    [InlineData(new byte[] { 0x7B, 0x22, 0xC0, 0x80, 0x22, 0x3A, 0x31, 0x7D })] // overlong U+0000
    [InlineData(new byte[] { 0x7B, 0x22, 0xED, 0xA0, 0x80, 0x22, 0x3A, 0x31, 0x7D })] // an encoded surrogate
    [InlineData(new byte[] { 0x7B, 0x22, 0xE2, 0x82, 0x22, 0x3A, 0x31, 0x7D })] // cut short
    public void Parse_BadUtf8_IsRefused(byte[] body)
    {
        var error = Assert.Throws<ApiException>(() => RequestBody.Parse(body));

        Assert.Contains("UTF-8", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData(" \n{}\t")]
    [InlineData("\uFEFF{}")]
    [InlineData("{\"a\":\"\\ud83d\\ude00 \\u2028 \uD83D\uDE00\"}")]
    [InlineData("{\"a\":1,\"A\":2}")]
    public void Parse_WhatTheWireAllows_IsRead(string json)
    {
        using var document = RequestBody.Parse(Encoding.UTF8.GetBytes(json));

        Assert.Equal(System.Text.Json.JsonValueKind.Object, document.RootElement.ValueKind);
    }

    [Fact]
    public void Parse_64Deep_IsRead()
    {
        using var document = RequestBody.Parse(
            Encoding.UTF8.GetBytes("{\"a\":" + new string('[', 63) + new string(']', 63) + "}"));

        Assert.Equal(System.Text.Json.JsonValueKind.Array, document.RootElement.GetProperty("a").ValueKind);
    }

    [Theory]
    [InlineData(1 << 20, false, 201)]
    [InlineData((1 << 20) + 1, false, 413)]
    [InlineData(1 << 20, true, 201)]
    [InlineData((1 << 20) + 1, true, 413)]
    [InlineData(3 << 20, true, 413)]
    public async Task Body_AtItsLimit_IsReadAndAboveItIsRefused(int length, bool chunked, int status)
    {
        await using var server = await TestServer.StartAsync();
        const string Json = """{"name":"big","scopes":["chat"]}""";
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/api-keys")
        {
            Content = new StringContent(Json + new string(' ', length - Json.Length)),
        };
        request.Headers.TransferEncodingChunked = chunked;

        var answer = await server.Client.SendAsync(request);

        Assert.Equal(status, answer.Status);
        Assert.Equal(status == 413 ? "payload_too_large" : null, answer.ErrorCode);
        Assert.Equal(200, (await server.Client.GetAsync("/v1/accounts/me")).Status);
    }

    [Fact]
    public async Task Body_Compressed_IsRefused()
    {
        await using var server = await TestServer.StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/api-keys")
        {
            Content = new ByteArrayContent([0x1F, 0x8B, 8, 0]) { Headers = { ContentEncoding = { "gzip" } } },
        };

        var answer = await server.Client.SendAsync(request);

        Assert.Equal((400, "Content-Encoding"), (answer.Status, answer.ErrorParam));
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n")]
    [InlineData("GET / HTTP/9.9\r\nHost: x\r\n\r\n")]
    [InlineData("\0\0\0\r\n\r\n")]
    [InlineData("POST /v1/api-keys HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n")]
    [InlineData("POST /v1/api-keys HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")]
    public async Task Request_NotHttp_IsRefusedAndTheServerStays(string request)
    {
        await using var server = await TestServer.StartAsync();

        var answer = await server.SendRawAsync(request);

        Assert.Matches("^HTTP/1.1 (400|505) ", answer);
        Assert.Equal(200, (await server.Client.GetAsync("/health/live")).Status);
    }

    [Fact]
    public async Task Chunk_Malformed_Is400OfOurShape()
    {
        await using var server = await TestServer.StartAsync();

        var answer = await server.SendRawAsync("POST /v1/api-keys HTTP/1.1\r\nHost: x\r\n"
            + $"Authorization: Bearer {TestServer.AdminKey}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");

        Assert.StartsWith("HTTP/1.1 400 ", answer, StringComparison.Ordinal);
        Assert.Contains("\"code\":\"invalid_request\"", answer, StringComparison.Ordinal);
    }
}
