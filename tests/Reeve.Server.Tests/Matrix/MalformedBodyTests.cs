using System.IO.Compression;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Reeve.Server.Runs;
using Reeve.Server.Tests.Runs;

namespace Reeve.Server.Tests.Matrix;

/// <summary>
/// Bodies that are wrong in every way, at every route that takes one: a documented refusal, nothing kept, never a
/// fault.
/// </summary>
public sealed class MalformedBodyTests
{
    /// <summary>
    /// An id of every kind, of nobody: a body that were let through would end as 404 and change nothing.
    /// </summary>
    private static readonly Dictionary<string, string> Nobody = new(StringComparer.Ordinal)
    {
        ["provider"] = "nobody",
        ["account"] = "acct_06F7557C5CM18FNXB2V5D4V72R",
        ["agent"] = "agt_06F7557C5CM18FNXB2V5D4V72R",
        ["webhook"] = "whk_06F7557C5CM18FNXB2V5D4V72R",
        ["conversation"] = "conv_06F7557C5CM18FNXB2V5D4V72R",
        ["document"] = "doc_06F7557C5CM18FNXB2V5D4V72R",
        ["key"] = "key_06F7557C5CM18FNXB2V5D4V72R",
        ["receipt"] = "rcpt_06F7557C5CM18FNXB2V5D4V72R",
        ["run"] = "run_06F7557C5CM18FNXB2V5D4V72R",
        ["version"] = "1",
    };

    /// <summary>Members that the server alone decides, and one that nobody knows.</summary>
    private static readonly string[] ServerOwned =
        ["account_id", "credits", "role", "version", "id", "is_operator", "balanceUsd", "created_at", "constructor",
            "__proto__"];

    private static readonly string[] WrongValues =
    [
        "[]", "[[]]", "{}", "{\"a\":[1]}", "true", "0", "-1", "1.5", "1e400", "-0.0", "9223372036854775808",
        "123456789012345678901234567890", "\"\"", "\"\\u0009\"", "\"\\ud83d\\ude00\"", "[null]", "[[[[[[]]]]]]",
    ];

    [Fact]
    public async Task Body_ThatIsMalformed_IsRefusedAndLeavesNothing()
    {
        await using var server = await StartAsync();
        var before = TenantWorld.RowCounts(server);
        var wrong = new List<string>();
        var probes = 0;
        foreach (var route in ApiBodies.Routes(server))
        {
            foreach (var (name, body, isEmpty) in Malformed(ApiBodies.Of(route, kind => Nobody[kind])!))
            {
                if (isEmpty && ApiBodies.Optional.Contains(route.Name))
                {
                    continue;
                }

                probes++;
                await ExpectAsync(wrong, $"{route.Name} {name}", SendAsync(server, route, body), 400,
                    "invalid_request");
            }

            foreach (var member in ApiBodies.Open.Contains(route.Name) ? [] : ServerOwned)
            {
                probes++;
                var good = ApiBodies.Of(route, kind => Nobody[kind])!;
                var body = $"{{\"{member}\":1{(good == "{}" ? "" : ",")}{good[1..]}";
                var answer = await SendAsync(server, route, Encoding.UTF8.GetBytes(body));
                if (answer.Status != 400 || answer.ErrorParam != member)
                {
                    wrong.Add($"{route.Name} with {member} answers {answer.Status} {answer.Text}");
                }
            }
        }

        AssertNone(wrong, probes);
        Assert.Equal(before, TenantWorld.RowCounts(server));
        Assert.Empty(server.Database.Read(new Verifier().Check));
    }

    [Fact]
    public async Task Body_TooLargeOrCompressed_IsRefusedAndLeavesNothing()
    {
        await using var server = await StartAsync();
        var before = TenantWorld.RowCounts(server);
        var wrong = new List<string>();
        foreach (var route in ApiBodies.Routes(server))
        {
            var large = new byte[BodyBytesMax(route) + 1];
            Array.Fill(large, (byte)' ');
            large[0] = (byte)'{';
            large[^1] = (byte)'}';
            var good = Encoding.UTF8.GetBytes(ApiBodies.Of(route, kind => Nobody[kind])!);
            await ExpectAsync(wrong, $"{route.Name} large", SendAsync(server, route, large), 413, "payload_too_large");
            await ExpectAsync(wrong, $"{route.Name} large in chunks",
                SendAsync(server, route, large, content => content.Headers.ContentLength = null), 413,
                    "payload_too_large");
            await ExpectAsync(wrong, $"{route.Name} gzip",
                SendAsync(server, route, Gzip(good), content => content.Headers.ContentEncoding.Add("gzip")), 400,
                "invalid_request");
            var declared = await HeadOfAnswerAsync(server, Head(route, "Content-Length: 1000000000\r\n"));
            if (!declared.StartsWith("HTTP/1.1 413 ", StringComparison.Ordinal))
            {
                wrong.Add($"{route.Name} with a declared gigabyte: {declared}");
            }

            var twice = await server.SendRawAsync(Head(route, "Content-Length: 2\r\n"
                + $"Authorization: Bearer {TestServer.AdminKey}\r\n") + "{}");
            if (!twice.StartsWith("HTTP/1.1 401 ", StringComparison.Ordinal))
            {
                wrong.Add($"{route.Name} with two keys: {twice}");
            }
        }

        AssertNone(wrong, 0);
        Assert.Equal(before, TenantWorld.RowCounts(server));
    }

