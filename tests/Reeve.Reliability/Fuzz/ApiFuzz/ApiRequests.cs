using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using CsCheck;
using Reeve.Server;

namespace Reeve.Reliability.Fuzz.ApiFuzz;

/// <summary>Makes requests from the document: good ones, and good ones with one thing wrong.</summary>
internal sealed class ApiRequests(ApiSpec spec, SchemaCheck check, ApiWorld world)
{
    /// <summary>Members that the server alone decides, and some that nobody knows.</summary>
    internal static readonly string[] ServerOwned =
    [
        "account_id", "credits", "role", "id", "is_operator", "isAdmin", "balanceUsd", "balance_credits", "created_at",
        "updated_at", "version", "receipt_id", "run_id", "owner", "constructor", "__proto__", "$ref", "key", "hash",
        "credits_used", "revoked_at", "last_four", "held_usd", "INPUT", "Name ",
    ];

    /// <summary>Operations whose id, once deleted, is gone; a revoked key stays in its list.</summary>
    private static readonly string[] Deletes = ["deleteAgent", "deleteConversation", "deleteDocument", "deleteWebhook"];

    private static readonly string[] Methods =
        ["GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "QUERY", "X"];

    private static readonly string[] BadPaths =
    [
        "x", "%2e%2e", "..;", "../../etc/passwd", "' OR 1=1 --", "null", "0", "-1", "agt_",
        "run_06F7557C5CM18FNXB2V5D4V72S", "agt_06F7557C5CM18FNXB2V5D4V72R@0",
        "agt_06F7557C5CM18FNXB2V5D4V72R@99999999999",
        "@1", "é東😀", " ", "*", "%", "?",
        "acct_06F7557C5CM18FNXB2V5D4V72", "run_ilou7557C5CM18FNXB2V5D4V72", "\u200b", "a/b", "\t", "{id}", "__proto__",
    ];

    private readonly Dictionary<(ApiIds, string), Gen<JsonNode?>> _bodies = [];
    private readonly Dictionary<ApiIds, ApiValues> _values = [];

    internal ApiRequest Make(PCG pcg)
    {
        var operation = Any(pcg, spec.Operations);
        var caller = pcg.Next(10) < 8 ? world.Callers[(int)pcg.Next(2)] : Any(pcg, world.Callers);
        caller.Ids.Turn(pcg);
        var request = Good(pcg, operation, caller);
        var kind = pcg.Next(100);
        var hasBody = operation.BodySchema is not null && request.ContentType == "application/json";
        if (kind < 22 && hasBody)
        {
            BadMember(pcg, request);
        }
        else if (kind < 34 && hasBody)
        {
            BadText(pcg, request);
        }
        else if (kind is >= 34 and < 40)
        {
            BadQuery(pcg, request);
        }
        else if (kind is >= 40 and < 45 && operation.In("path").Any())
        {
            BadPath(pcg, request);
        }
        else if (kind is >= 45 and < 50)
        {
            BadHeader(pcg, request);
        }
        else if (kind is >= 50 and < 53)
        {
            BadMethod(pcg, request);
        }
        else if (kind is >= 53 and < 58)
        {
            BadKey(pcg, request);
        }
        else if (kind is >= 58 and < 62)
        {
            UseAfterDelete(pcg, request);
        }

        Gate(request);
        return request;
    }

    /// <summary>A request that the document allows, of things that the caller owns where it knows any.</summary>
    internal ApiRequest Good(PCG pcg, ApiOperation operation, ApiCaller caller)
    {
        var request = new ApiRequest(operation, caller);
        foreach (var parameter in operation.In("path"))
        {
            request.PathValues[parameter.Name] = PathValue(pcg, operation, parameter.Name, caller);
        }

        foreach (var parameter in operation.Parameters.Where(one => one.In != "path"))
        {
            if (!parameter.IsRequired && pcg.Next(4) > 0)
            {
                continue;
            }

            var (value, isQuery) = (ParameterValue(pcg, operation, parameter, caller), parameter.In == "query");
            (isQuery ? request.Query : request.Headers).Add((parameter.Name, value));
        }

        if (operation.FormSchema is not null && pcg.Next(4) == 0)
        {
            Form(pcg, request);
        }
        else if (operation.BodySchema is not null && (operation.BodyIsRequired || pcg.Next(2) == 0))
        {
            Put(request, Body(operation, caller.Ids).Generate(pcg, null, out _)!);
        }

        if (Deletes.Contains(operation.Id))
        {
            request.Target = request.PathValues["id"];
        }

        return request;
    }

    /// <summary>Kind of the thing that a part of the path names, by the literal before it.</summary>
    internal static string? KindOf(string path, string parameter) =>
        path[..path.IndexOf($"/{{{parameter}}}", StringComparison.Ordinal)].Split('/')[^1] switch
        {
            "accounts" => Id.Account,
            "agents" => Id.Agent,
            "api-keys" => Id.Key,
            "conversations" or "tasks" => Id.Conversation,
            "documents" => Id.Document,
            "receipts" => Id.Receipt,
            "runs" => Id.Run,
            "webhooks" => Id.Webhook,
            "versions" or "models" or "config" => "",
            _ => null,
        };

    private static string PathValue(PCG pcg, ApiOperation operation, string parameter, ApiCaller caller)
    {
        var kind = KindOf(operation.Path, parameter)
            ?? throw new InvalidOperationException($"Say what {{{parameter}}} of {operation.Name} names.");
        if (kind.Length == 0)
        {
            return operation.Path.Contains("/models/", StringComparison.Ordinal) ? "mesh/house-1"
                : parameter == "provider" ? pcg.Next(2) == 0 ? "house" : "none"
                : pcg.Next(3) == 0 ? "2" : "1";
        }

        // The operator could shut itself out; what it does to others only hits accounts made here.
        return kind == Id.Account && (!caller.IsOperator || (operation.Method == "GET" && pcg.Next(2) == 0))
            ? caller.AccountId
            : caller.Ids.Pick(pcg, kind);
    }

    private string ParameterValue(PCG pcg, ApiOperation operation, ApiParameter parameter, ApiCaller caller) =>
        parameter.Name switch
        {
            "X-Agent-Id" => caller.Ids.Pick(pcg, Id.Agent),
            "If-Match" => pcg.Next(2) == 0 ? "\"1\"" : "\"2\"",
            "Idempotency-Key" => $"key-{pcg.Next(400)}",
            "accountId" => caller.AccountId,
            "after" when operation.Id == "listAgentVersions" => "2",
            "after" => caller.Ids.Pick(pcg, CursorKind(operation)),
            "before" => caller.Ids.Pick(pcg, Id.Message),
            _ => Header(ApiValues.Plain(
                Values(caller.Ids).Of(parameter.Schema, parameter.Name).Generate(pcg, null, out _))),
        };

    private static string Header(string text) => text.ReplaceLineEndings(" ");

    /// <summary>What the pages of a list are cut at.</summary>
    private static string CursorKind(ApiOperation operation) => operation.Id switch
    {
        "listAccounts" => Id.Account,
        "listAgents" => Id.Agent,
        "listApiKeys" => Id.Key,
        "listChunks" => Id.Chunk,
        "listConversations" => Id.Conversation,
        "listDocuments" => Id.Document,
        "listLedger" => Id.Event,
        "listMessages" => Id.Message,
        "listLogs" => Id.Request,
        "listRuns" => Id.Run,
        "listWebhookDeliveries" => Id.Event,
        "listWebhooks" => Id.Webhook,
        _ => Id.Run,
    };

    private Gen<JsonNode?> Body(ApiOperation operation, ApiIds ids)
    {
        if (!_bodies.TryGetValue((ids, operation.Id), out var body))
        {
            _bodies[(ids, operation.Id)] = body = Values(ids).Of(operation.BodySchema!.Value, "");
        }

        return body;
    }

    private ApiValues Values(ApiIds ids)
    {
        if (!_values.TryGetValue(ids, out var values))
        {
            _values[ids] = values = new ApiValues(spec, ids);
        }

        return values;
    }

    private static void Put(ApiRequest request, JsonNode body) =>
        request.Body = Encoding.UTF8.GetBytes(body.ToJsonString());

    private void Form(PCG pcg, ApiRequest request)
    {
        const string Boundary = "reeve-fuzz-7f3a";
        request.ContentType = $"multipart/form-data; boundary={Boundary}";
        var values = Values(request.Caller.Ids);
        var text = new StringBuilder();
        foreach (var property in spec.Resolve(request.Operation.FormSchema!.Value).GetProperty("properties")
            .EnumerateObject().Where(property => property.Name == "file" || pcg.Next(3) == 0))
        {
            var value = property.Name switch
            {
                "file" => $"A line about {pcg.Next(100_000)}.\n",
                "metadata" => "{\"a\":1}",
                _ => ApiValues.Plain(values.Of(property.Value, property.Name).Generate(pcg, null, out _)),
            };
            if (value != "null")
            {
                text.Append($"--{Boundary}\r\nContent-Disposition: form-data; name=\"{property.Name}\"")
                    .Append(property.Name == "file" ? "; filename=\"a.txt\"\r\n\r\n" : "\r\n\r\n")
                    .Append(value).Append("\r\n");
            }
        }

        request.Body = Encoding.UTF8.GetBytes(text.Append($"--{Boundary}--\r\n").ToString());
    }

    /// <summary>Changes members so that the body need not fit; whether it does is for the check to say.</summary>
    private void BadMember(PCG pcg, ApiRequest request)
    {
        var schema = spec.Resolve(request.Operation.BodySchema!.Value);
        var body = JsonNode.Parse(request.Body ?? "{}"u8.ToArray())!.AsObject();
        var form = spec.FirstForm(schema);
        var names = form.TryGetProperty("properties", out var known)
            ? known.EnumerateObject().Select(static one => one.Name).ToList()
            : [];
        switch (pcg.Next(4))
        {
            case 0 when body.Count > 0:
                body.Remove(Any(pcg, body.Select(static one => one.Key).ToList()));
                break;
            case 1 when names.Count > 0:
                var name = Any(pcg, names);
                body[name] = ApiValues.Anything.Generate(pcg, null, out _)?.DeepClone();
                break;
            case 2 when names.Count > 0:
                Bound(pcg, form, body, Any(pcg, names));
                break;
            default:
                var inner = body.Select(static one => one.Value).OfType<JsonObject>().ToList();
                var place = inner.Count > 0 && pcg.Next(3) == 0 ? Any(pcg, inner) : body;
                place[Any(pcg, ServerOwned)] = ApiValues.Anything.Generate(pcg, null, out _)?.DeepClone();
                break;
        }

        Put(request, body);
        var errors = check.Errors(schema, JsonElement.Parse(request.Body), isStrict: false);
        if (errors.Count > 0)
        {
            request.Fault = errors[0];
            request.Expected = [400];
        }
    }

    /// <summary>One step over a bound of the schema.</summary>
    private void Bound(PCG pcg, JsonElement schema, JsonObject body, string name)
    {
        var member = spec.Resolve(schema.GetProperty("properties").GetProperty(name));
        var bounds = new List<JsonNode>();
        if (member.TryGetProperty("maxLength", out var longest) && longest.GetInt32() < 40_000)
        {
            bounds.Add(ApiValues.Exactly(longest.GetInt32() + 1, "é"));
        }

        if (member.TryGetProperty("minLength", out _))
        {
            bounds.Add("");
        }

        if (member.TryGetProperty("maximum", out var most))
        {
            bounds.Add(most.GetDecimal() + 1);
        }

        if (member.TryGetProperty("minimum", out var least))
        {
            bounds.Add(least.GetDecimal() - 1);
        }

        if (member.TryGetProperty("maxItems", out var many))
        {
            bounds.Add(new JsonArray([.. Enumerable.Range(0, many.GetInt32() + 1).Select(static _ => (JsonNode)"x")]));
        }

        if (member.TryGetProperty("maxProperties", out var keys))
        {
            bounds.Add(new JsonObject(Enumerable.Range(0, keys.GetInt32() + 1)
                .Select(static index => KeyValuePair.Create($"k{index}", (JsonNode?)index))));
        }

        body[name] = bounds.Count > 0 ? Any(pcg, bounds) : new JsonArray();
    }

    /// <summary>Bytes that are no body at all.</summary>
    private static void BadText(PCG pcg, ApiRequest request)
    {
        var good = Encoding.UTF8.GetString(request.Body is { Length: > 2 } body ? body : "{\"a\":\"b\"}"u8.ToArray());
        (request.Fault, request.Body) = Malformed(pcg, good, good[1..]);
        request.Expected = [400];
        if (pcg.Next(4) == 0)
        {
            request.ContentType = Any(pcg, ["text/plain", "application/xml", "", "x"]);
        }
    }

    private static (string Fault, byte[] Body) Malformed(PCG pcg, string good, string rest) => pcg.Next(18) switch
    {
        0 => ("cut off", Bytes(good[..(int)pcg.Next((uint)good.Length - 1)] + " ")),
        1 => ("something behind it", Bytes(good + "{}")),
        2 => ("a member twice", Bytes("{\"twice\":1,\"twice\":2," + rest)),
        3 => ("a member twice, one escaped", Bytes("{\"input\":1,\"\\u0069nput\":2," + rest)),
        4 => ("nested too deep", Bytes($"{{\"metadata\":{new string('[', 65)}{new string(']', 65)},{rest}")),
        5 => ("invalid UTF-8", [.. "{\"a\":\""u8, 0xC3, 0x28, .. "\","u8, .. Bytes(rest)]),
        6 => ("overlong UTF-8", [.. "{\"a\":\""u8, 0xC0, 0xAF, .. "\","u8, .. Bytes(rest)]),
        7 => ("a surrogate in UTF-8", [.. "{\"a\":\""u8, 0xED, 0xA0, 0x80, .. "\","u8, .. Bytes(rest)]),
        8 => ("half a surrogate pair", Bytes("{\"a\":\"\\ud800\"," + rest)),
        9 => ("U+0000", Bytes("{\"a\":\"\\u0000\"," + rest)),
        10 => ("not an object", Bytes($"[{good}]")),
        11 => ("a word", Bytes("null")),
        12 => ("a comment", Bytes("{/**/" + rest)),
        13 => ("a trailing comma", Bytes(good[..^1] + ",}")),
        14 => ("NaN", Bytes("{\"max_credits\":NaN," + rest)),
        15 => ("single quotes", Bytes(good.Replace('"', '\''))),
        16 => ("UTF-16", Encoding.Unicode.GetBytes(good)),
        _ => ("only white space", Bytes(" \n")),
    };

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);

