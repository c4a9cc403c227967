using System.Text;
using Microsoft.AspNetCore.Http;

namespace Reeve.Server.Tests.Retrieval.Web;

/// <summary>Documents that are fetched from the web, and fetched again.</summary>
public sealed class WebPageTests : IAsyncLifetime
{
    private WebSite _site = null!;
    private TestServer _server = null!;
    private string _agent = null!;

    public async ValueTask InitializeAsync()
    {
        _site = await WebSite.StartAsync();
        _server = await TestServer.StartAsync(known => known with { Egress = _site.Allowed });
        var made = await _server.Client.PostAsync("/v1/agents", """{"name":"Desk","model":"reeve/quote"}""");
        Assert.True(made.Status == 201, made.Text);
        _agent = made.Json.GetProperty("id").GetString()!;
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        await _site.DisposeAsync();
    }

    [Fact]
    public async Task Page_IsFetchedReadAndAnsweredFrom()
    {
        _site.Put("/help/opening", "<!doctype html><title> Opening &amp; closing\n hours</title><h1>Hours</h1>"
            + "<p>The shop opens at nine o'clock on weekdays.</p><script>alert(1)</script>");

        var added = await AddAsync("/help/opening", ",\"metadata\":{\"kind\":\"help\"}");

        Assert.True(added.Status == 201, added.Text);
        Assert.Equal(("Opening & closing hours", "text/html", "ready", _site.Url + "help/opening"),
            (Text(added, "name"), Text(added, "mime_type"), Text(added, "status"), Text(added, "url")));
        Assert.Equal("null", added.Json.GetProperty("refresh_seconds").GetRawText());
        Assert.Equal("2026-11-20T09:15:03.530Z", Text(added, "fetched_at"));
        var answer = await _server.Client.PostAsync("/v1/agents/runs",
            $$"""{"agent":"{{_agent}}","input":"When does the shop open on weekdays?"}""");
        Assert.Contains("nine o'clock", answer.Json.GetProperty("output").GetString(), StringComparison.Ordinal);
        Assert.Equal(["/robots.txt", "/help/opening"], _site.Asked.Select(static one => one.Path));

        // The same address again is the same document, and is not asked for again.
        var again = await AddAsync("/help/opening");
        Assert.Equal((200, Text(added, "id")), (again.Status, Text(again, "id")));
        Assert.Equal(2, _site.Asked.Count);
    }

    [Fact]
    public async Task Page_ThatIsDue_IsAskedForItsChangesAndReplacedAtOnce()
    {
        _site.Put("/news", "<html><body><p>The old lighthouse is closed.</p></body></html>", etag: "\"one\"");
        var added = await AddAsync("/news", ",\"refresh_seconds\":600,\"name\":\"News\"");
        Assert.True(added.Status == 201, added.Text);
        var id = Text(added, "id");

        TestAnswer same = null!;
        await DueUntilAsync(async () =>
            Text(same = await GetAsync(id), "fetched_at") != Text(added, "fetched_at"));
        Assert.Equal(("\"one\"", Text(added, "sha256")), (_site.Asked[^1].IfNoneMatch, Text(same, "sha256")));
        Assert.Equal(Text(added, "updated_at"), Text(same, "updated_at"));

        _site.Put("/news", "<html><body><p>The lighthouse is open again.</p></body></html>", etag: "\"two\"");
        await DueUntilAsync(async () => Text(await GetAsync(id), "sha256") != Text(added, "sha256"));
        Assert.Equal("News", Text(await GetAsync(id), "name"));
        Assert.Contains("open again", await SearchAsync("lighthouse"), StringComparison.Ordinal);
        Assert.DoesNotContain("old lighthouse", await SearchAsync("lighthouse"), StringComparison.Ordinal);

        // A site that fails leaves what there is, and is asked again at the next time.
        _site.PutStatus("/news", 503);
        var asked = _site.Asked.Count;
        await DueUntilAsync(() => Task.FromResult(_site.Asked.Count >= asked + 2));
        Assert.Contains("open again", await SearchAsync("lighthouse"), StringComparison.Ordinal);
        Assert.Equal("ready", Text(await GetAsync(id), "status"));

        Assert.Equal(204, (await _server.Client.DeleteAsync($"/v1/documents/{id}")).Status);
        await QuietAsync();
    }

