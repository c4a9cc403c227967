using System.IO.Compression;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Reeve.Server.Egress;

namespace Reeve.Server.Tests.Egress;

public sealed class SafeHttpTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Name_WithAForbiddenAddressAmongOthers_IsNotCalled()
    {
        var dialed = new List<IPEndPoint>();
        using var http = new SafeHttp(new EgressOptions(), (_, _) => Task.FromResult<IPAddress[]>(
            [IPAddress.Parse("8.8.8.8"), IPAddress.Parse("10.0.0.5")]), TimeProvider.System, (address, _) =>
        {
            dialed.Add(address);
            throw new SocketException((int)SocketError.ConnectionRefused);
        });

        var error = await Assert.ThrowsAsync<EgressException>(() => GetAsync(http, "https://mixed.example/"));

        Assert.Equal((EgressFault.Forbidden, 0), (error.Fault, dialed.Count));
    }

    [Fact]
    public async Task Name_ThatIsBoundAnewAfterTheCheck_IsConnectedToWhatWasChecked()
    {
        var answers = new Queue<string>(["8.8.8.8", "127.0.0.1"]);
        var dialed = new List<string>();
        using var http = new SafeHttp(new EgressOptions { AllowHttp = true },
            (_, _) => Task.FromResult<IPAddress[]>([IPAddress.Parse(answers.Dequeue())]), TimeProvider.System,
            (address, _) =>
            {
                dialed.Add(address.ToString());
                throw new SocketException((int)SocketError.ConnectionRefused);
            });

        var first = await Assert.ThrowsAsync<EgressException>(() => GetAsync(http, "http://rebind.example/"));
        var second = await Assert.ThrowsAsync<EgressException>(() => GetAsync(http, "http://rebind.example/"));

        Assert.Equal((EgressFault.Unreachable, EgressFault.Forbidden), (first.Fault, second.Fault));
        Assert.Equal(["8.8.8.8:80"], dialed);
    }

    [Fact]
    public async Task Name_WithoutAnAddress_IsUnresolved()
    {
        using var none = new SafeHttp(new EgressOptions(), (_, _) => Task.FromResult<IPAddress[]>([]),
            TimeProvider.System);
        using var unknown = new SafeHttp(new EgressOptions(),
            (_, _) => throw new SocketException((int)SocketError.HostNotFound), TimeProvider.System);

        foreach (var http in (SafeHttp[])[none, unknown])
        {
            var error = await Assert.ThrowsAsync<EgressException>(() => GetAsync(http, "https://nobody.example/"));
            Assert.Equal("unresolved", error.Word);
        }
    }

    [Theory]
    [InlineData("http://hooks.example/")]
    [InlineData("ftp://hooks.example/")]
    [InlineData("https://user:pass@hooks.example/")]
    public async Task Url_OfAnotherKind_IsNotCalled(string address)
    {
        using var http = new SafeHttp(new EgressOptions(),
            (_, _) => throw new InvalidOperationException("resolved"), TimeProvider.System);

        var error = await Assert.ThrowsAsync<EgressException>(() => GetAsync(http, address));

        Assert.Equal(EgressFault.Forbidden, error.Fault);
    }

    [Fact]
    public async Task Host_ThatTheOperatorAllows_IsCalledByItsNameAndOnItsPortAlone()
    {
        await using var server = new OneAnswerServer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"u8.ToArray());
        using var http = new SafeHttp(
            new EgressOptions { Allow = [new EgressTarget("intranet.example", server.Port)] },
            (_, _) => Task.FromResult<IPAddress[]>([IPAddress.Loopback]), TimeProvider.System);

        var answer = await GetAsync(http, $"http://intranet.example:{server.Port}/a");
        var other = await Assert.ThrowsAsync<EgressException>(
            () => GetAsync(http, $"https://intranet.example:{server.Port + 1}/a"));
        var another = await Assert.ThrowsAsync<EgressException>(
            () => GetAsync(http, $"https://other.example:{server.Port}/a"));

        Assert.Equal((200, "hi"), (answer.Status, Encoding.ASCII.GetString(answer.Body.Span)));
        Assert.Contains($"Host: intranet.example:{server.Port}", server.Request, StringComparison.Ordinal);
        Assert.Equal((EgressFault.Forbidden, EgressFault.Forbidden), (other.Fault, another.Fault));
    }

    [Fact]
    public async Task Redirect_IsAnAnswer_AndNothingOfTheRequestGoesElsewhere()
    {
        await using var server = new OneAnswerServer(
            "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"u8
                .ToArray());
        using var http = Allowing(server);

        var answer = await GetAsync(http, server.Url);
        await GetAsync(http, server.Url);

        Assert.Equal(302, answer.Status);
        Assert.DoesNotContain("Cookie", server.Request, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Body_ThatUnpacksToMoreThanItsBound_IsRefused()
    {
        await using var server = new OneAnswerServer(Gzipped(64 * 1024 * 1024));
        using var http = Allowing(server);

        var error = await Assert.ThrowsAsync<EgressException>(() => GetAsync(http, server.Url));

        Assert.Equal("protocol", error.Word);
    }

    [Fact]
    public async Task Body_WithinItsBound_IsRead()
    {
        await using var server = new OneAnswerServer(Gzipped(60_000));
        using var http = Allowing(server);

        Assert.Equal(60_000, (await GetAsync(http, server.Url)).Body.Length);
    }

    [Theory]
    [InlineData("nonsense\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nhalf")]
    public async Task Answer_ThatIsNoHttp_IsAFaultOfProtocol(string answer)
    {
        await using var server = new OneAnswerServer(Encoding.ASCII.GetBytes(answer));
        using var http = Allowing(server);

        var error = await Assert.ThrowsAsync<EgressException>(() => GetAsync(http, server.Url));

        Assert.Equal("protocol", error.Word);
    }

    [Fact]
    public async Task Headers_BeyondTheirBound_AreRefused()
    {
        var headers = string.Concat(Enumerable.Range(0, 2_000).Select(static i => $"x-{i}: {new string('a', 40)}\r\n"));
        await using var server = new OneAnswerServer(
            Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\n{headers}Content-Length: 0\r\n\r\n"));
        using var http = Allowing(server);

        Assert.Equal("protocol",
            (await Assert.ThrowsAsync<EgressException>(() => GetAsync(http, server.Url))).Word);
    }

    [Fact]
    public async Task Tls_ThatIsNone_IsAFaultOfTls()
    {
        await using var server = new OneAnswerServer("HTTP/1.1 200 OK\r\n\r\n"u8.ToArray());
        using var http = Allowing(server);

        Assert.Equal("tls", (await Assert.ThrowsAsync<EgressException>(
            () => GetAsync(http, $"https://127.0.0.1:{server.Port}/"))).Word);
    }

    [Fact]
    public async Task Proxy_OfTheEnvironment_IsNotUsed()
    {
        await using var proxy = new OneAnswerServer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nproxy"u8.ToArray());
        await using var server = new OneAnswerServer("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nreal"u8.ToArray());
        var before = Environment.GetEnvironmentVariable("http_proxy");
        Environment.SetEnvironmentVariable("http_proxy", proxy.Url);
        try
        {
            using var http = Allowing(server);
            Assert.Equal("real", Encoding.ASCII.GetString((await GetAsync(http, server.Url)).Body.Span));
        }
        finally
        {
            Environment.SetEnvironmentVariable("http_proxy", before);
        }
    }

    private static SafeHttp Allowing(OneAnswerServer server) => new(
        new EgressOptions { Allow = [new EgressTarget("127.0.0.1", server.Port)] }, SafeHttp.SystemResolver,
        TimeProvider.System);

    private static async Task<EgressAnswer> GetAsync(SafeHttp http, string url)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, url);
        return await http.SendAsync(request, Deadline, bodyBytesMax: 64 * 1024, Cancellation);
    }

    private static byte[] Gzipped(int length)
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true))
        {
            gzip.Write(new byte[length]);
        }

        var head = $"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {packed.Length}\r\n\r\n";
        return [.. Encoding.ASCII.GetBytes(head), .. packed.ToArray()];
    }

    /// <summary>Answers every connection with the same bytes and closes it.</summary>
    private sealed class OneAnswerServer : IAsyncDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly byte[] _answer;
        private readonly Task _serving;

        internal OneAnswerServer(byte[] answer)
        {
            _answer = answer;
            _listener.Start();
            _serving = ServeAsync();
        }

        internal int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

        internal string Url => $"http://127.0.0.1:{Port}/";

        /// <summary>The head of the newest request.</summary>
        internal string Request { get; private set; } = "";

        public async ValueTask DisposeAsync()
        {
            _listener.Dispose();
            await _serving;
        }

        private async Task ServeAsync()
        {
            try
            {
                while (true)
                {
                    using var socket = await _listener.AcceptSocketAsync();
                    var buffer = new byte[16 * 1024];
                    var count = await socket.ReceiveAsync(buffer);
                    Request = Encoding.ASCII.GetString(buffer, 0, count);
                    try
                    {
                        await socket.SendAsync(_answer);
                    }
                    catch (SocketException)
                    {
                        continue; // The caller had enough.
                    }

                    socket.Shutdown(SocketShutdown.Send);
                    while (await socket.ReceiveAsync(buffer) > 0)
                    {
                        // Until the caller closes too.
                    }
                }
            }
            catch (Exception error) when (error is SocketException or InvalidOperationException)
            {
                // The end of this server.
            }
        }
    }
}
