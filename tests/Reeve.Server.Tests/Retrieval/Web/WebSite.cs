using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Reeve.Server.Egress;

namespace Reeve.Server.Tests.Retrieval.Web;

/// <summary>A site on a loopback port whose pages the tests write.</summary>
internal sealed class WebSite : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentQueue<(string Path, string? IfNoneMatch)> _asked = new();

    private WebSite(WebApplication app) => _app = app;

    internal Uri Url => new(_app.Urls.First());

    internal EgressOptions Allowed => new() { Allow = [new EgressTarget(Url.Host, Url.Port)] };

    /// <summary>By path; what is missing is a 404.</summary>
    internal ConcurrentDictionary<string, RequestDelegate> Pages { get; } = new(StringComparer.Ordinal);

    internal IReadOnlyList<(string Path, string? IfNoneMatch)> Asked => [.. _asked];

    internal static async Task<WebSite> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(static kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var site = new WebSite(builder.Build());
        site._app.Run(site.AnswerAsync);
        await site._app.StartAsync();
        return site;
    }

    internal void Put(string path, string text, string type = "text/html; charset=utf-8", string? etag = null) =>
        Pages[path] = context =>
        {
            if (etag is not null)
            {
                context.Response.Headers.ETag = etag;
                if (context.Request.Headers.IfNoneMatch == etag)
                {
                    context.Response.StatusCode = StatusCodes.Status304NotModified;
                    return Task.CompletedTask;
                }
            }

            context.Response.ContentType = type;
            return context.Response.WriteAsync(text, context.RequestAborted);
        };

    internal void PutStatus(string path, int status, string? location = null) => Pages[path] = context =>
    {
        context.Response.StatusCode = status;
        if (location is not null)
        {
            context.Response.Headers.Location = location;
        }

        return Task.CompletedTask;
    };

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private Task AnswerAsync(HttpContext context)
    {
        var path = context.Request.Path + context.Request.QueryString;
        _asked.Enqueue((path, context.Request.Headers.IfNoneMatch));
        if (Pages.TryGetValue(path, out var page))
        {
            return page(context);
        }

        context.Response.StatusCode = StatusCodes.Status404NotFound;
        return Task.CompletedTask;
    }
}
