namespace Reeve.Server.Tests.Process;

/// <summary>A real server, really killed; many kills under load are a harness of Reeve.Reliability.</summary>
public sealed class KillTests : IDisposable
{
    private readonly string _folder = TestServer.NewFolder();

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("/v1/agents/runs")]
    [InlineData("/api/run")]
    public async Task Kill_InTheMiddleOfAStream_IsResumedByteForByteAndChargedOnce(string path)
    {
        await using var model = await MockModel.StartAsync();
        model.Configure(_folder);
        var holder = new Holder { Server = await ServeAsync() };
        using var user = new StreamUser(() => holder.Url);
        var reading = user.StartAsync(path, await user.NewAgentAsync(), "please wait");
        await Eventually.TrueAsync(
            () => reading.IsCompleted || user.Text.Contains("Every ", StringComparison.Ordinal));
        await holder.Server.KillAsync();
        await holder.Server.DisposeAsync();
        Assert.False(await reading);
        var before = user.Text;

        await using (var server = await ServeAsync())
        {
            holder.Server = server;
            Assert.True(await user.ResumeAsync());
            Assert.StartsWith(before, user.Text, StringComparison.Ordinal);
            Assert.Contains("recovered", user.Text, StringComparison.Ordinal);
            Assert.Equal(await user.ReplayAsync(), user.Text);
            using var client = new TestClient(server.Url, TestServer.AdminKey);
            var settled = (await client.GetAsync("/v1/ledger?type=settle")).Json.GetProperty("data");
            Assert.Equal(1, settled.GetArrayLength());
            Assert.Equal(-0.00042m, settled[0].GetProperty("amount_usd").GetDecimal()); // 40 x 3 + 20 x 15 micro-USD.
            var run = (await client.GetAsync($"/v1/runs/{user.RunId}")).Json;
            Assert.Equal(MockModel.Answer, run.GetProperty("output").GetString());
            Assert.Equal(0, (await client.GetAsync("/v1/accounts/me")).Json.GetProperty("held_usd").GetDecimal());
        }

        await AssertSoundAsync();
    }

    private Task<ReeveProcess> ServeAsync() =>
        ReeveProcess.ServeAsync(_folder, ("REEVE_ADMIN_KEY", TestServer.AdminKey));

    private async Task AssertSoundAsync()
    {
        var (code, output, errors) = await ReeveProcess.VerifyAsync(_folder);
        Assert.True(code == 0 && output.StartsWith("0 violations in ", StringComparison.Ordinal), output + errors);
    }

    private sealed class Holder
    {
        private volatile ReeveProcess _server = null!;

        internal ReeveProcess Server
        {
            get => _server;
            set => _server = value;
        }

        internal Uri Url => _server.Url;
    }
}
