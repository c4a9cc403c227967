using System.Net.Sockets;
using System.Text;
using Reeve.Server.Http;

namespace Reeve.Server.Tests.Http;

public sealed class KestrelSetupTests
{
    private const string Head = "POST /v1/agents HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
        + TestServer.AdminKey + "\r\n";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(25_000, null, 25_000)]
    [InlineData(25_000, 1_000_000L, 25_000)]
    [InlineData(25_000, 1_024L, 768)]
    [InlineData(500, 1_024L, 500)]
    [InlineData(500, 1L, 1)]
    public void ConnectionsMax_Each_LeavesFilesForTheRest(int configured, long? openFiles, long expected) =>
        Assert.Equal(
            expected, KestrelSetup.ConnectionsMax(new LimitOptions { ConnectionsMax = configured }, openFiles));

    [Fact]
    public async Task Connection_BeyondTheBound_IsClosedAndLetInWhenOneGoes()
    {
        await using var server = await TestServer.StartAsync(
            static options => options with { Limits = options.Limits with { ConnectionsMax = 2 } });
        var first = await AskAsync(server);
        using var second = await AskAsync(server);

        using var third = await AskAsync(server);

        Assert.True(await IsAnsweredAsync(first));
        Assert.True(await IsAnsweredAsync(second));
        Assert.False(await IsAnsweredAsync(third));
        first.Dispose();
        var isIn = false;
        while (!isIn)
        {
            using var again = await AskAsync(server);
            isIn = await IsAnsweredAsync(again); // The server needs a moment to see that one went.
        }
    }

    [Theory]
    [InlineData("Transfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-A: \0\r\n\r\n")]
    [InlineData("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")]
    [InlineData("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]
    [InlineData("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n")]
    public async Task Body_ThatCouldEndElsewhere_IsInvalidAndEndsTheConnection(string rest)
    {
        await using var server = await TestServer.StartAsync();

        var answer = await server.SendRawAsync(Head + rest + "GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n");

        Assert.StartsWith("HTTP/1.1 400 ", answer, StringComparison.Ordinal);
        Assert.Contains("\"code\":\"invalid_request\"", answer, StringComparison.Ordinal);
        Assert.DoesNotContain("\"version\":", answer, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("GET /version HTTP/1.1\nHost: localhost\n\n")]
    [InlineData("GET /version HTTP/1.1\r\nHost: localhost\r\nX-A: b\nX-B: c\r\n\r\n")]
    public async Task Line_ThatEndsInALineFeedAlone_IsRefused(string request)
    {
        await using var server = await TestServer.StartAsync();

        Assert.StartsWith("HTTP/1.1 400 ", await server.SendRawAsync(request), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Chunks_OfTheOldVersion_AreRefused()
    {
        await using var server = await TestServer.StartAsync();

        var answer = await server.SendRawAsync("POST /v1/agents HTTP/1.0\r\nHost: localhost\r\n"
            + "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");

        Assert.StartsWith("HTTP/1.1 400 ", answer, StringComparison.Ordinal);
    }

    private static async Task<Socket> AskAsync(TestServer server)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(server.Url.Host, server.Url.Port, Cancellation);
        await socket.SendAsync("GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"u8.ToArray(), Cancellation);
        return socket;
    }

    private static async Task<bool> IsAnsweredAsync(Socket socket)
    {
        var buffer = new byte[1024];
        try
        {
            var count = await socket.ReceiveAsync(buffer, Cancellation);
            return Encoding.ASCII.GetString(buffer, 0, count).StartsWith("HTTP/1.1 200 ", StringComparison.Ordinal);
        }
        catch (SocketException)
        {
            return false; // A reset: it was closed before it was read.
        }
    }
}
