using Reeve.Server.Egress;

namespace Reeve.Server.Tests.Egress;

public sealed class EgressUrlTests
{
    [Theory]
    [InlineData("https://hooks.example.com/in")]
    [InlineData("HTTPS://hooks.example.com:8443/in?x=1&y=%20")]
    [InlineData("https://xn--bcher-kva.example/")]
    [InlineData("https://8.8.8.8/")]
    [InlineData("https://[2606:4700:4700::1111]:8443/")]
    public void Url_OfAPublicHost_IsTaken(string address) =>
        Assert.True(EgressUrl.TryRead(address, new EgressOptions(), out _, out var problem), problem);

    [Theory]
    [InlineData("")]
    [InlineData("hooks.example.com")]
    [InlineData("http://hooks.example.com/")]
    [InlineData("ftp://hooks.example.com/")]
    [InlineData("file:///etc/passwd")]
    [InlineData("https:/hooks.example.com/")]
    [InlineData("https:hooks.example.com")]
    [InlineData("https://")]
    [InlineData("https://user@hooks.example.com/")]
    [InlineData("https://a:b@127.0.0.1/")]
    [InlineData("https://hooks.example.com@127.0.0.1/")]
    [InlineData("https://hooks.example.com\\@127.0.0.1/")]
    [InlineData("https://hooks.example.com#@127.0.0.1/")]
    [InlineData("https://hooks.example.com:0/")]
    [InlineData("https://hooks.example.com:65536/")]
    [InlineData("https://bücher.example/")]
    [InlineData("https://①②⑦.⓪.⓪.①/")]
    [InlineData("https://１２７.0.0.1/")]
    [InlineData("https://127。0。0。1/")]
    [InlineData("https://hooks.example.com /")]
    [InlineData("https://127.0.0.1/")]
    [InlineData("https://127.1/")]
    [InlineData("https://2130706433/")]
    [InlineData("https://0x7f.1/")]
    [InlineData("https://0177.0.0.1/")]
    [InlineData("https://127.0.0.1./")]
    [InlineData("https://127.0.0.1.:8443/")]
    [InlineData("https://%31%32%37.0.0.1/")]
    [InlineData("https://[::1]/")]
    [InlineData("https://[::ffff:127.0.0.1]/")]
    [InlineData("https://[fe80::1%25lo]/")]
    [InlineData("https://[64:ff9b::7f00:1]/")]
    [InlineData("https://localhost/")]
    [InlineData("https://LOCALHOST/")]
    [InlineData("https://a.localhost/")]
    [InlineData("https://localhost./")]
    [InlineData("https://intranet/")]
    public void Url_OfAnythingElse_IsRefused(string address)
    {
        Assert.False(EgressUrl.TryRead(address, new EgressOptions(), out _, out var problem));
        Assert.StartsWith("must ", problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http://127.0.0.1:8089/x", true)]
    [InlineData("http://127.0.0.1:8090/x", false)]
    [InlineData("http://127.1:8089/x", true)] // Another way to write the same host.
    [InlineData("http://127.0.0.2:8089/x", false)]
    [InlineData("https://intranet:443/", true)]
    [InlineData("https://INTRANET/", true)]
    [InlineData("https://intranet:444/", false)]
    [InlineData("http://x.intranet:443/", false)]
    [InlineData("http://[::1]:9000/", true)]
    [InlineData("http://[0:0:0:0:0:0:0:1]:9000/", true)]
    [InlineData("http://user@127.0.0.1:8089/x", false)]
    public void Url_OfAHostThatTheOperatorAllows_IsTakenOnItsPortAlone(string address, bool isTaken)
    {
        var allowed = new[] { "127.0.0.1:8089", "intranet:443", "[::1]:9000" }.Select(static text =>
        {
            Assert.True(EgressTarget.TryParse(text, out var target));
            return target;
        });

        Assert.Equal(isTaken, EgressUrl.TryRead(address, new EgressOptions { Allow = [.. allowed] }, out _, out _));
    }

    [Theory]
    [InlineData("intranet")]
    [InlineData("intranet:")]
    [InlineData("intranet:0")]
    [InlineData("intranet:65536")]
    [InlineData("intranet:x")]
    [InlineData(":443")]
    [InlineData("::1:443")]
    [InlineData("https://intranet:443")]
    [InlineData("in tranet:443")]
    [InlineData("*:443")]
    [InlineData("[::1:443")]
    public void Target_ThatIsNoHostAndPort_IsRefused(string text) => Assert.False(EgressTarget.TryParse(text, out _));
}
