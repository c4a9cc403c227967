using System.Text.Json;
using Reeve.Server.Receipts.Keys;
using Reeve.Server.Storage;

namespace Reeve.Server.Tests.Process;

/// <summary>
/// <c>reeve receipts</c> and <c>reeve audit</c> as an operator or a stranger runs them, and what the built server
/// attests.
/// </summary>
public sealed class ReceiptsProcessTests : IDisposable
{
    private readonly string _folder = TestServer.NewFolder();

    private string Data => Path.Combine(_folder, "data");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Verify_AReceiptByTheSavedKeys_NeedsNoServer()
    {
        string receipt, keys;
        await using (var server = await ServeAsync())
        {
            using var client = new TestClient(server.Url, TestServer.AdminKey);
            (receipt, keys) = (await ReceiptAsync(client), await KeysAsync(client));
            Assert.Equal(0, await server.TerminateAsync());
        }

        var x = JsonElement.Parse(keys).GetProperty("keys").EnumerateArray()
            .Single(static key => key.GetProperty("use").GetString() == "sig").GetProperty("x").GetString()!;
        var (file, list) = (Write("receipt.json", receipt), Write("keys.json", keys));
        var json = JsonElement.Parse(receipt);
        var valid = $"valid: {json.GetProperty("id").GetString()} of {json.GetProperty("run_id").GetString()}, "
            + $"of key {json.GetProperty("key_id").GetString()}\n";
        var changed = Write("changed.json",
            receipt.Replace("\"latency_ms\":", "\"latency_ms\":1", StringComparison.Ordinal));
        var other = Write("other.json", """{"keys":[]}""");
        (string[] Args, int Code, string Output, string Errors)[] cases =
        [
            ([file, "--keys", list], 0, valid, ""),
            ([file, "--key", x], 0, valid, ""),
            ([changed, "--keys", list], 1, "not valid: bad_signature, of key", ""),
            ([file, "--keys", other], 1, "not valid: unknown_key, of key", ""),
            ([list, "--keys", list], 1, "not valid: malformed", ""),
            ([file], 1, "", "Give the keys with --keys FILE, or one key with --key TEXT."),
            ([file, "--keys", list, "--key", x], 1, "", "Give the keys with --keys FILE, or one key with --key TEXT."),
            ([file, "--key", "x"], 1, "", "A public key is 43 characters of base64url, 32 bytes."),
            ([file, "--keys", file], 1, "", "is no list of keys as /.well-known/reeve-keys.json answers it."),
            ([file, "--keys", Path.Combine(_folder, "none")], 1, "", "Could not find file"),
        ];
        foreach (var (args, code, output, errors) in cases)
        {
            var answer = await ReeveProcess.RunAsync(_folder, ["receipts", "verify", .. args]);
            Assert.True(answer.Code == code && answer.Output.StartsWith(output, StringComparison.Ordinal)
                && answer.Errors.Contains(errors, StringComparison.Ordinal)
                && (errors.Length == 0) == (answer.Errors.Length == 0), $"{string.Join(' ', args)}: {answer}");
        }
    }

