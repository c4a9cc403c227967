namespace Reeve.Server.Tests;

/// <summary>Waits for something that happens by itself soon; fails after <see cref="TestServer.Timeout"/>.</summary>
internal static class Eventually
{
    internal static Task TrueAsync(Func<bool> condition) => TrueAsync(() => Task.FromResult(condition()));

    internal static async Task TrueAsync(Func<Task<bool>> condition)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (!await condition())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(start) < TestServer.Timeout, "It did not happen in time.");
            await Task.Delay(
                TimeSpan.FromMilliseconds(5), TimeProvider.System, TestContext.Current.CancellationToken);
        }
    }
}