    private void BadQuery(PCG pcg, ApiRequest request)
    {
        // What reads no query does not look at one.
        var known = request.Operation.In("query").ToList();
        if (known.Count == 0)
        {
            return;
        }

        request.Expected = [400];
        if (pcg.Next(3) == 0)
        {
            request.Query.Add((Any(pcg, ["unknown", "LIMIT", "account_id", "limit ", "key", "api_key", "é"]), "1"));
            request.Fault = "an unknown query name";
        }
        else if (pcg.Next(2) == 0)
        {
            var name = Any(pcg, known).Name;
            var value = request.Query.FirstOrDefault(one => one.Name == name).Value ?? "1";
            request.Query.RemoveAll(one => one.Name == name);
            request.Query.AddRange([(name, value), (name, value)]);
            request.Fault = "a query name twice";
        }
        else
        {
            var parameter = Any(pcg, known);
            var value = Any(pcg, ["", "0", "-1", "101", "1.5", "+5", "1e2", "0x10", "abc", "null", "2147483648",
                "9007199254740993", "true", "TRUE", "' OR 1=1 --", "é東", "2026-13-01", "../x", "99999999999999999999"]);
            request.Query.RemoveAll(one => one.Name == parameter.Name);
            request.Query.Add((parameter.Name, value));
            var fits = check.Errors(parameter.Schema, AsJson(parameter, value)).Count == 0;
            request.Fault = fits ? null : $"{parameter.Name} does not fit";
            request.Expected = fits ? null : request.Expected;
        }
    }