    [Fact]
    public async Task RotateKeys_GivesNewOnes_AndWhatTheOldOnesSignedStaysValid()
    {
        string receipt, before;
        byte[] secret;
        await using (var server = await ServeAsync())
        {
            using var client = new TestClient(server.Url, TestServer.AdminKey);
            (receipt, before) = (await ReceiptAsync(client), await KeysAsync(client));
            var beside = await RotateAsync();
            Assert.True(beside.Code == 1 && beside.Errors.StartsWith("Another server is running on the data folder",
                StringComparison.Ordinal), beside.Errors);
            secret = Secret();
            Assert.True(Contains(secret), "The test looks for the secret in the wrong place.");
            Assert.Equal(0, await server.TerminateAsync());
        }

        var rotated = await RotateAsync();
        Assert.True(rotated.Code == 0 && rotated.Output.StartsWith("New keys: ", StringComparison.Ordinal),
            rotated.Output + rotated.Errors);
        Assert.False(Contains(secret), "What makes the old private key is still in a file.");
        await using (var server = await ServeAsync())
        {
            using var client = new TestClient(server.Url, TestServer.AdminKey);
            var keys = JsonElement.Parse(await KeysAsync(client)).GetProperty("keys").EnumerateArray().ToList();
            Assert.Equal(["retired", "retired", "active", "active"],
                keys.Select(static key => key.GetProperty("status").GetString()));
            Assert.Equal(JsonElement.Parse(before).GetProperty("keys").EnumerateArray().Select(KidOf),
                keys.Take(2).Select(KidOf));
            var verdict = await client.PostAsync("/v1/receipts/verify", receipt);
            Assert.EndsWith("\"reason\":null,\"known\":true}", verdict.Text, StringComparison.Ordinal);
            var next = await ReceiptAsync(client);
            Assert.Equal(KidOf(keys.Single(static key => key.GetProperty("use").GetString() == "sig"
                && key.GetProperty("status").GetString() == "active")),
                JsonElement.Parse(next).GetProperty("key_id").GetString());
            Assert.True((await client.PostAsync("/v1/receipts/verify", next)).Json.GetProperty("valid").GetBoolean());
            Assert.Equal(0, await server.TerminateAsync());
        }

        await AssertSoundAsync();
        Edit("DELETE FROM signing_keys WHERE use = 'enc' AND retired_at IS NOT NULL");
        var found = await VerifyAsync();
        Assert.True(found.Code == 1 && found.Output.Contains("the audit names a key of the server that is not there",
            StringComparison.Ordinal), found.Output);
    }

    /// <summary>A crash anywhere in it leaves the old keys or the new ones, and never half of both.</summary>
    [Theory]
    [InlineData("storage.begun", 2)]
    [InlineData("storage.before_commit", 2)]
    [InlineData("storage.committed", 4)]
    public async Task RotateKeys_KilledOnItsWay_LeavesTheOldKeysOrTheNew(string point, int keys)
    {
        await using (var server = await ServeAsync())
        {
            using var client = new TestClient(server.Url, TestServer.AdminKey);
            await ReceiptAsync(client);
            Assert.Equal(0, await server.TerminateAsync());
        }

        var killed = await RotateAsync((Failpoints.Variable, $"{point}=crash"));
        Assert.NotEqual(0, killed.Code);
        await AssertSoundAsync();
        Assert.Equal(keys, Database.ReadOnce(DataFolder.DatabaseIn(Data), SigningKeyStore.List).Count);
        Assert.Equal(0, (await RotateAsync()).Code);
        Assert.Equal(keys + 2, Database.ReadOnce(DataFolder.DatabaseIn(Data), SigningKeyStore.List).Count);
        await AssertSoundAsync();
    }

    [Fact]
    public async Task Checkpoints_HeldElsewhere_TellOfAHistoryThatWasWrittenAnew()
    {
        await using (var server = await ServeAsync())
        {
            using var client = new TestClient(server.Url, TestServer.AdminKey);
            await ReceiptAsync(client);
            Assert.Equal(0, await server.TerminateAsync());
        }

        var written = await ReeveProcess.RunAsync(_folder, ["audit", "checkpoints", "--data", Data]);
        Assert.True(written.Code == 0 && written.Output.Split('\n').Length >= 2, written.Output + written.Errors);
        var held = Write("held", written.Output);
        Assert.Equal(0, (await VerifyAsync(held)).Code);
        var none = await ReeveProcess.RunAsync(
            _folder, ["audit", "checkpoints", "--data", Data, "--account", "acct_none"]);
        Assert.Equal((0, ""), (none.Code, none.Output));

        // Whoever owns the file cuts off what is newest, and the checkpoints with it.
        Edit("DROP TRIGGER audit_checkpoints_no_delete; DELETE FROM audit_checkpoints WHERE seq = "
            + "(SELECT max(seq) FROM audit_checkpoints); " + Trigger("audit_checkpoints"));
        Assert.Equal(0, (await VerifyAsync()).Code);
        var found = await VerifyAsync(held);
        Assert.True(found.Code == 1 && found.Output.Contains("that was given is not in the file",
            StringComparison.Ordinal), found.Output);

        var forged = await VerifyAsync(
            Write("forged", written.Output.Replace("\"seq\":", "\"seq\":1", StringComparison.Ordinal)));
        Assert.True(forged.Code == 1 && forged.Output.Contains("that was given is not of this server: bad_signature",
            StringComparison.Ordinal), forged.Output);
        var text = await VerifyAsync(Write("text", "hello\n"));
        Assert.True(text.Code == 1 && text.Output.Contains("a line that was given is none", StringComparison.Ordinal));
    }

