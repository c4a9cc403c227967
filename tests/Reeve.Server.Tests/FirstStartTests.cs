using System.Text.RegularExpressions;
using Microsoft.Extensions.DependencyInjection;
using Reeve.Server.Accounts;

namespace Reeve.Server.Tests;

public sealed partial class FirstStartTests : IDisposable
{
    private readonly string _folder = TestServer.NewFolder();

    [Fact]
    public async Task Start_WithoutAPresetKey_PrintsAWorkingKeyOnce()
    {
        var server = await TestServer.StartAsync(folder: _folder, adminKey: null);
        var output = server.Output.ToString();
        var key = output.Split('\n').Select(static line => line.Trim())
            .Single(static line => ApiKeyText.KindOf(line) is not null);
        using (var client = server.ClientFor(key))
        {
            Assert.Equal(200, (await client.GetAsync("/v1/accounts")).Status);
        }

        Assert.StartsWith($"Reeve is ready at {server.Url.GetLeftPart(UriPartial.Authority)}\n", output,
            StringComparison.Ordinal);
        await server.StopAsync();
        server = await TestServer.StartAsync(folder: _folder, adminKey: null);

        using (var client = server.ClientFor(key))
        {
            Assert.Equal(200, (await client.GetAsync("/v1/accounts")).Status);
        }

        Assert.Equal($"Reeve is ready at {server.Url.GetLeftPart(UriPartial.Authority)}\n", server.Output.ToString());
        await server.StopAsync();
    }

    [Fact]
    public async Task Start_WithAPresetKey_DoesNotPrintIt()
    {
        var server = await TestServer.StartAsync(folder: _folder);

        Assert.Equal(200, (await server.Client.GetAsync("/v1/accounts")).Status);
        Assert.DoesNotContain(TestServer.AdminKey, server.Output.ToString(), StringComparison.Ordinal);
        await server.StopAsync();
    }

    [Theory]
    [InlineData("secret")]
    [InlineData("mesh_live_zR8HzjAck3ZdvdNWA0CvUxPWsyYmk2e52GI52J")]
    [InlineData("afk_widget_rUHBXvbdjk5KI7zalqluiQm5jfCFBK3e2Aabp8")]
    public async Task Start_WithAMalformedPresetKey_IsRefusedWithoutShowingIt(string key)
    {
        var error = await Assert.ThrowsAsync<StartException>(
            () => TestServer.StartAsync(folder: _folder, adminKey: key));

        Assert.DoesNotContain(key, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_ThatWasTheFirst_PrintsThreeCallsThatTheDemoAgentAnswers()
    {
        var server = await TestServer.StartAsync(folder: _folder, realTime: true);
        var calls = Call().Matches(server.Output.ToString());

        Assert.Equal(3, calls.Count);
        foreach (Match call in calls)
        {
            var headers = Header().Matches(call.Value)
                .Select(static header => (Name: header.Groups[1].Value, header.Groups[2].Value))
                .Where(static header => header.Name != "Authorization");
            var answer = await server.Client.SendAsync(
                "POST", call.Groups["url"].Value, call.Groups["body"].Value, [.. headers]);

            Assert.Equal(200, answer.Status);
            Assert.DoesNotContain("do not answer", answer.Text, StringComparison.Ordinal);
            Assert.Contains(".md)", answer.Text, StringComparison.Ordinal); // A quotation names its document.
        }

        await server.StopAsync();
    }

    [Fact]
    public async Task Start_CutOffInAStep_RepeatsTheStepsAndShowsAnotherKey()
    {
        var steps = 0;
        Task<TestServer> StartAsync() => TestServer.StartAsync(folder: _folder, adminKey: null, configure: builder =>
            builder.Services.AddSingleton<FirstStartStep>((_, state, _) =>
            {
                state.DemoAgentId = "agt_06F7557C5CM18FNXB2V5D4V72R";
                return ++steps == 1 ? throw new StartException("cut off") : Task.CompletedTask;
            }));

        await Assert.ThrowsAsync<StartException>(StartAsync);
        var server = await StartAsync();

        Assert.Contains("agt_06F7557C5CM18FNXB2V5D4V72R", server.Output.ToString(), StringComparison.Ordinal);
        Assert.Equal(1, server.Database.Read(static session => session.Count("SELECT COUNT(*) FROM accounts")));
        Assert.Equal(1, server.Database.Read(static session =>
            session.Count("SELECT COUNT(*) FROM api_keys WHERE revoked_at IS NULL")));
        await server.StopAsync();
        await (await StartAsync()).StopAsync();
        Assert.Equal(2, steps);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [GeneratedRegex("""curl (-N )?(?<url>\S+) [^\n]*\n\s+-d '(?<body>[^']*)'""")]
    private static partial Regex Call();

    [GeneratedRegex("""-H "([^:"]+): ([^"]+)""")]
    private static partial Regex Header();
}
