using System.Security.Cryptography;
using System.Text;
using Reeve.Server.Tests.Webhooks;

namespace Reeve.Reliability.Webhooks;

public sealed class WebhookHarnessTests
{
    private static readonly byte[] Key = [.. Enumerable.Range(0, 32).Select(static one => (byte)one)];
    private static readonly string Secret = "whsec_" + Convert.ToBase64String(Key);

    [Fact]
    public async Task Webhooks_UnderFaultsAndKills_ArriveAtLeastOnce()
    {
        var score = await WebhookHarness.RunAsync(new Trial(Scale.Test, 1, static _ => { }));

        TestContext.Current.TestOutputHelper!.WriteLine(score.Figures);
        Assert.True(score.Problems.Count == 0, string.Join('\n', score.Problems));
    }

    [Fact]
    public void Check_OfWhatArrivedAsItShould_FindsNothing() => Assert.Empty(Check(Rows, [Arrival(1), Arrival(2)]));

    [Fact]
    public void Check_OfEachFault_FindsIt()
    {
        Found("never arrived", Check(Rows, [Arrival(1)]));
        Found("different bodies", Check(Rows, [Arrival(1), Arrival(2), Arrival(2, " ")]));
        Found("signed wrongly", Check(Rows, [Arrival(1), Arrival(2) with { Signature = "v1,AAAA" }]));
        Found("never happened", Check(Rows, [Arrival(1), Arrival(2), Arrival(3)]));
        Found("says of itself", Check([Rows[0], Rows[1] with { RunId = "run_3" }], [Arrival(1), Arrival(2)]));
        Found("has 0 deliveries", Check([Rows[0]], [Arrival(1)]));
        Found("has 2 deliveries", Check([.. Rows, Rows[1] with { EventId = "evt_3", Sequence = 3 }],
            [Arrival(1), Arrival(2)]));
        Found("is failed", Check([Rows[0], Rows[1] with { Status = "failed" }], [Arrival(1), Arrival(2)]));
        Found("as its 2th number", Check([Rows[0], Rows[1] with { Sequence = 3 }], [Arrival(1), Arrival(2)]));
    }

    private static readonly OutboxRow[] Rows =
        [new("whk_1", "evt_1", "run_1", 1, "delivered"), new("whk_1", "evt_2", "run_2", 2, "delivered")];

    private static List<string> Check(OutboxRow[] rows, ReceivedWebhook[] received) =>
        WebhookChecker.Check("whk_1", Secret, ["run_1", "run_2"], rows, received);

    private static void Found(string what, List<string> problems) =>
        Assert.Contains(problems, problem => problem.Contains(what, StringComparison.Ordinal));

    private static ReceivedWebhook Arrival(int number, string space = "")
    {
        var body = $$"""{"id":"evt_{{number}}",{{space}}"sequence":{{number}},"data":{"run_id":"run_{{number}}"} }""";
        var signature = Convert.ToBase64String(
            HMACSHA256.HashData(Key, Encoding.UTF8.GetBytes($"evt_{number}.1700000000.{body}")));
        return new ReceivedWebhook("/", $"evt_{number}", "1700000000", $"v1,{signature}", body,
            new Dictionary<string, string>());
    }
}