    [Fact]
    public async Task Retry_OfAPage_FetchesItNow()
    {
        _site.Put("/a.txt", "The first text of the page.", "text/plain");
        var added = await AddAsync("/a.txt");
        Assert.Equal(("a.txt", "text/plain"), (Text(added, "name"), Text(added, "mime_type")));
        _site.Put("/a.txt", "The second text of the page.", "text/plain");

        var retried = await _server.Client.PostAsync($"/v1/documents/{Text(added, "id")}/retry", "");

        Assert.True(retried.Status == 202, retried.Text);
        Assert.NotEqual(Text(added, "sha256"), Text(retried, "sha256"));
        Assert.Contains("second", await SearchAsync("text page"), StringComparison.Ordinal);
        _site.PutStatus("/a.txt", 410);
        var gone = await _server.Client.PostAsync($"/v1/documents/{Text(added, "id")}/retry", "");
        Assert.Equal((409, "The page answers with status 410. The document stays as it was."),
            (gone.Status, gone.Json.GetProperty("error").GetProperty("message").GetString()));
        Assert.Contains("second", await SearchAsync("text page"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Page_InAnotherCharset_IsReadInIt()
    {
        _site.Pages["/latin"] = context =>
        {
            context.Response.ContentType = "text/html";
            return context.Response.Body.WriteAsync(Encoding.Latin1.GetBytes(
                "<html><head><meta charset=\"iso-8859-1\"></head><body><p>Das Café schließt früh.</p></body></html>"))
                .AsTask();
        };

        var added = await AddAsync("/latin");

        Assert.True(added.Status == 201, added.Text);
        Assert.Contains("Café schließt früh", await SearchAsync("cafe"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Page_ThatNamesACharsetNobodyReads_IsReadAsUtf8_AndHoldsUpNoOther()
    {
        _site.Put(
            "/seven", "<html><body><p>Words for seven.</p></body></html>", "text/html; charset=unicode-1-1-utf-7");

        var added = await AddAsync("/seven");

        Assert.True(added.Status == 201, added.Text);
        Assert.Contains("Words for seven", await SearchAsync("seven"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Refresh_OfAPageThatWasRenamedMeanwhile_KeepsTheNewName()
    {
        _site.Put("/slow", "First words.", "text/plain");
        var id = Text(await AddAsync("/slow"), "id");
        var release = new TaskCompletionSource();
        _site.Pages["/slow"] = async context =>
        {
            await release.Task;
            await context.Response.WriteAsync("Second words.", context.RequestAborted);
        };
        var asked = _site.Asked.Count;
        var retry = _server.Client.PostAsync($"/v1/documents/{id}/retry", "");
        await Eventually.TrueAsync(() => _site.Asked.Count > asked);

        await _server.Client.PatchAsync($"/v1/documents/{id}", """{"name":"Renamed"}""");
        release.SetResult();

        Assert.Equal(202, (await retry).Status);
        Assert.Equal("Renamed", Text(await GetAsync(id), "name"));
        Assert.Contains("Second", await SearchAsync("words"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Redirects_AreFollowedThroughTheGuard()
    {
        _site.PutStatus("/old", 301, "/new");
        _site.Put("/new", "<html><body><p>The page has moved here.</p></body></html>");
        _site.PutStatus("/inside", 302, "http://169.254.169.254/latest/meta-data/");
        _site.PutStatus("/file", 302, "file:///etc/passwd");
        _site.PutStatus("/round", 302, "/round");

        Assert.Equal(201, (await AddAsync("/old")).Status);
        foreach (var (path, message) in new[]
        {
            ("/inside", "not called"), ("/file", "not called"), ("/round", "more than 3 times"),
        })
        {
            var refused = await AddAsync(path);
            Assert.Equal((400, "url"), (refused.Status, refused.ErrorParam));
            Assert.Contains(message, refused.Text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Robots_AreAskedOnceAndObeyed()
    {
        _site.Put("/robots.txt", "User-agent: *\nDisallow: /private\nAllow: /private/open\n", "text/plain");
        _site.Put("/private/x", "Private words here.", "text/plain");
        _site.Put("/private/open", "Open words here.", "text/plain");
        _site.PutStatus("/sneaky", 302, "/private/x");

        Assert.Equal(201, (await AddAsync("/private/open")).Status);
        var refused = await AddAsync("/private/x");
        var around = await AddAsync("/sneaky");

        Assert.Equal((400, 400), (refused.Status, around.Status));
        Assert.Contains("robots", refused.Text, StringComparison.Ordinal);
        Assert.Equal(["/robots.txt", "/private/open", "/sneaky"], _site.Asked.Select(static one => one.Path));
    }

    [Fact]
    public async Task NameAndValidators_OfAHostileSite_AreWhatCanBeShownAndSent()
    {
        _site.Pages["/odd"] = context =>
        {
            context.Response.ContentType = "text/html";
            context.Response.Headers.ETag = "\"" + new string('e', 2_000) + "\"";
            return context.Response.WriteAsync(
                $"<html><title>A&#7;B&#27;[31m{new string('x', 400)}</title><p>Odd words.</p></html>",
                context.RequestAborted);
        };

        var added = await AddAsync("/odd");

        Assert.True(added.Status == 201, added.Text);
        Assert.Equal("AB[31m" + new string('x', 249), Text(added, "name"));
        Assert.Equal(202, (await _server.Client.PostAsync($"/v1/documents/{Text(added, "id")}/retry", "")).Status);
        Assert.Null(_site.Asked[^1].IfNoneMatch);
    }

    [Fact]
    public async Task RobotsThatCannotBeAsked_AllowNothing()
    {
        _site.PutStatus("/robots.txt", 500);
        _site.Put("/x", "Words.", "text/plain");

        Assert.Contains("robots", (await AddAsync("/x")).Text, StringComparison.Ordinal);
        Assert.Equal(["/robots.txt"], _site.Asked.Select(static one => one.Path));
    }

    [Theory]
    [InlineData("""{"url":"http://127.0.0.1:1/x"}""", "url")]
    [InlineData("""{"url":"https://10.0.0.1/x"}""", "url")]
    [InlineData("""{"url":"https://user:word@example.com/"}""", "url")]
    [InlineData("""{"url":"ftp://example.com/"}""", "url")]
    [InlineData("""{"url":7}""", "url")]
    [InlineData("""{"url":"SITE/missing"}""", "url")]
    [InlineData("""{"url":"SITE/x","text":"a"}""", "url")]
    [InlineData("""{"url":"SITE/x","refresh_seconds":299}""", "refresh_seconds")]
    [InlineData("""{"url":"SITE/x","privacy_class":"confidential"}""", "privacy_class")]
    [InlineData("""{"url":"SITE/x","nmae":"a"}""", "nmae")]
    [InlineData("""{"url":"SITE/empty"}""", "url")]
    [InlineData("""{"url":"SITE/image"}""", "file")]
    public async Task BadPage_IsRefusedAndLeavesNothing(string body, string param)
    {
        _site.Put("/x", "Words.", "text/plain");
        _site.Put("/empty", "", "text/plain");
        _site.Put("/image", "GIF89a...", "image/gif");

        var answer = await _server.Client.PostAsync($"/v1/agents/{_agent}/documents",
            body.Replace("SITE", _site.Url.ToString().TrimEnd('/'), StringComparison.Ordinal));

        Assert.True((400, param) == (answer.Status, answer.ErrorParam), answer.Text);
        Assert.Equal(0, (await _server.Client.GetAsync($"/v1/agents/{_agent}/documents")).Json
            .GetProperty("data").GetArrayLength());
    }

    [Fact]
    public async Task Put_ChangesWhereADocumentComesFrom()
    {
        _site.Put("/a", "Alpha words of the site.", "text/plain");
        var added = await AddAsync("/a", ",\"refresh_seconds\":600");
        var path = $"/v1/documents/{Text(added, "id")}";

        var text = await _server.Client.SendAsync("PUT", path, """{"name":"Own","text":"Own words."}""");
        Assert.True(text.Status == 200, text.Text);
        Assert.False(text.Json.TryGetProperty("url", out _));
        await QuietAsync();

        var page = await _server.Client.SendAsync("PUT", path, $$"""{"url":"{{_site.Url}}a","refresh_seconds":900}""");
        Assert.True(page.Status == 200, page.Text);
        Assert.Equal(900, page.Json.GetProperty("refresh_seconds").GetInt32());

        // What becomes confidential is not asked for by its address any more.
        var sealed_ = await _server.Client.PatchAsync(path, """{"privacy_class":"confidential"}""");
        Assert.True(sealed_.Status == 200, sealed_.Text);
        Assert.False((await GetAsync(Text(added, "id"))).Json.TryGetProperty("url", out _));
        await QuietAsync();
        var refused = await _server.Client.SendAsync("PUT", path, $$"""{"url":"{{_site.Url}}a"}""");
        Assert.Equal((400, "url"), (refused.Status, refused.ErrorParam));
    }

    [Fact]
    public async Task SlowSites_HoldFourPlacesOfAnAccountAndNoMore()
    {
        var release = new TaskCompletionSource();
        for (var i = 0; i < 4; i++)
        {
            _site.Pages[$"/slow{i}"] = async context =>
            {
                await release.Task;
                await context.Response.WriteAsync($"Slow words {context.Request.Path}.", context.RequestAborted);
            };
        }

        var slow = Enumerable.Range(0, 4).Select(one => AddAsync($"/slow{one}")).ToList();
        await Eventually.TrueAsync(() => _site.Asked.Count(static one =>
            one.Path.StartsWith("/slow", StringComparison.Ordinal)) == 4);

        var fifth = await AddAsync("/slow0");

        Assert.Equal((429, "5"), (fifth.Status, fifth.Header("Retry-After")));
        release.SetResult();
        Assert.All(await Task.WhenAll(slow), static answer => Assert.Equal(201, answer.Status));
    }

    private static string Text(TestAnswer answer, string member) => answer.Json.GetProperty(member).GetString()!;

    private Task<TestAnswer> AddAsync(string path, string members = "") => _server.Client.PostAsync(
        $"/v1/agents/{_agent}/documents", $$"""{"url":"{{_site.Url}}{{path[1..]}}"{{members}}}""");

    private Task<TestAnswer> GetAsync(string id) => _server.Client.GetAsync($"/v1/documents/{id}");

    private async Task<string> SearchAsync(string query) =>
        (await _server.Client.PostAsync($"/v1/agents/{_agent}/search", $$"""{"query":"{{query}}"}""")).Text;

    /// <summary>
    /// Lets pages come due, again and again until it is so: time that is moved while a page is on its way is the page's
    /// time too, which is over then.
    /// </summary>
    private async Task DueUntilAsync(Func<Task<bool>> condition)
    {
        var polls = 0;
        _server.Time.Advance(TimeSpan.FromMinutes(11));
        await Eventually.TrueAsync(async () =>
        {
            if (await condition())
            {
                return true;
            }

            if (++polls % 100 == 0)
            {
                _server.Time.Advance(TimeSpan.FromMinutes(11)); // Nobody may have been waiting yet.
            }

            return false;
        });
    }

    /// <summary>Lets hours pass, and sees that nothing was asked for.</summary>
    private async Task QuietAsync()
    {
        var before = _site.Asked.Count;
        for (var minute = 0; minute < 180; minute++)
        {
            _server.Time.Advance(TimeSpan.FromMinutes(1));
            await _server.Database.WriteAsync(static _ => true);
        }

        Assert.Equal(before, _site.Asked.Count);
        Assert.Equal(0, _server.Database.Read(static session =>
            session.Count("SELECT count(*) FROM documents WHERE fetch_at IS NOT NULL")));
    }
}
