using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Reeve.Server.Inference;
using Reeve.Server.Privacy;
using Reeve.Server.Tests.Runs;

namespace Reeve.Server.Tests.Chat;

/// <summary><c>POST /v1/embeddings</c> (wire-mesh 4.2): its shapes, its money and where its texts may go.</summary>
public sealed class EmbeddingRouteTests : IDisposable
{
    private const string Path = "/v1/embeddings";

    private readonly ScriptedEmbeddings _model = new();

    public void Dispose() => _model.Dispose();

    [Fact]
    public async Task Embedding_HasTheDocumentedShapeAndExactMoney()
    {
        await using var server = await TestServer.StartAsync(
            static options => options with { Credits = options.Credits with { MarginRate = 0.1m } },
            builder => _model.AddTo(builder));

        var answer = await EmbedAsync(server, "\"input\":\"cat\",\"user\":\"u_1\"");

        Assert.Equal("""{"object":"list","data":[{"object":"embedding","index":0,"embedding":[31.2,31.3,31.4,31.5]}],"""
            + "\"model\":\"mesh/house-e\",\"usage\":{\"prompt_tokens\":5,\"total_tokens\":5,\"cost\":0.00011}}",
            answer.Text);
        Assert.Equal(
            ("0.000100", "0.000010", "0.000110", "application/json; charset=utf-8"),
            (answer.Header("x-mesh-upstream-cost-usd"), answer.Header("x-mesh-margin-usd"),
                answer.Header("x-mesh-total-usd"), answer.Header("Content-Type")));
        Assert.Equal(9.99989m, (await server.AccountAsync()).GetProperty("balanceUsd").GetDecimal());

        var run = Assert.Single((await server.Client.GetAsync("/v1/runs?kind=embedding")).Json
            .GetProperty("data").EnumerateArray());
        Assert.Equal(("embedding", "completed", JsonValueKind.Null, JsonValueKind.Null, "", "u_1", "mesh/house-e"), (
            run.GetProperty("kind").GetString(), run.GetProperty("status").GetString(),
            run.GetProperty("agent_id").ValueKind, run.GetProperty("conversation_id").ValueKind,
            run.GetProperty("input").GetString(), run.GetProperty("user").GetProperty("id").GetString(),
            run.GetProperty("route").GetProperty("model").GetString()));
        var usage = (await server.Client.GetAsync("/v1/usage?group_by=model")).Text;
        Assert.Contains("\"mesh/house-e\"", usage, StringComparison.Ordinal);
        var settled = Assert.Single((await server.LedgerAsync("type=settle")).EnumerateArray());
        Assert.Equal((-0.00011m, run.GetProperty("run_id").GetString()), (
            settled.GetProperty("amount_usd").GetDecimal(), settled.GetProperty("run_id").GetString()));
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Receipt_HasTheHashesOfTextsAndVectorsThatTheLogDoesNotKeep()
    {
        await using var server = await StartAsync();

        var answer = await EmbedAsync(server, "\"input\":[\"secret words\",\"Grüße\"]");

        var receipt = (await server.Client.GetAsync($"/v1/receipts/{answer.Header("x-mesh-receipt-id")}")).Json;
        Assert.Equal(Sha256("""["secret words","Grüße"]"""u8.ToArray()), Hash("input_sha256"));
        Assert.Equal(
            Sha256([.. Bytes(ScriptedEmbeddings.Vector("secret words")), .. Bytes(ScriptedEmbeddings.Vector("Grüße"))]),
            Hash("output_sha256"));
        var log = string.Concat(server.Database.Read(static session => session.List(
            "SELECT payload FROM run_events", static row => Encoding.UTF8.GetString((byte[])row.GetValue(0)))));
        Assert.DoesNotContain("secret words", log, StringComparison.Ordinal);
        Assert.Contains(Hash("output_sha256"), log, StringComparison.Ordinal);

        string Hash(string name) => receipt.GetProperty(name).GetString()!;
    }

    [Fact]
    public async Task Texts_ComeBackInTheirOrderAsNumbersAndAsBase64()
    {
        await using var server = await StartAsync();
        var texts = Enumerable.Range(0, 2_048).Select(static at => $"text {at}").ToList();
        var input = $"\"input\":[{string.Join(',', texts.Select(static text => $"\"{text}\""))}]";

        var floats = (await EmbedAsync(server, input)).Json.GetProperty("data");
        var base64 = (await EmbedAsync(server, input + ",\"encoding_format\":\"base64\"")).Json.GetProperty("data");

        Assert.Equal((2_048, 2_048), (floats.GetArrayLength(), base64.GetArrayLength()));
        for (var i = 0; i < texts.Count; i++)
        {
            var vector = ScriptedEmbeddings.Vector(texts[i]);
            Assert.Equal(i, floats[i].GetProperty("index").GetInt32());
            Assert.Equal(
                vector, floats[i].GetProperty("embedding").EnumerateArray().Select(static one => one.GetSingle()));
            Assert.Equal(Bytes(vector), base64[i].GetProperty("embedding").GetBytesFromBase64());
        }
    }

    [Fact]
    public async Task Dimensions_AreThoseThatWereAskedFor()
    {
        await using var server = await StartAsync();
        var answer = await EmbedAsync(server, "\"input\":\"cat\",\"dimensions\":2");
        Assert.Equal("[31.2,31.3]", answer.Json.GetProperty("data")[0].GetProperty("embedding").GetRawText());

        _model.IgnoresDimensions = true;
        answer = await EmbedAsync(server, "\"input\":\"cat\",\"dimensions\":2");
        Assert.Equal((503, "provider_unavailable"), (answer.Status, answer.ErrorCode));
        Assert.Equal(9.9999m, (await server.AccountAsync()).GetProperty("balanceUsd").GetDecimal());
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Dimensions_OfAModelOfOneLength_AreRefused()
    {
        await using var server = await TestServer.StartAsync(
            configure: builder => _model.AddTo(builder, ScriptedEmbeddings.Model(anyLength: false)));
        var answer = await EmbedAsync(server, "\"input\":\"cat\",\"dimensions\":2");
        Assert.Equal((400, "dimensions"), (answer.Status, answer.ErrorParam));
        Assert.Empty(_model.Asked);
    }

    [Theory]
    [InlineData("\"user\":\"u\"", "input")]
    [InlineData("\"input\":null", "input")]
    [InlineData("\"input\":\"\"", "input")]
    [InlineData("\"input\":7", "input")]
    [InlineData("\"input\":{}", "input")]
    [InlineData("\"input\":[]", "input")]
    [InlineData("\"input\":[\"a\",\"\"]", "input[1]")]
    [InlineData("\"input\":[\"a\",null]", "input[1]")]
    [InlineData("\"input\":[1,2,3]", "input[0]")]
    [InlineData("\"input\":[[1,2,3]]", "input[0]")]
    [InlineData("\"input\":\"a\",\"dimensions\":0", "dimensions")]
    [InlineData("\"input\":\"a\",\"dimensions\":5", "dimensions")]
    [InlineData("\"input\":\"a\",\"dimensions\":2.5", "dimensions")]
    [InlineData("\"input\":\"a\",\"encoding_format\":\"hex\"", "encoding_format")]
    [InlineData("\"input\":\"a\",\"privacy_class\":\"secret\"", "privacy_class")]
    [InlineData("\"input\":\"a\",\"privacy\":{\"class\":\"secret\"}", "privacy.class")]
    [InlineData("\"input\":\"a\",\"privacy\":{\"mode\":\"nitro\"}", "privacy.mode")]
    [InlineData("\"input\":\"a\",\"privacy\":{\"encryptedPrompt\":\"sealed:AAAA\"}", "privacy.encryptedPrompt")]
    [InlineData("\"input\":\"a\",\"user\":\"\"", "user")]
    public async Task WrongBody_IsRefusedByTheNameOfItsField(string members, string param)
    {
        await using var server = await StartAsync();
        var answer = await EmbedAsync(server, members);
        Assert.Equal((400, param), (answer.Status, answer.ErrorParam));
        Assert.Empty(_model.Asked);
        Assert.Equal(0, (await server.Client.GetAsync("/v1/runs")).Json.GetProperty("data").GetArrayLength());
    }

    [Fact]
    public async Task Texts_BeyondTheirBounds_AreRefused()
    {
        await using var server = await StartAsync();
        var most = string.Concat(Enumerable.Repeat("cat ", 4_000));
        Assert.Equal(200, (await EmbedAsync(server, $"\"input\":\"{most}\"")).Status);
        foreach (var input in (string[])
        [
            $"\"input\":[\"a\",\"{string.Concat(Enumerable.Repeat("cat ", 9_000))}\"]",
            $"\"input\":[\"a\",\"{string.Concat(Enumerable.Repeat("东京🦊", 4_000))}\"]",
            $"\"input\":[\"a\",\"{new string(' ', 140_000)}\"]",
        ])
        {
            var answer = await EmbedAsync(server, input);
            Assert.Equal((400, "input[1]"), (answer.Status, answer.ErrorParam));
            Assert.Contains("at most 8,191 tokens", answer.Text, StringComparison.Ordinal);
        }

        var many = await EmbedAsync(server, $"\"input\":[{string.Join(',', Enumerable.Repeat("\"a\"", 2_049))}]");
        Assert.Equal((400, "input"), (many.Status, many.ErrorParam));
    }

    [Fact]
    public async Task Model_IsTheTierWhereNoneIsNamedAndMustMakeEmbeddings()
    {
        using var chat = new ScriptedChatClient();
        void Configure(WebApplicationBuilder builder)
        {
            chat.AddTo(builder);
            _model.AddTo(builder);
        }

        await using (var server = await TestServer.StartAsync(configure: Configure))
        {
            foreach (var model in (string[])["", "\"model\":\"mesh/embed\",", "\"model\":\"mesh/none\","])
            {
                var unknown = await server.Client.PostAsync(Path, $$"""{{{model}}"input":"a"}""");
                Assert.Equal((404, "not_found", "model"), (unknown.Status, unknown.ErrorCode, unknown.ErrorParam));
            }

            foreach (var model in (string[])["mesh/house-1", "auto", "reeve/quote"])
            {
                var other = await EmbedAsync(server, "\"input\":\"a\"", model);
                Assert.Equal((400, "model"), (other.Status, other.ErrorParam));
            }

            var asChat = await server.Client.PostAsync(
                "/v1/chat/completions", """{"model":"mesh/house-e","messages":[{"role":"user","content":"Hi"}]}""");
            Assert.Equal((404, "model"), (asChat.Status, asChat.ErrorParam));
        }

        await using (var server = await TestServer.StartAsync(
            static options => options with
            {
                Inference = options.Inference with
                {
                    Tiers = new Dictionary<string, string> { ["mesh/embed"] = "mesh/house-e" },
                },
            },
            Configure))
        {
            var answer = await server.Client.PostAsync(Path, """{"input":"a"}""");
            Assert.Equal((200, "mesh/embed"), (answer.Status, answer.Json.GetProperty("model").GetString()));
            var run = (await server.Client.GetAsync("/v1/runs")).Json.GetProperty("data")[0];
            Assert.Equal("mesh/house-e", run.GetProperty("route").GetProperty("model").GetString());
        }
    }

    [Fact]
    public async Task Models_ForEmbeddings_AreListedAsWhatTheyAre()
    {
        await using var server = await TestServer.StartAsync(
            static options => options with
            {
                Inference = options.Inference with
                {
                    Tiers = new Dictionary<string, string> { ["mesh/embed"] = "mesh/house-e" },
                },
            },
            builder => _model.AddTo(builder));
        const string Rest = "\"max_output_tokens\":null,"
            + "\"modalities\":{\"input\":[\"text\"],\"output\":[\"embedding\"]},"
            + "\"capabilities\":[\"embeddings\",\"dimensions\"],"
            + "\"supported_parameters\":[\"encoding_format\",\"dimensions\"],"
            + "\"pricing\":{\"input_usd_per_million\":20,\"output_usd_per_million\":0},"
            + "\"privacy_classes\":[\"standard\"],\"built_in\":false,\"available\":true}";

        var models = (await server.Client.GetAsync("/v1/models?type=model")).Json.GetProperty("data");

        Assert.Contains(
            """{"id":"mesh/house-e","object":"model","created":0,"owned_by":"house-e","kind":"model","""
                + "\"name\":\"mesh/house-e\",\"context_length\":8191," + Rest,
            models.EnumerateArray().Select(static one => one.GetRawText()));
        Assert.EndsWith(Rest, (await server.Client.GetAsync("/v1/models/mesh/embed")).Text, StringComparison.Ordinal);
        Assert.Contains("mesh/embed", models.EnumerateArray()
            .Where(static one => one.GetProperty("kind").GetString() == "tier")
            .Select(static one => one.GetProperty("id").GetString()));
    }

    [Fact]
    public async Task NoCover_Is402BeforeATextLeaves()
    {
        await using var server = await TestServer.StartAsync(
            static options => options with { Credits = options.Credits with { StartingBalanceUsd = 0.000099m } },
            builder => _model.AddTo(builder));
        var answer = await EmbedAsync(server, "\"input\":\"cat\"");
        Assert.Equal((402, "insufficient_funds"), (answer.Status, answer.ErrorCode));
        Assert.Empty(_model.Asked);
        Assert.Equal(0, (await server.Client.GetAsync("/v1/runs")).Json.GetProperty("data").GetArrayLength());
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task NoUsage_IsCountedAndMarked()
    {
        _model.Tokens = null;
        await using var server = await StartAsync();
        var answer = await EmbedAsync(server, "\"input\":[\"a cat\",\"a dog barks\"]");
        var tokens = TokenCounter.Count("a cat") + TokenCounter.Count("a dog barks");
        Assert.Equal(tokens, answer.Json.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
        Assert.Equal(20 * tokens, answer.Json.GetProperty("usage").GetProperty("cost").GetDecimal() * 1_000_000);
        var finished = server.Database.Read(static session => session.List(
            "SELECT payload FROM run_events WHERE type = 'model_call.finished'",
            static row => JsonElement.Parse(Encoding.UTF8.GetString((byte[])row.GetValue(0)))));
        Assert.True(Assert.Single(finished).GetProperty("estimated").GetBoolean());
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Usage_BeyondTheHold_IsChargedWhole()
    {
        _model.Tokens = 10; // Of "cat" the hold was for 5.
        await using var server = await StartAsync();
        var answer = await EmbedAsync(server, "\"input\":\"cat\"");
        Assert.Equal((200, "0.000200"), (answer.Status, answer.Header("x-mesh-total-usd")));
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task ProviderThatFails_CostsNothing()
    {
        _model.Fault = new ProviderException(ProviderFault.RateLimited, "busy") { RetryAfterSeconds = 7 };
        await using var server = await StartAsync();

        var answer = await EmbedAsync(server, "\"input\":\"cat\"");

        Assert.Equal((503, "provider_unavailable", "7"),
            (answer.Status, answer.ErrorCode, answer.Header("Retry-After")));
        Assert.Equal("0.000000", answer.Header("x-mesh-total-usd"));
        Assert.Equal(10m, (await server.AccountAsync()).GetProperty("balanceUsd").GetDecimal());
        var record = (await server.Client.GetAsync("/v1/logs")).Text;
        Assert.Contains("\"path\":\"/v1/embeddings\",\"status\":503", record, StringComparison.Ordinal);
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task ProviderThatFails_IsFollowedByAnotherOfTheSameModelAlone()
    {
        using var broken = new ScriptedEmbeddings { Fault = new(ProviderFault.Overloaded, "busy") };
        using var other = new ScriptedEmbeddings();
        await using var server = await TestServer.StartAsync(configure: builder =>
        {
            broken.AddTo(builder, ScriptedEmbeddings.Model("first"));
            _model.AddTo(builder, ScriptedEmbeddings.Model("second", 30));
            other.AddTo(builder, ScriptedEmbeddings.Model("third") with { Id = "mesh/other-e" });
        });
        server.Service<ProviderHealth>().Of("first").Settings = new ProviderSettings { Priority = 1 };

        var answer = await EmbedAsync(server, "\"input\":\"cat\"");

        Assert.Equal((200, "0.000150"), (answer.Status, answer.Header("x-mesh-total-usd")));
        Assert.Equal((1, 1, 0), (broken.Asked.Count, _model.Asked.Count, other.Asked.Count));

        _model.Fault = broken.Fault;
        Assert.Equal(503, (await EmbedAsync(server, "\"input\":\"cat\"")).Status);
        Assert.Empty(other.Asked);
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Provider_IsAskedByNoMoreThanItsBoundAndNotWhenSwitchedOff()
    {
        var gate = new TaskCompletionSource();
        _model.Gate = gate.Task;
        await using var server = await StartAsync();
        server.Service<ProviderHealth>().Of("house-e").Settings = new ProviderSettings { MaxConcurrency = 1 };
        var first = EmbedAsync(server, "\"input\":\"cat\"");
        await Eventually.TrueAsync(() => Task.FromResult(_model.Asked.Count == 1));

        Assert.Equal(503, (await EmbedAsync(server, "\"input\":\"dog\"")).Status);

        gate.SetResult();
        Assert.Equal(200, (await first).Status);
        server.Service<ProviderHealth>().Of("house-e").Settings = new ProviderSettings { Enabled = false };
        Assert.Equal(503, (await EmbedAsync(server, "\"input\":\"dog\"")).Status);
        Assert.Single(_model.Asked);
        await server.AssertSoundAsync();
    }

    [Theory]
    [InlineData("standard", false, false, false, true)]
    [InlineData("protected", false, false, false, false)]
    [InlineData("protected", true, false, false, true)]
    [InlineData("private_gateway", true, false, false, false)]
    [InlineData("private_gateway", true, true, false, true)]
    [InlineData("confidential", true, true, false, false)]
    [InlineData("confidential", true, true, true, true)]
    public async Task Class_DecidesWhetherATextLeaves(
        string word, bool zeroRetention, bool operatorRun, bool inProcess, bool leaves)
    {
        await using var server = await TestServer.StartAsync(configure: builder => _model.AddTo(
            builder, marks: new PrivacyMarks(zeroRetention, operatorRun, inProcess)));
        foreach (var members in (string[])[$"\"privacy_class\":\"{word}\"", $"\"privacy\":{{\"class\":\"{word}\"}}"])
        {
            var answer = await EmbedAsync(server, "\"input\":\"cat\"," + members);
            Assert.Equal(
                leaves ? (200, null) : (422, "no_permitted_route"),
                (answer.Status, leaves ? null : answer.ErrorCode));
        }

        Assert.Equal(leaves ? 2 : 0, _model.Asked.Count);
    }

    [Fact]
    public async Task Protected_MasksEachTextByItself()
    {
        await using var server = await TestServer.StartAsync(configure: builder => _model.AddTo(
            builder, marks: new PrivacyMarks(true, false, false)));
        var answer = await EmbedAsync(
            server, "\"input\":[\"Ask ann@x.io or bo@x.io.\",\"Ask bo@x.io.\"],\"privacy_class\":\"protected\"");
        Assert.Equal(200, answer.Status);
        Assert.Equal(["Ask [EMAIL_1] or [EMAIL_2].", "Ask [EMAIL_1]."], Assert.Single(_model.Asked));
    }

    [Fact]
    public async Task TestKey_ReachesNoProvider()
    {
        await using var server = await StartAsync();
        using var client = server.ClientFor(await server.NewKeyAsync("\"kind\":\"mesh_test\",\"scopes\":[\"chat\"]"));
        var answer = await client.PostAsync(Path, """{"model":"mesh/house-e","input":"cat"}""");
        Assert.Equal((422, "no_permitted_route"), (answer.Status, answer.ErrorCode));
        Assert.Empty(_model.Asked);
    }

    [Fact]
    public async Task Mesh_BringsTheAttestation()
    {
        await using var server = await StartAsync();
        var answer = await EmbedAsync(server, "\"input\":\"cat\",\"privacy\":{\"mode\":\"mesh\"}");
        var document = answer.Json.GetProperty("privacy").GetProperty("attestation").GetRawText();
        var verdict = await server.Client.PostAsync("/v1/attestation/verify", document);
        Assert.True(verdict.Json.GetProperty("valid").GetBoolean(), verdict.Text);
    }

    [Fact]
    public async Task Accounts_PayForTheirOwnAndSeeTheirOwn()
    {
        await using var server = await StartAsync();
        var made = (await server.Client.PostAsync("/v1/accounts", """{"name":"other"}""")).Json;
        using var other = server.ClientFor(made.GetProperty("key").GetString());
        const string Body = """{"model":"mesh/house-e","input":"cat"}""";
        Assert.Equal(402, (await other.PostAsync(Path, Body)).Status);
        var id = made.GetProperty("id").GetString();
        await server.Client.PostAsync($"/v1/accounts/{id}/credits", """{"amount_usd":1}""");

        var answer = await other.PostAsync(Path, Body);

        Assert.Equal(200, answer.Status);
        Assert.Equal(
            (0.9999m, 10m),
            ((await other.GetAsync("/v1/accounts/me")).Json.GetProperty("balanceUsd").GetDecimal(),
                (await server.AccountAsync()).GetProperty("balanceUsd").GetDecimal()));
        Assert.Equal(404, (await server.Client.GetAsync($"/v1/receipts/{answer.Header("x-mesh-receipt-id")}")).Status);
        Assert.Equal(0, (await server.Client.GetAsync("/v1/runs")).Json.GetProperty("data").GetArrayLength());
        await server.AssertSoundAsync();
    }

    /// <summary>The second text would go with a second request, which is never made.</summary>
    [Fact]
    public async Task Run_OfACallerWhoLeft_IsCancelledAndWhatLeftIsCharged()
    {
        _model.TextsMax = 1;
        _model.Gate = new TaskCompletionSource().Task;
        await using var server = await StartAsync();
        using var leaving = new CancellationTokenSource();
        using var content = new StringContent(
            """{"model":"mesh/house-e","input":["cat","and a dog"]}""", Encoding.UTF8, "application/json");
        await Task.WhenAll(
            Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
                server.Client.Http.PostAsync(new Uri(Path, UriKind.Relative), content, leaving.Token)),
            LeaveAsync());

        async Task LeaveAsync()
        {
            await Eventually.TrueAsync(() => Task.FromResult(_model.Asked.Count == 1));
            await leaving.CancelAsync();
        }

        await Eventually.TrueAsync(async () => (await server.Client.GetAsync("/v1/runs?status=cancelled")).Json
            .GetProperty("data").GetArrayLength() == 1);
        Assert.Equal(10m - (0.00002m * TokenCounter.Count("cat")),
            (await server.AccountAsync()).GetProperty("balanceUsd").GetDecimal());
        await server.AssertSoundAsync();
    }

    [Fact]
    public async Task Run_OfAServerThatStopped_FailsAtTheNextStartAndCostsNothing()
    {
        var folder = TestServer.NewFolder();
        await using (var server = await TestServer.StartAsync(
            configure: builder => _model.AddTo(builder), folder: folder))
        {
            _model.Gate = new TaskCompletionSource().Task;
            var asked = EmbedAsync(server, "\"input\":\"cat\"");
            await Eventually.TrueAsync(() => Task.FromResult(_model.Asked.Count == 1));
            var stopping = server.App.StopAsync(TestContext.Current.CancellationToken);
            Assert.Equal("unavailable", (await asked).ErrorCode);
            await stopping;
        }

        await using (var server = await TestServer.StartAsync(
            configure: builder => _model.AddTo(builder), folder: folder))
        {
            var run = Assert.Single((await server.Client.GetAsync("/v1/runs")).Json
                .GetProperty("data").EnumerateArray());
            Assert.Equal("failed", run.GetProperty("status").GetString());
            Assert.Equal(10m, (await server.AccountAsync()).GetProperty("balanceUsd").GetDecimal());
            Assert.Single(_model.Asked);
            await server.AssertSoundAsync();
        }

        Directory.Delete(folder, recursive: true);
    }

    private Task<TestServer> StartAsync() =>
        TestServer.StartAsync(configure: builder => _model.AddTo(builder));

    private static Task<TestAnswer> EmbedAsync(TestServer server, string members, string model = "mesh/house-e") =>
        server.Client.PostAsync(Path, $$"""{"model":"{{model}}",{{members}}}""");

    private static byte[] Bytes(float[] vector) => [.. vector.SelectMany(static number =>
    {
        var bytes = BitConverter.GetBytes(number);
        return BitConverter.IsLittleEndian ? bytes : bytes.Reverse();
    })];

    private static string Sha256(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));
}
