using System.Text.Json;
using Reeve.Server.Audit;
using Reeve.Server.Receipts.Checkpoints;
using Reeve.Server.Receipts.Keys;
using Reeve.Server.Storage;

namespace Reeve.Server.Tests.Receipts.Checkpoints;

public sealed class AuditCheckpointsTests
{
    [Fact]
    public async Task Checkpoint_ComesWithTheStartTheTimeAndTheStop()
    {
        var folder = TestServer.NewFolder();
        try
        {
            long atStop;
            await using (var server = await TestServer.StartAsync(folder: folder))
            {
                var account = AccountOf(server);
                await AddAsync(server, account, 1);
                var before = Checkpoints(server).Count;
                server.Time.Advance(AuditCheckpoints.Interval);
                await Eventually.TrueAsync(() => Checkpoints(server).Count == before + 1);
                var newest = Checkpoints(server)[^1];
                var head = server.Database.Read(session => AuditLog.Head(session, account))!;
                Assert.Equal((account, head.Seq, Convert.ToHexStringLower(head.Hash)),
                    (newest.AccountId, newest.Seq, newest.Head));
                Assert.Null(newest.Problem(server.Service<KeyRing>().Verifier));
                Assert.Equal(TestServer.StartTime + AuditCheckpoints.Interval,
                    JsonElement.Parse(newest.Document).GetProperty("issued_at").GetDateTimeOffset());

                await AddAsync(server, account, 1);
                atStop = head.Seq + 1;
            }

            await using var next = await TestServer.StartAsync(folder: folder);
            Assert.Equal(atStop, Checkpoints(next)[^1].Seq);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task Checkpoint_ComesAfterAThousandEntries_WithoutTime()
    {
        await using var server = await TestServer.StartAsync();
        var account = AccountOf(server);
        var checkpoints = server.Service<AuditCheckpoints>();
        await checkpoints.SignAsync();
        var before = Checkpoints(server).Count;
        var seq = await AddAsync(server, account, AuditCheckpoints.EntriesMax - 1);
        checkpoints.Note(account, seq);
        seq = await AddAsync(server, account, 1);
        checkpoints.Note(account, seq);

        await Eventually.TrueAsync(() => Checkpoints(server)[^1].Seq == seq);
        Assert.Equal(before + 1, Checkpoints(server).Count);
    }

    [Fact]
    public async Task Checkpoint_OfAChainThatWasChanged_IsNotSigned()
    {
        await using var server = await TestServer.StartAsync();
        var account = AccountOf(server);
        var checkpoints = server.Service<AuditCheckpoints>();
        await checkpoints.SignAsync();
        var seq = await AddAsync(server, account, 2);
        var before = Checkpoints(server).Count;
        await server.Database.WriteAsync(session =>
        {
            session.Execute("DROP TRIGGER audit_entries_no_update");
            session.Execute("UPDATE audit_entries SET at = at + 1 WHERE seq = $1", seq - 1);
        });

        await checkpoints.SignAsync();
        Assert.Equal(before, Checkpoints(server).Count);
    }

    private static string AccountOf(TestServer server) => server.Database.Read(static session =>
        session.Single("SELECT id FROM accounts", static row => row.GetString(0)))!;

    private static Task<long> AddAsync(TestServer server, string account, int count) =>
        server.Database.WriteAsync(session =>
        {
            var seq = 0L;
            for (var i = 0; i < count; i++)
            {
                seq = AuditLog.Append(
                    session, new TenantContext(account), "test.made", "test", server.Time.GetUtcNow());
            }

            return seq;
        });

    private static List<Checkpoint> Checkpoints(TestServer server) => server.Database.Read(static session =>
        CheckpointStore.List(session, null).ConvertAll(static one => Checkpoint.Read(one.Document)!));
}