    [Fact]
    public async Task Member_OfAWrongType_IsNeverAFault()
    {
        await using var server = await StartAsync();
        var wrong = new List<string>();
        var probes = 0;
        foreach (var route in ApiBodies.Routes(server))
        {
            foreach (var member in await MembersAsync(server, route))
            {
                foreach (var value in WrongValues)
                {
                    probes++;
                    var body = $"{{\"{member}\":{value}{Rest(route, member)}}}";
                    var answer = await SendAsync(server, route, Encoding.UTF8.GetBytes(body));
                    var isDocumented = answer.Status is 200 or 201 or 404 or 409 or 422
                        || (answer.Status == 400 && answer.ErrorCode == "invalid_request"
                            && (answer.ErrorParam is not null || value == "1e400"));
                    if (!isDocumented)
                    {
                        wrong.Add($"{route.Name} {body} answers {answer.Status}: {answer.Text}");
                    }
                }
            }
        }

        AssertNone(wrong, probes);
        Assert.True(probes > 1_000, $"Only {probes} probes.");
        Assert.Empty(server.Database.Read(new Verifier().Check));
    }

    [Fact]
    public async Task Body_WithAByteOrderMark_IsRead()
    {
        await using var server = await StartAsync();
        foreach (var route in ApiBodies.Routes(server))
        {
            var good = Encoding.UTF8.GetBytes(ApiBodies.Of(route, kind => Nobody[kind])!);
            var answer = await SendAsync(server, route, [0xEF, 0xBB, 0xBF, .. good]);
            Assert.True(answer.Status is 200 or 201 or 404, $"{route.Name}: {answer.Text}");
        }
    }

    [Fact]
    public async Task Body_OfARouteThatReadsNone_DoesNotMatter()
    {
        await using var server = await StartAsync();
        var before = TenantWorld.RowCounts(server);
        foreach (var route in ApiRoute.Of(server).Where(route => ApiBodies.NotRead.Contains(route.Name)))
        {
            var answer = await SendAsync(server, route, "\0"u8.ToArray());
            Assert.Equal((route.Name, 404, "not_found"), (route.Name, answer.Status, answer.ErrorCode));
        }

        Assert.Equal(before, TenantWorld.RowCounts(server));
    }

    private static int BodyBytesMax(ApiRoute route) => route.Name switch
    {
        "POST /v1/agents/{id}/documents" or "PUT /v1/documents/{id}" => 32 << 20,
        "POST /v1/chat/completions" or "POST /v1/embeddings" => 20 << 20,
        _ => 1 << 20,
    };

    private static Task<TestServer> StartAsync()
    {
        var model = new ScriptedChatClient().Reply("Hi.", ScriptedChatClient.Usage(1, 1));
        return TestServer.StartAsync(configure: builder =>
        {
            model.AddTo(builder);
            new ScriptedEmbeddings().AddTo(builder);
        });
    }