    /// <summary>The build wrote down what it built.</summary>
    [Fact]
    public async Task Attestation_OfTheBuiltServer_IsAsExpected()
    {
        await using var server = await ServeAsync();
        using var client = new TestClient(server.Url, TestServer.AdminKey);
        var document = await client.GetAsync("/v1/attestation");
        Assert.NotEqual(JsonValueKind.Null, document.Json.GetProperty("build").GetProperty("built_at").ValueKind);
        Assert.Equal(document.Json.GetProperty("expected_measurement").GetString(),
            document.Json.GetProperty("runtime_measurement").GetString());
        var verdict = await client.PostAsync("/v1/attestation/verify", document.Text);
        Assert.True(verdict.Json.GetProperty("valid").GetBoolean(), verdict.Text);
        Assert.Equal(0, await server.TerminateAsync());
    }

    private static string KidOf(JsonElement key) => key.GetProperty("kid").GetString()!;

    private static async Task<string> ReceiptAsync(TestClient client)
    {
        var run = await client.PostAsync("/v1/agents/runs", """{"agent":"demo","input":"What is a receipt?"}""");
        Assert.True(run.Status == 200, run.Text);
        return (await client.GetAsync($"/v1/receipts/{run.Json.GetProperty("receipt_id").GetString()}")).Text;
    }

    private static async Task<string> KeysAsync(TestClient client) =>
        (await client.GetAsync("/.well-known/reeve-keys.json")).Text;

    private static string Trigger(string table) => $"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table}\n"
        + $"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END;";

    private Task<ReeveProcess> ServeAsync() =>
        ReeveProcess.ServeAsync(_folder, ("REEVE_ADMIN_KEY", TestServer.AdminKey));

    private Task<(int Code, string Output, string Errors)> RotateAsync(params (string, string)[] environment) =>
        ReeveProcess.RunAsync(_folder, ["receipts", "rotate-keys", "--data", Data], environment);

    private Task<(int Code, string Output, string Errors)> VerifyAsync(string? held = null) => ReeveProcess.RunAsync(
        _folder, ["verify", "--data", Data, .. held is null ? (string[])[] : ["--checkpoints", held]]);

    private async Task AssertSoundAsync()
    {
        var (code, output, errors) = await VerifyAsync();
        Assert.True(code == 0, output + errors);
    }

    private string Write(string name, string text)
    {
        var path = Path.Combine(_folder, name);
        File.WriteAllText(path, text);
        return path;
    }

    private void Edit(string sql)
    {
        using var connection = new Microsoft.Data.Sqlite.SqliteConnection(
            $"Data Source={DataFolder.DatabaseIn(Data)};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
#pragma warning disable CA2100 // Constants of this class.
        command.CommandText = sql;
#pragma warning restore CA2100
        command.ExecuteNonQuery();
    }

    private byte[] Secret() => Database.ReadOnce(DataFolder.DatabaseIn(Data), SigningKeyStore.List)
        .Single(static one => one.Key.Use == KeyUses.Sign).Key.Secret!;

    private bool Contains(byte[] secret) => Directory.GetFiles(Data, "reeve.db*").Any(file =>
    {
        using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        return bytes.ToArray().AsSpan().IndexOf(secret) >= 0;
    });
}
