namespace Reeve.Server.Tests.Accounts;

public sealed class ApiKeyDirectoryTests
{
    private const string OwnAccount = "/v1/accounts/me";

    /// <summary>As another process would change it, a restored backup say.</summary>
    [Fact]
    public async Task Key_ChangedBehindTheServersBack_IsKnownAsItWasForOneSecond()
    {
        await using var server = await TestServer.StartAsync();
        var made = await server.Client.PostAsync("/v1/api-keys", """{"name":"k","scopes":["chat"]}""");
        using var client = server.ClientFor(made.Json.GetProperty("key").GetString());
        var id = made.Json.GetProperty("id").GetString();
        var limited = await server.Client.PatchAsync($"/v1/api-keys/{id}/limits", """{"requestsPerMinute":50}""");
        Assert.Equal(200, limited.Status);
        Assert.Equal(200, (await client.GetAsync(OwnAccount)).Status);

        await server.Database.WriteAsync(session => session.Execute(
            "UPDATE api_keys SET revoked_at = 1 WHERE id = $1", id));

        server.Time.Advance(TimeSpan.FromMilliseconds(999));
        Assert.Equal(200, (await client.GetAsync(OwnAccount)).Status);
        server.Time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(401, (await client.GetAsync(OwnAccount)).Status);
    }
}