    /// <summary>A parameter is text; where its schema says a number it has to be one in plain digits.</summary>
    private static JsonElement AsJson(ApiParameter parameter, string value) =>
        SchemaCheck.Types(parameter.Schema).Contains("integer") && value.Length is > 0 and < 19
            && value.All(char.IsAsciiDigit)
            ? JsonElement.Parse(value.TrimStart('0') is { Length: > 0 } digits ? digits : "0")
            : JsonElement.Parse($"\"{JsonEncodedText.Encode(value)}\"");

    private static void BadPath(PCG pcg, ApiRequest request)
    {
        var name = Any(pcg, request.PathValues.Keys.ToList());
        request.PathValues[name] = pcg.Next(6) == 0
            ? new string('A', 2_000)
            : Any(pcg, BadPaths);
        request.Fault = $"{name} names nothing";
        request.Expected = [404, 400];
        request.Target = null;
    }

    private static void BadHeader(PCG pcg, ApiRequest request)
    {
        var known = request.Operation.In("header").Select(static one => one.Name).Where(static one => one != "If-Match")
            .ToList();
        if (known.Count == 0)
        {
            if (request.Body is not null)
            {
                request.Headers.Add(("Content-Encoding", Any(pcg, ["gzip", "br", "deflate", "x"])));
                request.Fault = "a compressed body";
                request.Expected = [400];
            }

            return;
        }

        var name = Any(pcg, known);
        request.Headers.RemoveAll(one => one.Name == name);
        var value = name switch
        {
            "Last-Event-ID" => Any(
                pcg, ["-1", "1.5", "x", "", "9007199254740993", "99999999999999999999", "0x1", "1,2"]),
            "Idempotency-Key" => Any(pcg, ["", new string('k', 256), "é", "a\tb", "東"]),
            _ => Any(pcg, ["", "x y", "agt_", new string('a', 300), "agent_06F7557C5CM18FNXB2V5D4V72S", "@"]),
        };
        request.Headers.Add((name, value));
        request.Fault = $"{name} is wrong";
        request.Expected = name == "X-Agent-Id" ? [400, 404] : [400];
        if (name == "Last-Event-ID")
        {
            request.Query.Clear(); // The query's place wins over the header's.
        }
    }

