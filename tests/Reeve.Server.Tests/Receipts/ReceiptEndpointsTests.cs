using Reeve.Server.Receipts;
using Reeve.Server.Tests.Agents;

namespace Reeve.Server.Tests.Receipts;

public sealed class ReceiptEndpointsTests
{
    private const string Id = "rcpt_06GZGF6TYX6QCXR6Z1ERD40298";

    [Fact]
    public async Task Get_Receipt_AnswersWhomItMayAndNobodyElse()
    {
        await using var server = await AgentServer.StartAsync();
        using var nobody = server.Server.ClientFor(null);
        using var agents = server.Server.ClientFor(await server.Server.NewKeyAsync("\"scopes\":[\"agents\"]"));
        using var usage = server.Server.ClientFor(await server.Server.NewKeyAsync("\"scopes\":[\"usage\"]"));
        using var foreign = await server.ForeignClientAsync();
        Assert.Equal(404, (await usage.GetAsync($"/v1/receipts/{Id}")).Status);
        using var signer = new ReceiptSigner(new byte[ReceiptSigner.SeedLength]);
        var document = signer.Sign(ReceiptSignerTests.Sample);
        await server.Database.WriteAsync(session =>
            ReceiptStore.Insert(session, server.Tenant, Id, "run_1", document, false, DateTimeOffset.UnixEpoch));

        Assert.Equal(401, (await nobody.GetAsync($"/v1/receipts/{Id}")).Status);
        Assert.Equal(403, (await agents.GetAsync($"/v1/receipts/{Id}")).Status);
        Assert.Equal(404, (await foreign.GetAsync($"/v1/receipts/{Id}")).Status);
        Assert.Equal(404, (await usage.GetAsync("/v1/receipts/rcpt_1")).Status);
        var answer = await usage.GetAsync($"/v1/receipts/{Id.ToLowerInvariant()}");
        Assert.Equal((200, document), (answer.Status, answer.Text));
    }
}
