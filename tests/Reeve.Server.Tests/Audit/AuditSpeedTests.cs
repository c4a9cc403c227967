using System.Diagnostics;
using Reeve.Server.Audit;
using Reeve.Server.Receipts;
using Reeve.Server.Storage;
using Reeve.Server.Tests.Receipts;

namespace Reeve.Server.Tests.Audit;

/// <summary>What trust costs; the bounds are those that a machine under load keeps too.</summary>
public sealed class AuditSpeedTests
{
    private const int Rounds = 10;
    private const int Count = 500;

    [Fact]
    public async Task Entry_InATransaction_CostsMicroseconds()
    {
        await using var server = await TestServer.StartAsync();
        var account = server.Database.Read(static session => AuditLog.Accounts(session).Single());
        var best = double.MaxValue;
        for (var round = 0; round < Rounds; round++) // The first ones run before the code is optimized.
        {
            await server.Database.WriteAsync(session =>
            {
                var started = Stopwatch.GetTimestamp();
                for (var i = 0; i < Count; i++)
                {
                    AuditLog.Append(session, new TenantContext(account), AuditTypes.RunEnded, $"run_{i}",
                        TestServer.StartTime, AuditLog.Detail(("log_head", "0123456789"), ("status", "completed")));
                }

                best = Math.Min(best, Stopwatch.GetElapsedTime(started).TotalMicroseconds / Count);
            });
        }

        TestContext.Current.SendDiagnosticMessage("an entry of the audit: {0:0.0} µs", best);
        Assert.True(best < 200, $"{best:0.0} µs");
    }

    [Fact]
    public void Receipt_SignedAndVerified_CostsMicroseconds()
    {
        using var signer = new ReceiptSigner(new byte[32]);
        var (signing, verifying) = (double.MaxValue, double.MaxValue);
        for (var round = 0; round < Rounds; round++)
        {
            var started = Stopwatch.GetTimestamp();
            var document = "";
            for (var i = 0; i < Count; i++)
            {
                document = signer.Sign(ReceiptSignerTests.Sample);
            }

            signing = Math.Min(signing, Stopwatch.GetElapsedTime(started).TotalMicroseconds / Count);
            var verifier = new ReceiptVerifier([signer.PublicKey]);
            var bytes = System.Text.Encoding.UTF8.GetBytes(document);
            started = Stopwatch.GetTimestamp();
            for (var i = 0; i < Count; i++)
            {
                Assert.True(verifier.Verify(bytes).IsValid);
            }

            verifying = Math.Min(verifying, Stopwatch.GetElapsedTime(started).TotalMicroseconds / Count);
        }

        TestContext.Current.SendDiagnosticMessage(
            "a receipt: signed in {0:0.0} µs, verified in {1:0.0} µs", signing, verifying);
        Assert.True(signing < 1_000 && verifying < 2_000, $"{signing:0.0} µs, {verifying:0.0} µs");
    }
}
