using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Reeve.Server.Egress;

namespace Reeve.Server.Tests.Webhooks;

/// <summary>One attempt as it arrived.</summary>
internal sealed record ReceivedWebhook(
    string Path, string Id, string Timestamp, string Signature, string Body,
    IReadOnlyDictionary<string, string> Headers)
{
    internal DateTimeOffset At { get; init; }

    internal JsonElement Json => JsonElement.Parse(Body);

    internal string Type => Json.GetProperty("type").GetString()!;

    internal JsonElement Data => Json.GetProperty("data");

    /// <summary>Whether one of the signatures is that of this secret, as the standard says it.</summary>
    internal bool IsSignedBy(string secret)
    {
        var key = Convert.FromBase64String(secret["whsec_".Length..]);
        var signed = HMACSHA256.HashData(key, Encoding.UTF8.GetBytes($"{Id}.{Timestamp}.{Body}"));
        return Signature.Split(' ').Contains("v1," + Convert.ToBase64String(signed));
    }
}

/// <summary>Takes webhooks on a loopback port and answers as it is told.</summary>
internal sealed class WebhookReceiver : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentQueue<ReceivedWebhook> _received = new();

    private WebhookReceiver(WebApplication app) => _app = app;

    internal Uri Url => new(_app.Urls.First());

    /// <summary>What an operator must allow for it to be reached.</summary>
    internal EgressOptions Allowed => new() { Allow = [new EgressTarget(Url.Host, Url.Port)] };

    internal IReadOnlyList<ReceivedWebhook> Received => [.. _received];

    /// <summary>Status to answer with; asked for each attempt. 200 when nothing is set.</summary>
    internal Func<ReceivedWebhook, HttpContext, Task<int>> Answer { get; set; } = static (_, _) => Task.FromResult(200);

    internal static async Task<WebhookReceiver> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(static kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var app = builder.Build();
        var receiver = new WebhookReceiver(app);
        app.Run(receiver.TakeAsync);
        await app.StartAsync();
        return receiver;
    }

    internal void Clear() => _received.Clear();

    /// <summary>Waits until so many attempts came.</summary>
    internal Task ReceivedAsync(int count) => Eventually.TrueAsync(() => _received.Count >= count);

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task TakeAsync(HttpContext context)
    {
        using var reader = new StreamReader(context.Request.Body, Encoding.UTF8);
        string body;
        try
        {
            body = await reader.ReadToEndAsync(context.RequestAborted);
        }
        catch (Exception error) when (error is IOException or OperationCanceledException or BadHttpRequestException)
        {
            context.Abort(); // Cut off on its way.
            return;
        }

        var headers = context.Request.Headers;
        var received = new ReceivedWebhook(
            context.Request.Path, headers["webhook-id"].ToString(), headers["webhook-timestamp"].ToString(),
            headers["webhook-signature"].ToString(), body, headers.ToDictionary(
                static one => one.Key, static one => one.Value.ToString(), StringComparer.OrdinalIgnoreCase))
        {
            At = TimeProvider.System.GetUtcNow(),
        };
        _received.Enqueue(received);
        context.Response.StatusCode = await Answer(received, context);
    }
}
