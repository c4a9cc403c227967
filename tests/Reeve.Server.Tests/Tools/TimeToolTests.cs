using System.Text.Json;
using Microsoft.Extensions.Time.Testing;
using Reeve.Server.Privacy;
using Reeve.Server.Storage;
using Reeve.Server.Tools;
using Reeve.Server.Tools.Builtin;

namespace Reeve.Server.Tests.Tools;

public sealed class TimeToolTests
{
    [Theory]
    [InlineData("{}", "2026-05-29T07:13:42.955+00:00", "UTC")]
    [InlineData("""{"time_zone":"Europe/Berlin"}""", "2026-05-29T09:13:42.955+02:00", "Europe/Berlin")]
    [InlineData("""{"time_zone":"Asia/Kathmandu"}""", "2026-05-29T12:58:42.955+05:45", "Asia/Kathmandu")]
    public async Task Now_Zone_TellsBothTimes(string arguments, string local, string zone)
    {
        var result = await InvokeAsync(arguments);

        Assert.False(result.IsError);
        Assert.Equal("2026-05-29T07:13:42.955Z", result.Result.GetProperty("utc").GetString());
        Assert.Equal(local, result.Result.GetProperty("local").GetString());
        Assert.Equal(zone, result.Result.GetProperty("time_zone").GetString());
    }

    [Theory]
    [InlineData("""{"time_zone":"Mars/Olympus"}""")]
    [InlineData("""{"time_zone":"../../etc/passwd"}""")]
    [InlineData("""{"time_zone":""}""")]
    [InlineData("""{"time_zone":1}""")]
    [InlineData("""{"zone":"UTC"}""")]
    [InlineData("[]")]
    public async Task Now_WrongArguments_IsAnErrorForTheModel(string arguments) =>
        Assert.True((await InvokeAsync(arguments)).IsError);

    private static Task<ToolResult> InvokeAsync(string arguments) =>
        new TimeTool(new FakeTimeProvider(new DateTimeOffset(2026, 5, 29, 7, 13, 42, 955, TimeSpan.Zero))).InvokeAsync(
            "now", JsonElement.Parse(arguments),
            new ToolCallContext(new TenantContext("acct_A"), "agt_1", "run_1", "call_1", PrivacyClass.Standard),
            TestContext.Current.CancellationToken);
}
