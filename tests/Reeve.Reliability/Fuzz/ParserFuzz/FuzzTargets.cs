using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Reeve.Server;
using Reeve.Server.Accounts;
using Reeve.Server.Agents;
using Reeve.Server.Apis;
using Reeve.Server.Apis.Auteryn;
using Reeve.Server.Apis.Mesh;
using Reeve.Server.Conversations;
using Reeve.Server.Egress;
using Reeve.Server.Http;
using Reeve.Server.Inference;
using Reeve.Server.Inference.Providers;
using Reeve.Server.Inference.Providers.Anthropic;
using Reeve.Server.Inference.Providers.OpenAI;
using Reeve.Server.Receipts;
using Reeve.Server.Receipts.Checkpoints;
using Reeve.Server.Receipts.Keys;
using Reeve.Server.Retrieval;
using Reeve.Server.Retrieval.Parsing;
using Reeve.Server.Runs;
using Reeve.Server.Tools;

namespace Reeve.Reliability.Fuzz.ParserFuzz;

/// <summary>Every parser of the server that reads what strangers send: clients, providers, uploads.</summary>
internal static class FuzzTargets
{
    private const string KeyText = "mesh_live_zR8HzjAck3ZdvdNWA0CvUxPWsyYmk2e52GI52I";
    private const string RunId = "run_06GZGF6TYJRGQV5NARXZR7KFJC";

    private static readonly ReeveOptions Options = new();

    private static readonly string[] Prefixes =
        [Id.Agent, Id.Message, Id.Conversation, Id.Document, Id.Receipt, Id.Account, Id.Run, Id.Key, Id.Event];

    private static readonly Caller Caller = new(
        new Account
        {
            Id = "acct_06EY539WF2JMVJGR4MRBP7BD2C",
            Name = "Fuzz",
            Plan = AccountPlans.Enterprise,
            Status = AccountStatuses.Active,
            IsOperator = true,
            Limits = UsageLimits.None,
            Metadata = JsonElement.Parse("{}"),
            CreatedAt = DateTimeOffset.UnixEpoch,
        },
        new ApiKey
        {
            Id = "key_06EY539WGMFWP6BH2X299NJ97G",
            Name = "Fuzz",
            Kind = ApiKeyKinds.MeshLive,
            Scopes = new HashSet<string> { ApiKeyScopes.Admin },
            LastFour = "I52I",
            Limits = UsageLimits.None,
            CreatedAt = DateTimeOffset.UnixEpoch,
        });

    // The vector of wire-mesh 6.1, signed with the published test key 1 of RFC 8032.
    private const string Receipt =
        "{\"id\":\"rcpt_06GZGF6TYX6QCXR6Z1ERD40298\",\"run_id\":\"run_06GZGF6TYJRGQV5NARXZR7KFJC\","
        + "\"account_id\":\"acct_06EY539WF2JMVJGR4MRBP7BD2C\",\"agent_id\":\"agt_06F7557C5CM18FNXB2V5D4V72R\","
        + "\"agent_version\":3,\"model\":\"mesh/claude-sonnet-4.5\",\"provider\":\"anthropic\",\"tier\":\"auto\","
        + "\"privacy_class\":\"standard\",\"usage\":{\"input_tokens\":1420,\"output_tokens\":24},"
        + "\"cost\":{\"upstream_usd\":0.00462,\"margin_usd\":0.000462,\"total_usd\":0.005082},\"latency_ms\":3318,"
        + "\"input_sha256\":\"7cb504d53c4c77cc853707dc9d6cfc640719e02da63c3bbc72c2fbbc72177df7\","
        + "\"output_sha256\":\"1a188afd12cc2bbf59cfaae15f851e8c24fc06c8a520b33f83f8c30e90492982\","
        + "\"log_head\":\"e7a8505a356f2d5b6bdf999a617844e3157cea7c3806b078a77a1b8476b15557\","
        + "\"issued_at\":\"2026-11-20T09:15:03.530Z\",\"key_id\":\"21fe31dfa154a261\","
        + "\"signature\":\"iPmRAt886Gd8fRY7jpkXmVYwbLvcDkzgfUJLDksTprLCxb7x-LlGskNLsn6q4qIVxG2-PuECHpQEcxHROSSRBA\"}";

    private static readonly ReceiptVerifier Receipts = new(
        Convert.FromHexString("D75A980182B10AB7D54BFED3C964073A0EE172F3DAA62325AF021A68F707511A"));

