using System.Text;
using Reeve.Server.Retrieval.Web;

namespace Reeve.Server.Tests.Retrieval.Web;

/// <summary>The rules of RFC 9309, with its own examples of 2.2.2 and 5.</summary>
public sealed class RobotsTextTests
{
    [Theory]
    [InlineData("", "/x", true)]
    [InlineData("User-agent: *\nDisallow:", "/x", true)]
    [InlineData("User-agent: *\nDisallow: /", "/x", false)]
    [InlineData("user-AGENT: * # all\ndisallow: /x # not this", "/x/y", false)]
    [InlineData("User-agent: *\nDisallow: /\nUser-agent: reeve\nAllow: /", "/x", true)]
    [InlineData("User-agent: Reeve\nDisallow: /a\nUser-agent: *\nDisallow: /b", "/b", true)]
    [InlineData("User-agent: Reeve\nDisallow: /a\nUser-agent: *\nDisallow: /b", "/a", false)]
    [InlineData("User-agent: other\nUser-agent: reeve\nDisallow: /a\nUser-agent: third\nDisallow: /b", "/a", false)]
    [InlineData("User-agent: other\nUser-agent: reeve\nDisallow: /a\nUser-agent: third\nDisallow: /b", "/b", true)]
    [InlineData("User-agent: reeve\nDisallow: /a\nUser-agent: reeve\nDisallow: /b", "/b", false)]
    [InlineData("User-agent: reevebot\nDisallow: /", "/x", true)]
    [InlineData("Disallow: /", "/x", true)]
    [InlineData("User-agent: *\nDisallow: /example/page/\nAllow: /example/page/allowed.gif",
        "/example/page/allowed.gif", true)]
    [InlineData("User-agent: *\nAllow: /example/page/\nDisallow: /example/page/disallowed.gif",
        "/example/page/disallowed.gif", false)]
    [InlineData("User-agent: *\nDisallow: /page\nAllow: /page", "/page", true)]
    [InlineData("User-agent: *\nDisallow: *.gif$", "/a/b.gif", false)]
    [InlineData("User-agent: *\nDisallow: *.gif$", "/a/b.gif?x", true)]
    [InlineData("User-agent: *\nDisallow: /*/c$", "/a/c/c", false)]
    [InlineData("User-agent: *\nDisallow: /a*a$", "/a", true)]
    [InlineData("User-agent: *\nDisallow: /é", "/%c3%a9", false)]
    [InlineData("User-agent: *\nDisallow: /%C3%A9", "/%c3%a9x", false)]
    [InlineData("\ufeffUser-agent: *\r\n\r\nDisallow: /x\r\nSitemap: https://example.com/", "/x", false)]
    public void Allows_IsWhatTheFileSays(string file, string path, bool expected) =>
        Assert.Equal(expected, RobotsText.Parse(Encoding.UTF8.GetBytes(file)).Allows(path));

    [Fact]
    public void Allows_OfAFileMadeToBeSlow_Ends()
    {
        var file = "User-agent: *\n" + string.Concat(Enumerable.Repeat(
            "Disallow: /" + string.Concat(Enumerable.Repeat("*a", 400)) + "b\n", 600));

        Assert.True(RobotsText.Parse(Encoding.UTF8.GetBytes(file)).Allows("/" + new string('a', 2_000)));
    }
}
