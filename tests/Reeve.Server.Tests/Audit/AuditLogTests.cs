using Reeve.Server.Audit;
using Reeve.Server.Runs;
using Reeve.Server.Storage;
using Reeve.Server.Tests.Runs;

namespace Reeve.Server.Tests.Audit;

/// <summary>What the chain of an account says after things happened over the wire.</summary>
public sealed class AuditLogTests
{
    [Fact]
    public async Task Chain_OfAnAccount_SaysWhatChangedTrustAndWhoDidIt()
    {
        await using var server = await TestServer.StartAsync(
            configure: builder => new ScriptedChatClient().Reply("It sings, canary.").AddTo(builder));
        var made = await server.Client.PostAsync("/v1/accounts", """{"name":"Canary","plan":"enterprise"}""");
        var account = made.Json.GetProperty("id").GetString()!;
        using var owner = server.ClientFor(made.Json.GetProperty("key").GetString());
        var first = Entries(server, account);
        var (operatorKey, ownKey) = (first[0].KeyId!, first[1].Subject);
        await SendAsync(server.Client, 201, "POST", $"/v1/accounts/{account}/credits",
            """{"amount_usd":2.5,"note":"for the canary"}""");
        await SendAsync(server.Client, 200, "PATCH", $"/v1/accounts/{account}", """{"name":"Canary bird"}""");
        await SendAsync(server.Client, 200, "PATCH", $"/v1/accounts/{account}/limits", """{"monthlyUsdLimit":9}""");
        var key = (await SendAsync(owner, 201, "POST", "/v1/api-keys", """{"name":"canary","scopes":["chat"]}"""))
            .Json.GetProperty("id").GetString()!;
        await SendAsync(owner, 200, "PATCH", $"/v1/api-keys/{key}/limits", """{"requestsPerMinute":7}""");
        await SendAsync(owner, 204, "DELETE", $"/v1/api-keys/{key}", null);
        await SendAsync(owner, 204, "DELETE", $"/v1/api-keys/{key}", null);
        var agent = (await SendAsync(owner, 201, "POST", "/v1/agents",
            """{"name":"Canary desk","model":"mesh/house-1"}""")).Json.GetProperty("id").GetString()!;
        await SendAsync(owner, 200, "PATCH", $"/v1/agents/{agent}", """{"description":"Of the canary."}""");
        var document = (await SendAsync(owner, 201, "POST", $"/v1/agents/{agent}/documents",
            """{"name":"canary.txt","text":"The canary sings."}""")).Json.GetProperty("id").GetString()!;
        var run = (await SendAsync(owner, 200, "POST", "/v1/agents/runs",
            $$"""{"agent":"{{agent}}","input":"Does the canary sing?"}""")).Json;
        await SendAsync(owner, 204, "DELETE", $"/v1/documents/{document}", null);
        var conversation = run.GetProperty("conversation_id").GetString()!;
        await SendAsync(owner, 204, "DELETE", $"/v1/conversations/{conversation}", null);
        await SendAsync(owner, 204, "DELETE", $"/v1/agents/{agent}", null);

        var runId = run.GetProperty("run_id").GetString()!;
        var entries = Entries(server, account);
        (string, string?, string)[] expected =
        [
            (AuditTypes.AccountCreated, operatorKey, account),
            (AuditTypes.KeyCreated, operatorKey, ownKey),
            (AuditTypes.CreditsAdjusted, operatorKey, entries[2].Subject),
            (AuditTypes.AccountChanged, operatorKey, account),
            (AuditTypes.AccountChanged, operatorKey, account),
            (AuditTypes.KeyCreated, ownKey, key),
            (AuditTypes.KeyLimited, ownKey, key),
            (AuditTypes.KeyRevoked, ownKey, key),
            (AuditTypes.AgentCreated, ownKey, agent),
            (AuditTypes.AgentChanged, ownKey, agent),
            (AuditTypes.RunEnded, null, runId),
            (AuditTypes.DocumentDeleted, ownKey, document),
            (AuditTypes.ConversationDeleted, ownKey, conversation),
            (AuditTypes.AgentDeleted, ownKey, agent),
        ];
        Assert.Equal(expected, entries.Select(static entry => (entry.Type, entry.KeyId, entry.Subject)));
        Assert.Equal("""{"mode":"live","amount_usd":"2.5"}""", entries[2].Detail);
        var receipt = (await owner.GetAsync($"/v1/receipts/{run.GetProperty("receipt_id").GetString()}")).Json;
        Assert.Equal($$"""{"log_head":"{{receipt.GetProperty("log_head").GetString()}}"}""", entries[10].Detail);
        Assert.DoesNotContain(
            entries, static entry => entry.ToString().Contains("canary", StringComparison.OrdinalIgnoreCase));
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Chain_WhenARequestIsRefused_DoesNotGrow()
    {
        await using var server = await TestServer.StartAsync();
        var account = (await server.AccountAsync()).GetProperty("id").GetString()!;
        var before = Entries(server, account).Count;

        await SendAsync(server.Client, 409, "PATCH", $"/v1/accounts/{account}", """{"status":"closed"}""");
        await SendAsync(server.Client, 409, "POST", $"/v1/accounts/{account}/credits", """{"amount_usd":-1000}""");
        await SendAsync(server.Client, 409, "DELETE", $"/v1/api-keys/{KeyOf(server)}", null);
        await SendAsync(server.Client, 404, "PATCH", "/v1/agents/none", """{"description":"x"}""");
        await SendAsync(server.Client, 409, "POST", "/v1/agents", """{"name":"x","slug":"demo"}""");

        Assert.Equal(before, Entries(server, account).Count);
    }

    /// <summary>A folder of a version without an audit: it begins at the next start, and nothing is lost.</summary>
    [Fact]
    public async Task Start_OnAFolderThatHasNoAudit_BeginsIt()
    {
        var folder = TestServer.NewFolder();
        try
        {
            string run, receipt;
            await using (var old = await TestServer.StartAsync(folder: folder))
            {
                var answer = await old.Client.PostAsync("/v1/agents/runs", """{"agent":"demo","input":"Hi"}""");
                Assert.True(answer.Status == 200, answer.Text);
                run = answer.Json.GetProperty("run_id").GetString()!;
                using var signer = new Reeve.Server.Receipts.ReceiptSigner(old.Service<MasterKey>().Derive("receipts"));
                receipt = signer.Sign(Receipts.ReceiptSignerTests.Sample);
                await old.Database.WriteAsync(static session =>
                {
                    foreach (var table in (string[])["signing_keys", "audit_entries", "audit_checkpoints"])
                    {
                        session.Execute(string.Intern($"DROP TABLE {table}"));
                    }

                    session.Execute("DELETE FROM schema_migrations WHERE name = '0002_audit.sql'");
                });
            }

            await using var server = await TestServer.StartAsync(folder: folder);
            var account = (await server.AccountAsync()).GetProperty("id").GetString()!;
            Assert.Equal([(AuditTypes.Begun, account), (AuditTypes.RunEnded, run)],
                Entries(server, account).Select(static entry => (entry.Type, entry.Subject)));
            await server.AssertSoundAsync();
            var verdict = await server.Client.PostAsync("/v1/receipts/verify", receipt);
            Assert.True(verdict.Json.GetProperty("valid").GetBoolean(), verdict.Text);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Theory]
    [InlineData("UPDATE audit_entries SET detail = '{}'")]
    [InlineData("DELETE FROM audit_entries")]
    [InlineData("UPDATE audit_checkpoints SET document = ''")]
    [InlineData("DELETE FROM audit_checkpoints")]
    public async Task Row_OfTheAudit_CannotBeChanged(string sql)
    {
        await using var server = await TestServer.StartAsync();
        var error = await Assert.ThrowsAsync<StorageException>(() => server.Database.WriteAsync(session =>
        {
            session.Execute("INSERT INTO audit_checkpoints VALUES ('acct', 1, 'x') ON CONFLICT DO NOTHING");
            session.Execute(sql);
        }));
        Assert.Contains("append-only", error.InnerException!.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("UPDATE audit_entries SET at = at + 1 WHERE seq = 2", "audit entry 2 is not as it was written")]
    [InlineData("UPDATE audit_entries SET key_id = 'key_1' WHERE seq = 1", "audit entry 1 is not as it was written")]
    [InlineData("DELETE FROM audit_entries WHERE seq = 2", "audit entry 2 is missing before 3")]
    [InlineData("DELETE FROM audit_entries WHERE type = 'run.ended'", "the audit does not say that it ended")]
    [InlineData("UPDATE audit_entries SET detail = '{}' WHERE type = 'run.ended'", "the audit names another log head")]
    [InlineData("DELETE FROM audit_entries", "the account has no audit")]
    [InlineData("DELETE FROM audit_entries", "it has checkpoints and no audit")]
    [InlineData("UPDATE audit_entries SET account_id = 'acct_1'", "an audit belongs to no account")]
    [InlineData("UPDATE audit_checkpoints SET seq = 1 WHERE seq = (SELECT max(seq) FROM audit_checkpoints)",
        "its checkpoint at 1 says something else")]
    [InlineData("UPDATE audit_checkpoints SET seq = 99 WHERE seq = (SELECT max(seq) FROM audit_checkpoints)",
        "its audit has a checkpoint at 99 and no such entry")]
    [InlineData("UPDATE audit_checkpoints SET document = replace(document, '\"head\":\"', '\"head\":\"0')",
        "is not the one that was signed")]
    [InlineData("UPDATE audit_checkpoints SET document = replace(document, 'issued_at\":\"2026', 'issued_at\":\"2027')",
        "is not as it was signed: bad_signature")]
    [InlineData("UPDATE audit_checkpoints SET document = '{}'", "says something else")]
    [InlineData("UPDATE signing_keys SET created_at = 1", "this key is not as the server wrote it")]
    [InlineData("UPDATE signing_keys SET secret = zeroblob(32)", "this key is not as the server wrote it")]
    [InlineData("DELETE FROM signing_keys WHERE use = 'sig'", "is not as it was signed: unknown_key")]
    [InlineData("DELETE FROM signing_keys WHERE use = 'enc'", "has not one active key of each kind")]
    public async Task Verify_OfAChangedFile_SaysWhatIsWrong(string sql, string problem)
    {
        await using var server = await TestServer.StartAsync();
        var run = await server.Client.PostAsync("/v1/agents/runs", """{"agent":"demo","input":"Hi"}""");
        Assert.Equal(200, run.Status);
        await server.Service<Reeve.Server.Receipts.Checkpoints.AuditCheckpoints>().SignAsync();
        var master = server.Service<MasterKey>();
        Assert.Empty(server.Database.Read(session => new Verifier(master).Check(session)));

        await server.Database.WriteAsync(session =>
        {
            foreach (var trigger in session.List(
                "SELECT name FROM sqlite_master WHERE type = 'trigger'", static row => row.GetString(0)))
            {
                session.Execute(string.Intern($"DROP TRIGGER {trigger}"));
            }

            session.Execute(sql);
        });
        Assert.Contains(server.Database.Read(session => new Verifier(master).Check(session)),
            one => one.Invariant == "I12" && one.Problem.Contains(problem, StringComparison.Ordinal));
    }

    private static async Task<TestAnswer> SendAsync(
        TestClient client, int status, string method, string path, string? body)
    {
        var answer = await client.SendAsync(method, path, body);
        Assert.True(answer.Status == status, $"{method} {path}: {answer.Text}");
        return answer;
    }

    private static string KeyOf(TestServer server) => server.Database.Read(static session =>
        session.Single("SELECT id FROM api_keys", static row => row.GetString(0)))!;

    private static List<AuditEntry> Entries(TestServer server, string account) => server.Database.Read(
        session => AuditLog.Read(session, account, 0).ConvertAll(static one => one.Entry));
}