    // A box to Bob's key of RFC 7748 (6.1).
    private const string Sealed =
        "sealed:Vau9o9OlfYbuHpYmXsKC1Jtapg-Gt11lNv6IW-ecLGg8H2XSe5jY4x_uvN3Kee2r51pfKUCgQlP_bFUcuLTif02SY9GXbf06ZKtg"
        + "yPxUwXw5vUo";

    private static readonly SealedPrompts Prompts = new(
        Convert.FromHexString("5DAB087E624A8A4B79E17F8B83800EE66F3BB1292618B6FD1C2F8B27FF88E0EB"),
        Convert.FromHexString("DE9EDB7D7B7DC1B4D35B61C2ECE435373F8343C85B78674DADFC7E146F882B4F"));

    internal static readonly IReadOnlyList<FuzzTarget> All =
    [
        new("ids and agent references", 222, ReadIds, static _ => false,
            RunId, "agt_06F7557C5CM18FNXB2V5D4V72R@3", "task_06GZGF6TXGHJZ2QJ44FSXS4HRM", "support-desk@3",
            "support-desk"),
        new("keys", 260, ReadKey, static _ => false, KeyText, "afk_widget_zR8HzjAck3ZdvdNWA0CvUxPWsyYmk2e52GI52I"),
        new("cursors and headers", 60, ReadHeaders, IsInvalid,
            "12|starting_after=3|key-1", "9007199254740992||k", "0|starting_after=0|key 2",
            "1|limit=20&from=2026-11-20&after=run_06GZGF6TYJRGQV5NARXZR7KFJC|k"),
        new("run requests (MESH)", 60, static bytes => ReadRun(bytes, isMesh: true), IsInvalid,
            """
            {"agent":"support-desk@3","input":"Hi","conversation_id":null,"stream":true,"user":{"id":"u","name":"n",
             "metadata":{"a":[1,2.5e3,"\u00e9"]}},"metadata":{"k":{"x":null}},"on_busy":"queue","max_credits":1.5}
            """,
            """{"agent":"a","input":"x","output_schema":{"type":"object","properties":{"a":{"$ref":"#"}}}}"""),
        new("run requests (Auteryn)", 30, static bytes => ReadRun(bytes, isMesh: false), IsInvalid,
            """
            {"query":"Hi","task_id":"task_06GZGF6TXGHJZ2QJ44FSXS4HRM","stream":false,
             "context":{"user_id":"u","user_name":"n","metadata":{"a":1}}}
            """),
        new("canonical JSON", 90, ReadCanonical, static error => error is FormatException or JsonException,
            """{"b":[1,1e21,-0.0,1e-7,0.1],"a":{"é":"\u2028\"\\","\ud83d\ude00":null},"":true}""", Receipt),
        new("receipts", 60, ReadReceipt, static _ => false, Receipt),
        new("checkpoints", 15, ReadCheckpoint, static _ => false, Receipt,
            """{"type":"audit.checkpoint","account_id":"acct_1","seq":12,"head":"aa","key_id":"k","signature":"s"}"""),
        new("sealed prompts", 15, ReadSealed, static _ => false, Sealed),
        new("streams (OpenAI)", 60, static bytes => ReadStream(bytes, new OpenAIAnswer()), IsProviderFault,
            """
            data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":null}]}

            data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{}"}}]}}]}

            data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}

            data: {"usage":{"prompt_tokens":40,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":8}}}

            data: [DONE]


            """),
        new("streams (Anthropic)", 50, static bytes => ReadStream(bytes, new AnthropicAnswer(outputIsToolInput: false)),
            IsProviderFault,
            """
            event: message_start
            data: {"type":"message_start","message":{"content":[],"usage":{"input_tokens":40,"output_tokens":1}}}

            data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

            data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}

            data: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"c","name":"f"}}

            data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{}"}}

            data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":20}}

            data: {"type":"message_stop"}


            """),
        .. StreamFuzzTargets.All,
        new("whole answers and usage", 50, ReadWhole, IsProviderFault,
            """
            {"choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],
             "usage":{"prompt_tokens":40,"completion_tokens":20,"completion_tokens_details":{"reasoning_tokens":3}}}
            """,
            """
            {"type":"message","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn",
             "usage":{"input_tokens":40,"output_tokens":20,"cache_read_input_tokens":8,"cache_creation_input_tokens":0}}
            """),
        new("model outputs", 8, ReadOutput, static _ => false,
            """{"a":"\ud83d\ude00","é":["x",1.5,null],"b":{"c":true}}""", """["a","a",1]"""),
        new("output schemas", 12, ReadSchema, static error => IsInvalid(error) || error is JsonSchemaException,
            """
            {"type":"object","properties":{"a":{"type":["string","null"],"pattern":"^(a+)+$","maxLength":3}},
             "required":["a"],"$defs":{"b":{"anyOf":[{"const":1},{"type":"object"}]}},"allOf":[{"$ref":"#/$defs/b"}]}
            """,
            """{"type":"array","items":{"enum":[1,2.0,"x"]},"uniqueItems":true,"minItems":1,"multipleOf":0.1}"""),
        new("uploads", 4, ReadUpload, IsInvalid,
            "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nA line.\r\n--b\r\n"
            + "Content-Disposition: form-data; name=\"metadata\"\r\n\r\n{\"a\":1}\r\n--b--\r\n"),
        new("documents", 4, ReadDocument, static error => IsInvalid(error) || error is ParseDeadlineException,
            "# A\n\n* b **c** [d](e)\n\n| a | b |\n|-|-|\n| 1 | 2 |\n\n```\ncode\n```\n> q\n",
            "# A\n\n|a|b|\n|-|-|\n|1|2|3|4|5|6|7|8|9|1|2|3|4|5|6|7|8|9|1|2|3|4|5|6|7|8|9|1|2|\n|a|\n|b|\n|c|\n",
            "<!doctype html><html><body><h1>A</h1><p>b<table><tr><td>c</table><script>x</script></body></html>",
            "Plain text.\n\nWith a paragraph, 東京 and 😀.\n"),
    ];

