using Microsoft.AspNetCore.Builder;
using Reeve.Server.Tests.Runs;

namespace Reeve.Server.Tests.Webhooks;

/// <summary>A server with a scripted model, and a receiver that it may reach.</summary>
internal sealed class WebhookWorld : IAsyncDisposable
{
    private WebhookWorld(TestServer server, WebhookReceiver receiver, ScriptedChatClient model) =>
        (Server, Receiver, Model) = (server, receiver, model);

    internal TestServer Server { get; }

    internal WebhookReceiver Receiver { get; }

    internal ScriptedChatClient Model { get; }

    internal TestClient Client => Server.Client;

    internal static async Task<WebhookWorld> StartAsync(
        Func<ReeveOptions, ReeveOptions>? options = null, string? folder = null,
        Action<WebApplicationBuilder>? configure = null, bool realTime = false)
    {
        var receiver = await WebhookReceiver.StartAsync();
        var model = new ScriptedChatClient();
        var server = await TestServer.StartAsync(
            known => (options ?? (static same => same))(known) with { Egress = receiver.Allowed },
            builder =>
            {
                model.AddTo(builder);
                configure?.Invoke(builder);
            }, folder: folder, realTime: realTime);
        return new WebhookWorld(server, receiver, model);
    }

    /// <summary>Makes a webhook to the receiver; answers its id and secret.</summary>
    internal Task<(string Id, string Secret)> NewWebhookAsync(string events, TestClient? client = null) =>
        NewWebhookAsync(events, Receiver.Url, client);

    internal async Task<(string Id, string Secret)> NewWebhookAsync(
        string events, Uri url, TestClient? client = null)
    {
        var made = await (client ?? Client).PostAsync(
            "/v1/webhooks", $$"""{"url":"{{url}}hook","events":[{{events}}]}""");
        Assert.True(made.Status == 201, made.Text);
        return (made.Json.GetProperty("id").GetString()!, made.Json.GetProperty("secret").GetString()!);
    }

    internal async Task<string> NewAgentAsync(string members = "", TestClient? client = null)
    {
        var made = await (client ?? Client).PostAsync(
            "/v1/agents", $$"""{"name":"Desk","model":"mesh/house-1"{{members}}}""");
        Assert.True(made.Status == 201, made.Text);
        return made.Json.GetProperty("id").GetString()!;
    }

    internal async Task<TestAnswer> RunAsync(string agent, string members = "", TestClient? client = null) =>
        await (client ?? Client).PostAsync("/v1/agents/runs", $$"""{"agent":"{{agent}}","input":"Hi"{{members}}}""");

    /// <summary>The newest delivery of a webhook once it fits.</summary>
    internal async Task<TestAnswer> DeliveryAsync(string webhook, Func<System.Text.Json.JsonElement, bool> fits)
    {
        TestAnswer answer = null!;
        var start = TimeProvider.System.GetTimestamp();
        do
        {
            Assert.True(TimeProvider.System.GetElapsedTime(start) < TestServer.Timeout, answer?.Text);
            answer = await Client.GetAsync($"/v1/webhooks/{webhook}/deliveries");
        }
        while (answer.Json.GetProperty("data").GetArrayLength() == 0
            || !fits(answer.Json.GetProperty("data")[0]));
        return answer;
    }

    /// <summary>All deliveries of a webhook in their order, those beside one another that went alike as one.</summary>
    internal async Task<string> SequencesAsync(string webhook)
    {
        var rows = new List<System.Text.Json.JsonElement>();
        var after = "";
        do
        {
            var page = (await Client.GetAsync($"/v1/webhooks/{webhook}/deliveries?limit=100{after}")).Json;
            rows.AddRange(page.GetProperty("data").EnumerateArray());
            after = page.GetProperty("has_more").GetBoolean() ? $"&after={page.GetProperty("next_cursor")}" : "";
        }
        while (after.Length > 0);

        var spans = new List<(string How, long From, long To)>();
        foreach (var row in rows.AsEnumerable().Reverse())
        {
            var how = $"{row.GetProperty("status").GetString()} {row.GetProperty("error").GetString()}".TrimEnd();
            var sequence = row.GetProperty("sequence").GetInt64();
            if (spans is [.., var last] && last.How == how)
            {
                spans[^1] = last with { To = sequence };
            }
            else
            {
                spans.Add((how, sequence, sequence));
            }
        }

        return string.Join(", ", spans.Select(static span => $"{span.From}-{span.To} {span.How}"));
    }

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        await Receiver.DisposeAsync();
    }
}
