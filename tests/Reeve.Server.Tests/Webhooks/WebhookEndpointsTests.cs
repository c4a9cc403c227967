using Reeve.Server.Audit;
using Reeve.Server.Tests.Runs;

namespace Reeve.Server.Tests.Webhooks;

public sealed class WebhookEndpointsTests
{
    [Fact]
    public async Task Create_ShowsTheSecretOnce_AndListShowsTheWebhook()
    {
        await using var world = await WebhookWorld.StartAsync();

        var made = await world.Client.PostAsync("/v1/webhooks",
            """
            {"url":"https://hooks.example/in?x=1","events":["run.completed","run.completed"],"description":"Mine"}
            """);
        var shown = await world.Client.GetAsync($"/v1/webhooks/{made.Json.GetProperty("id").GetString()}");
        var listed = await world.Client.GetAsync("/v1/webhooks");

        Assert.Equal(201, made.Status);
        Assert.Matches("^whk_[0-9A-Z]{26}$", made.Json.GetProperty("id").GetString());
        Assert.Matches("^whsec_[A-Za-z0-9+/]{43}=$", made.Json.GetProperty("secret").GetString());
        Assert.DoesNotContain("secret", shown.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("whsec_", listed.Text, StringComparison.Ordinal);
        Assert.Equal(
            "https://hooks.example/in?x=1 [\"run.completed\"] Mine True",
            $"{shown.Json.GetProperty("url").GetString()} {shown.Json.GetProperty("events").GetRawText()} "
            + $"{shown.Json.GetProperty("description").GetString()} {shown.Json.GetProperty("enabled").GetBoolean()}");
        Assert.Equal(shown.Text, listed.Json.GetProperty("data")[0].GetRawText());
    }

    [Theory]
    [InlineData("""{"events":["run.completed"]}""", "url")]
    [InlineData("""{"url":null,"events":["run.completed"]}""", "url")]
    [InlineData("""{"url":7,"events":["run.completed"]}""", "url")]
    [InlineData("""{"url":"ftp://hooks.example","events":["run.completed"]}""", "url")]
    [InlineData("""{"url":"http://hooks.example","events":["run.completed"]}""", "url")]
    [InlineData("""{"url":"https://user@hooks.example","events":["run.completed"]}""", "url")]
    [InlineData("""{"url":"https://10.0.0.5/","events":["run.completed"]}""", "url")]
    [InlineData("""{"url":"https://localhost/","events":["run.completed"]}""", "url")]
    [InlineData("""{"url":"https://hooks.example"}""", "events")]
    [InlineData("""{"url":"https://hooks.example","events":[]}""", "events")]
    [InlineData("""{"url":"https://hooks.example","events":["run.started"]}""", "events[0]")]
    [InlineData("""{"url":"https://hooks.example","events":["run.completed"],"enabled":"yes"}""", "enabled")]
    [InlineData("""{"url":"https://hooks.example","events":["run.completed"],"secret":"whsec_x"}""", "secret")]
    public async Task Create_WithABadBody_IsRefused(string body, string param)
    {
        await using var world = await WebhookWorld.StartAsync();

        var answer = await world.Client.PostAsync("/v1/webhooks", body);

        Assert.Equal((400, "invalid_request", param), (answer.Status, answer.ErrorCode, answer.ErrorParam));
        Assert.Equal("[]", (await world.Client.GetAsync("/v1/webhooks")).Json.GetProperty("data").GetRawText());
    }

    [Fact]
    public async Task Change_ReplacesWhatItNames_AndNullResets()
    {
        await using var world = await WebhookWorld.StartAsync();
        var (id, _) = await world.NewWebhookAsync("\"run.completed\"");

        var changed = await world.Client.PatchAsync($"/v1/webhooks/{id}",
            """{"url":"https://b.example/","events":["run.failed"],"description":"New","enabled":false}""");
        var reset = await world.Client.PatchAsync($"/v1/webhooks/{id}", """{"description":null,"enabled":null}""");
        var refused = await world.Client.PatchAsync($"/v1/webhooks/{id}", """{"url":null}""");

        Assert.Equal((200, false), (changed.Status, changed.Json.GetProperty("enabled").GetBoolean()));
        Assert.Equal("https://b.example/", reset.Json.GetProperty("url").GetString());
        Assert.Equal("[\"run.failed\"]", reset.Json.GetProperty("events").GetRawText());
        Assert.Equal("null", reset.Json.GetProperty("description").GetRawText());
        Assert.True(reset.Json.GetProperty("enabled").GetBoolean());
        Assert.Equal((400, "url"), (refused.Status, refused.ErrorParam));
    }

    [Fact]
    public async Task Changes_AreInTheAudit_WithoutTheAddress()
    {
        await using var world = await WebhookWorld.StartAsync();
        var account = (await world.Client.GetAsync("/v1/accounts/me")).Json.GetProperty("id").GetString()!;
        var (id, _) = await world.NewWebhookAsync("\"run.completed\"");

        await world.Client.PatchAsync($"/v1/webhooks/{id}", """{"url":"https://canary.example/","enabled":false}""");
        await world.Client.PostAsync($"/v1/webhooks/{id}/rotate", "");
        await world.Client.DeleteAsync($"/v1/webhooks/{id}");
        await world.Client.DeleteAsync($"/v1/webhooks/{id}");

        var entries = world.Server.Database.Read(session => AuditLog.Read(session, account, 0))
            .Select(static one => one.Entry).Where(one => one.Subject == id).ToList();
        Assert.Equal(["webhook.created", "webhook.changed", "webhook.rotated", "webhook.deleted"],
            entries.Select(static one => one.Type));
        Assert.All(entries, static one => Assert.NotNull(one.KeyId));
        Assert.Matches(
            """^\{"url_sha256":"[0-9a-f]{64}","events":"run.completed","enabled":"false"\}$""", entries[1].Detail);
        await world.Server.AssertSoundAsync();
    }

    [Fact]
    public async Task Create_TheTwentyFirst_IsAConflict()
    {
        await using var world = await WebhookWorld.StartAsync();
        var ids = new List<string>();
        for (var i = 0; i < 20; i++)
        {
            ids.Add((await world.NewWebhookAsync("\"run.completed\"")).Id);
        }

        const string Body = """{"url":"https://hooks.example","events":["run.completed"]}""";
        var refused = await world.Client.PostAsync("/v1/webhooks", Body);
        await world.Client.DeleteAsync($"/v1/webhooks/{ids[3]}");
        var accepted = await world.Client.PostAsync("/v1/webhooks", Body);

        Assert.Equal((409, "conflict", 201), (refused.Status, refused.ErrorCode, accepted.Status));
    }

    [Fact]
    public async Task Webhook_OfAnotherAccount_DoesNotExist()
    {
        await using var world = await WebhookWorld.StartAsync();
        var (id, _) = await world.NewWebhookAsync("\"run.completed\"");
        await world.Client.PostAsync($"/v1/webhooks/{id}/test", "{}");
        var made = await world.Client.PostAsync("/v1/accounts", """{"name":"Other"}""");
        using var other = world.Server.ClientFor(made.Json.GetProperty("key").GetString());

        foreach (var (method, path, body) in new[]
        {
            ("GET", "", null), ("PATCH", "", """{"enabled":false}"""), ("DELETE", "", null), ("POST", "/test", "{}"),
            ("POST", "/rotate", "{}"), ("GET", "/deliveries", (string?)null),
        })
        {
            var answer = await other.SendAsync(method, $"/v1/webhooks/{id}{path}", body);
            Assert.Equal((method, path, 404, "not_found"), (method, path, answer.Status, answer.ErrorCode));
        }

        Assert.Equal("[]", (await other.GetAsync("/v1/webhooks")).Json.GetProperty("data").GetRawText());
        Assert.True((await world.Client.GetAsync($"/v1/webhooks/{id}")).Json.GetProperty("enabled").GetBoolean());
    }

    [Fact]
    public async Task Webhooks_WithoutTheScopeAgents_AreForbidden()
    {
        await using var world = await WebhookWorld.StartAsync();
        using var chat = world.Server.ClientFor(await world.Server.NewKeyAsync("\"scopes\":[\"chat\",\"usage\"]"));
        using var agents = world.Server.ClientFor(await world.Server.NewKeyAsync("\"scopes\":[\"agents\"]"));

        var refused = await chat.GetAsync("/v1/webhooks");
        var allowed = await agents.GetAsync("/v1/webhooks");

        Assert.Equal((403, "agents", 200), (refused.Status, refused.ErrorParam, allowed.Status));
    }

    [Fact]
    public async Task Secret_InTheFiles_IsNowhere()
    {
        await using var world = await WebhookWorld.StartAsync();
        var (id, secret) = await world.NewWebhookAsync("\"run.completed\"");
        var rotated = (await world.Client.PostAsync($"/v1/webhooks/{id}/rotate", "{}")).Json.GetProperty("secret");
        world.Server.Database.Checkpoint();
        var folder = world.Server.Folder;

        foreach (var file in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories)
            .Where(static file => Path.GetFileName(file) != "lock"))
        {
            var bytes = await File.ReadAllBytesAsync(file, TestContext.Current.CancellationToken);
            foreach (var one in new[] { secret, rotated.GetString()! })
            {
                Assert.True(bytes.AsSpan().IndexOf(System.Text.Encoding.ASCII.GetBytes(one[6..40])) < 0, file);
                Assert.True(bytes.AsSpan().IndexOf(Convert.FromBase64String(one[6..])) < 0, file);
            }
        }
    }

    [Fact]
    public async Task Secret_ThatWasPutIntoAnotherRow_SignsNothing()
    {
        await using var world = await WebhookWorld.StartAsync();
        var (first, _) = await world.NewWebhookAsync("\"run.completed\"");
        var (second, _) = await world.NewWebhookAsync("\"run.completed\"");
        await world.Server.Database.WriteAsync(session => session.Execute(
            "UPDATE webhooks SET secret = (SELECT secret FROM webhooks WHERE id = $1) WHERE id = $2", first, second));

        await world.Client.PostAsync($"/v1/webhooks/{second}/test", "{}");
        var answer = await world.DeliveryAsync(second, static one => one.GetProperty("status").GetString() == "failed");

        Assert.Equal("internal", answer.Json.GetProperty("data")[0].GetProperty("error").GetString());
        Assert.Empty(world.Receiver.Received);
    }
}