    private static bool IsInvalid(Exception error) =>
        error is ApiException { Code.Status: 400 or 404 or 413 };

    internal static bool IsProviderFault(Exception error) => error is ProviderException;

    private static void ReadIds(ReadOnlyMemory<byte> bytes)
    {
        var text = Encoding.UTF8.GetString(bytes.Span);
        foreach (var prefix in Prefixes)
        {
            if (Id.TryParse(prefix, text, out var id)
                && (!Id.TryParse(prefix, id, out var again) || again != id || Id.Milliseconds(id) < 0))
            {
                throw new FuzzException($"{text} was read as {id}, which is not read as itself");
            }
        }

        _ = ConversationId.Parse(text);
        _ = AgentReference.TryParse(text, out _);
    }

    /// <summary>A checksum of 32 bits lets no change of a few characters through.</summary>
    private static void ReadKey(ReadOnlyMemory<byte> bytes)
    {
        var text = Encoding.UTF8.GetString(bytes.Span);
        if (ApiKeyText.KindOf(text) is not null && text != KeyText)
        {
            throw new FuzzException($"{text} passes for a key");
        }
    }

    private static void ReadHeaders(ReadOnlyMemory<byte> bytes)
    {
        var parts = Encoding.UTF8.GetString(bytes.Span).Split('|', 3);
        var context = new DefaultHttpContext();
        context.Request.Headers["Last-Event-ID"] = parts[0];
        context.Request.QueryString = new QueryString(parts.Length > 1 && parts[1].Length > 0 ? $"?{parts[1]}" : "");
        context.Request.Headers["Idempotency-Key"] = parts[^1];
        var isList = parts.Length > 1 && parts[1].Contains("limit", StringComparison.Ordinal);
        if (!isList && StreamCursor.Read(context) is < 0 or > StreamCursor.Max)
        {
            throw new FuzzException("the cursor is out of its range");
        }

        if (IdempotencyKey.Read(context) is not { Value.Length: >= 1 and <= 255 })
        {
            throw new FuzzException("a key of another length was taken");
        }

        var query = new RequestQuery(context, "limit", "after", "starting_after", "from");
        _ = (PageQuery.Read(query, Id.Run), query.Time("from"), query.Text("after"));
    }

    private static void ReadRun(ReadOnlyMemory<byte> bytes, bool isMesh)
    {
        var context = Context(bytes);
        context.Request.Headers["Idempotency-Key"] = "key-1"; // Makes the body canonical too.
        context.Request.Headers["X-Agent-Id"] = "agt_06F7557C5CM18FNXB2V5D4V72R";
        if (isMesh)
        {
            _ = Wait(MeshRunRequest.ReadAsync(context, Options, null));
        }
        else
        {
            _ = Wait(AuterynRequest.ReadAsync(context, Options));
        }
    }

    private static void ReadCanonical(ReadOnlyMemory<byte> bytes)
    {
        using var document = JsonDocument.Parse(bytes, new JsonDocumentOptions { MaxDepth = RequestBody.DepthMax });
        var once = CanonicalJson.Serialize(document.RootElement);
        using var again = JsonDocument.Parse(once);
        if (!CanonicalJson.Serialize(again.RootElement).AsSpan().SequenceEqual(once))
        {
            throw new FuzzException("the canonical form is not that of itself");
        }
    }

