using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Reeve.Server.Tests.Clients;
using SystemProcess = System.Diagnostics.Process;

namespace Reeve.Server.Tests.Webhooks;

/// <summary>What the server signs, held against the library of the standard itself (tests/clients).</summary>
public sealed class WebhookClientTests
{
    [Fact]
    public async Task Signature_IsTakenByTheLibraryOfTheStandard_AndNothingElseIs()
    {
        await NodePackages.FindAsync("standardwebhooks");
        await using var world = await WebhookWorld.StartAsync(realTime: true);
        var (id, old) = await world.NewWebhookAsync("\"run.completed\"");
        var rotated = await world.Client.PostAsync($"/v1/webhooks/{id}/rotate", "{}");
        var secret = rotated.Json.GetProperty("secret").GetString()!;
        world.Model.Reply("Ünïcödé \u2028 \"quoted\" 😀");
        await world.RunAsync(await world.NewAgentAsync());
        await world.Receiver.ReceivedAsync(1);
        var received = world.Receiver.Received[0];
        var late = long.Parse(received.Timestamp, CultureInfo.InvariantCulture) - 301;

        var verdicts = await VerifyAsync(
            Line(secret, received),
            Line(old, received),
            Line("whsec_" + Convert.ToBase64String(new byte[32]), received),
            Line(secret, received with { Body = received.Body + " " }),
            Line(secret, received with { Id = received.Id[..^1] + "X" }),
            Line(secret, received with { Timestamp = late.ToString(CultureInfo.InvariantCulture) }));

        Assert.Equal([$"good {received.Id}", $"good {received.Id}", "bad", "bad", "bad", "bad"],
            verdicts.Select(static one => one.StartsWith("bad", StringComparison.Ordinal) ? "bad" : one));
    }

    private static string Line(string secret, ReceivedWebhook received) => new JsonObject
    {
        ["secret"] = secret,
        ["headers"] = new JsonObject
        {
            ["webhook-id"] = received.Id,
            ["webhook-timestamp"] = received.Timestamp,
            ["webhook-signature"] = received.Signature,
        },
        ["body"] = received.Body,
    }.ToJsonString();

    private static async Task<string[]> VerifyAsync(params string[] lines)
    {
        using var node = SystemProcess.Start(new ProcessStartInfo("node", ["verify-webhooks.cjs"])
        {
            WorkingDirectory = NodePackages.Folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        await node.StandardInput.WriteAsync(string.Join('\n', lines));
        node.StandardInput.Close();
        var output = await node.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await node.WaitForExitAsync(TestContext.Current.CancellationToken);
        return output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }
}