    private static IEnumerable<(string Name, byte[] Body, bool IsEmpty)> Malformed(string good)
    {
        yield return ("empty", [], true);
        foreach (var text in new[]
        {
            "[]", "null", "true", "1", "\"{}\"", " ", "{", "}", "{]", "{'a':1}", "{\"a\":}", "{\"a\":1,}", "{,}",
                "{\"a\" 1}",
            "// no\n{}", "{}/* no */", "NaN", "{\"a\":NaN}", "{\"a\":01}", "{\"a\":+1}", "{\"a\":.5}", "{\"a\":0x1}",
            "{\"a\":\"\n\"}", good + "x", good + good, good + ",", good + "\0", "\0" + good, "\u00A0" + good,
            "{\"a\":\"\0\"}", "{\"a\":\"\\u0000\"}", "{\"\\u0000\":1}", "{\"a\":\"\\ud800\"}",
                "{\"a\":\"\\udc00\\ud800\"}",
            "{\"\\ud800\":1}", "{\"a\":1,\"a\":2}", "{\"a\":{\"b\":1,\"b\":1}}", "{\"a\":1,\"\\u0061\":2}",
                "{\"a\":\"\\x\"}",
            new string('[', 10_000) + new string(']', 10_000),
            string.Concat(Enumerable.Repeat("{\"a\":", 10_000)) + "1" + new string('}', 10_000),
            new string('{', 100_000), "\uFEFF\uFEFF" + good,
        })
        {
            yield return (text.Length > 60 ? text[..60] : text, Encoding.UTF8.GetBytes(text), text == " ");
        }

        foreach (var bytes in new[]
        {
            new byte[] { 0xFF }, [0xC0, 0xAF], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82], [0x80],
        })
        {
            yield return ($"bytes {Convert.ToHexString(bytes)}", [.. "{\"a\":\""u8, .. bytes, .. "\"}"u8], false);
        }

        yield return ("UTF-16", Encoding.Unicode.GetBytes(good), false);
        yield return ("UTF-16 with its mark", [0xFF, 0xFE, .. Encoding.Unicode.GetBytes(good)], false);
        yield return ("a repeated member",
            Encoding.UTF8.GetBytes($"{{\"zz\":1,\"zz\":1{(good == "{}" ? "" : ",")}{good[1..]}"), false);
    }

    private static async Task<List<string>> MembersAsync(TestServer server, ApiRoute route)
    {
        var names = new List<string>();
        foreach (var name in ApiNames.Members)
        {
            var answer = await SendAsync(server, route,
                Encoding.UTF8.GetBytes($"{{\"{name}\":[[[]]]{Rest(route, name)}}}"));
            if (ApiBodies.Reads(route, name, answer))
            {
                names.Add(name);
            }
        }

        return names;
    }

    /// <summary>The other members of the good body.</summary>
    private static string Rest(ApiRoute route, string without) => string.Concat(
        JsonElement.Parse(ApiBodies.Of(route, kind => Nobody[kind])!).EnumerateObject()
            .Where(member => member.Name != without).Select(member =>
                $",\"{member.Name}\":{member.Value.GetRawText()}"));

    private static string Path(ApiRoute route) => route.Fill(parameter => Nobody[route.KindOf(parameter)!]);

    private static string Head(ApiRoute route, string more) => $"{route.Method} {Path(route)} HTTP/1.1\r\nHost: a\r\n"
        + $"Authorization: Bearer {TestServer.AdminKey}\r\n"
        + $"X-Agent-Id: {Nobody["agent"]}\r\nConnection: close\r\n{more}\r\n";

    private static async Task<TestAnswer> SendAsync(
        TestServer server, ApiRoute route, byte[] body, Action<HttpContent>? change = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(route.Method), Path(route));
        request.Content = new StreamContent(new MemoryStream(body));
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Content.Headers.ContentLength = body.Length;
        request.Headers.Add("X-Agent-Id", Nobody["agent"]);
        change?.Invoke(request.Content);
        request.Headers.TransferEncodingChunked = request.Content.Headers.ContentLength is null ? true : null;
        return await server.Client.SendAsync(request);
    }

    /// <summary>
    /// Reads no further: after a refusal the server waits a while for the body and then resets the connection.
    /// </summary>
    private static async Task<string> HeadOfAnswerAsync(TestServer server, string request)
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        using var client = new TcpClient();
        await client.ConnectAsync(server.Url.Host, server.Url.Port, cancellationToken);
        await client.GetStream().WriteAsync(Encoding.Latin1.GetBytes(request), cancellationToken);
        using var reader = new StreamReader(client.GetStream());
        return await reader.ReadLineAsync(cancellationToken).AsTask()
            .WaitAsync(TestServer.Timeout, cancellationToken) ?? "";
    }

    private static byte[] Gzip(byte[] bytes)
    {
        using var stream = new MemoryStream();
        using (var gzip = new GZipStream(stream, CompressionLevel.Fastest))
        {
            gzip.Write(bytes);
        }

        return stream.ToArray();
    }

    private static async Task ExpectAsync(
        List<string> wrong, string what, Task<TestAnswer> asked, int status, string code)
    {
        var answer = await asked;
        if (answer.Status != status || answer.ErrorCode != code)
        {
            wrong.Add($"{what} answers {answer.Status}: {answer.Text}");
        }
    }

    private static void AssertNone(List<string> wrong, int probes) =>
        Assert.True(wrong.Count == 0, $"{wrong.Count} of {probes}:\n{string.Join('\n', wrong.Take(30))}");
}