    private static void ReadReceipt(ReadOnlyMemory<byte> bytes)
    {
        if (Receipts.Verify(bytes).IsValid && !Tamper.ReceiptTampers.SayTheSame(bytes, Encoding.UTF8.GetBytes(Receipt)))
        {
            throw new FuzzException("a changed receipt passes");
        }
    }

    private static void ReadCheckpoint(ReadOnlyMemory<byte> bytes)
    {
        if (Checkpoint.Read(Encoding.UTF8.GetString(bytes.Span)) is { } checkpoint
            && checkpoint.Problem(Receipts) is null)
        {
            throw new FuzzException("a checkpoint passes that nobody signed");
        }
    }

    private static void ReadSealed(ReadOnlyMemory<byte> bytes)
    {
        // Other spellings of the same base64url may open; what they hold is authenticated.
        if (Prompts.Open(Encoding.UTF8.GetString(bytes.Span)) is not (null or "What does the privacy spec promise?"))
        {
            throw new FuzzException("a changed box opens");
        }
    }

    private static void ReadStream(ReadOnlyMemory<byte> bytes, ProviderAnswer answer) =>
        StreamFuzzTargets.Read(bytes, answer, static read => new SseReader(read));

    private static void ReadWhole(ReadOnlyMemory<byte> bytes)
    {
        ProviderAnswer answer = bytes.Span.IndexOf("choices"u8) >= 0
            ? new OpenAIAnswer()
            : new AnthropicAnswer(outputIsToolInput: true);
        answer.Read("fuzz", bytes.Span);
        StreamFuzzTargets.End(answer);
    }

    private static void ReadSchema(ReadOnlyMemory<byte> bytes)
    {
        using var document = RequestBody.Parse(bytes); // As every schema comes in.
        var schema = JsonSchema.Parse(document.RootElement);
        _ = schema.Validate(document.RootElement);
        _ = schema.Validate(JsonElement.Parse("""{"a":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"}"""));
    }

    private static readonly JsonSchema OutputSchema = JsonSchema.Parse(JsonElement.Parse(
        """
        {"type":["object","array"],"propertyNames":{"minLength":1,"pattern":"^[a-z]"},"uniqueItems":true,
         "properties":{"a":{"type":"string","maxLength":3,"enum":["x","y"]},"b":{"minProperties":1}},
         "additionalProperties":{"items":{"type":["string","number"],"minimum":0}}}
        """));

    /// <summary>Also with half a surrogate pair, which pieces of a stream can leave.</summary>
    private static void ReadOutput(ReadOnlyMemory<byte> bytes) => _ = OutputCheck.Complain(
        OutputSchema, Encoding.UTF8.GetString(bytes.Span).Replace('é', '\ud800'));

    private static void ReadUpload(ReadOnlyMemory<byte> bytes)
    {
        var context = Context(bytes);
        context.Request.ContentType = "multipart/form-data; boundary=b";
        _ = Wait(DocumentUpload.ReadAsync(context, 1 << 20, new EgressOptions()));
    }

    private static void ReadDocument(ReadOnlyMemory<byte> bytes)
    {
        var (type, text) = TextFormat.ReadFile(bytes.Span, "a");
        if (text is null && type is not (FileTypes.Json or FileTypes.Csv))
        {
            return; // Libraries read the others, in a process that they may take down.
        }

        var extracted = text is null ? ReadFile(type, bytes) : TextFormat.Extract(type, text);
        _ = Chunker.Split(extracted);
        foreach (var block in extracted.Blocks)
        {
            if (block.Start < 0 || block.End < block.Start || block.End > extracted.Text.Length)
            {
                throw new FuzzException("a block lies outside of its text");
            }
        }
    }

    private static ExtractedText ReadFile(string type, ReadOnlyMemory<byte> bytes)
    {
        try
        {
            return FileReaders.Read(type, bytes.ToArray(), static _ => { });
        }
        catch (ParseException error) when (error.Message.EndsWith('.'))
        {
            return new ExtractedText("", []);
        }
    }

    private static DefaultHttpContext Context(ReadOnlyMemory<byte> bytes)
    {
        var context = new DefaultHttpContext();
        context.Features.Set(Caller);
        context.Request.Body = new MemoryStream(bytes.ToArray(), writable: false);
        context.Request.ContentLength = bytes.Length;
        return context;
    }

    /// <summary>Everything is in memory, so nothing is ever waited for.</summary>
    private static T Wait<T>(Task<T> task) => task.GetAwaiter().GetResult();

    internal static T Wait<T>(ValueTask<T> task) => task.IsCompleted
        ? task.GetAwaiter().GetResult()
        : throw new FuzzException("it waits for something");
}