    private void BadMethod(PCG pcg, ApiRequest request)
    {
        request.Method = Any(pcg, Methods.Except(spec.MethodsAt(request.Operation.Path)).ToList());
        request.Fault = "a method that is not known there";
        request.Expected = [405];
        request.Target = null;
    }

    private void BadKey(PCG pcg, ApiRequest request)
    {
        var (name, authorization) = Any(pcg, world.Refused);
        request.Authorizations.Clear();
        if (authorization is not null)
        {
            request.Authorizations.Add(authorization);
        }
        else if (pcg.Next(2) == 0)
        {
            // Other places are not looked at, and two keys are none.
            request.Headers.Add((Any(pcg, ["x-api-key", "Cookie", "Proxy-Authorization"]), request.Caller.Key));
        }
        else
        {
            request.Authorizations.AddRange([$"Bearer {request.Caller.Key}", $"Bearer {request.Caller.Key}"]);
            name = "two keys";
        }

        request.Fault = name;
        request.Expected = request.Operation.IsPublic ? null : [401];
        request.Target = null;
    }

    private static void UseAfterDelete(PCG pcg, ApiRequest request)
    {
        var parameter = request.PathValues.Keys.FirstOrDefault();
        if (parameter is null || KindOf(request.Operation.Path, parameter) is not { Length: > 0 } kind
            || request.Caller.Ids.PickDead(pcg, kind) is not { } dead)
        {
            return;
        }

        request.PathValues[parameter] = dead;
        request.Fault = "what it names was deleted";
        request.Expected = [404];
        request.Target = null;
    }

    /// <summary>The door looks at method, key and scope before anything else.</summary>
    private static void Gate(ApiRequest request)
    {
        var (operation, caller) = (request.Operation, request.Caller);
        if (request.Expected is [401] or [405] || operation.IsPublic)
        {
            return;
        }

        if (!caller.May(operation))
        {
            (request.Fault, request.Expected, request.Target) = ($"the key lacks the scope", [403], null);
        }
        else if (request.Expected is { } expected && (!caller.IsOperator || caller.IsTest)
            && operation.Path.Split('/')[2] is "accounts" or "providers")
        {
            request.Expected = [.. expected, 403]; // The first account's alone.
        }
    }

    private static T Any<T>(PCG pcg, IReadOnlyList<T> from) => from[(int)pcg.Next((uint)from.Count)];
}
