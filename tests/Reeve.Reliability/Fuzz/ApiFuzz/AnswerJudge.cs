using System.Text;
using System.Text.Json;
using Reeve.Reliability.Load;

namespace Reeve.Reliability.Fuzz.ApiFuzz;

/// <summary>Holds an answer against the document, and against what was known of it beforehand.</summary>
internal sealed class AnswerJudge(ApiSpec spec, SchemaCheck check)
{
    /// <summary>Headers of every answer or of every stream, which the document does not repeat.</summary>
    private static readonly HashSet<string> Everywhere = new(StringComparer.OrdinalIgnoreCase)
    {
        "Date", "Content-Type", "Content-Length", "Transfer-Encoding", "Cache-Control", "X-Accel-Buffering",
        "RateLimit", "RateLimit-Policy", "Allow", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset",
        "Connection",
    };

    /// <summary>What may be refused though it fits the document: rules that no schema says.</summary>
    private static readonly HashSet<string> Beyond = new(StringComparer.Ordinal)
    {
        "createApiKey agent_id", "createApiKey allowed_origins", "createApiKey expires_at",
        "adjustCredits amount_usd", "getUsage from", "getUsage to", "listRuns created_after",
        "listRuns created_before", "auterynListMessages before", "addDocument text",
        "addDocument url", "replaceDocument url",
        "createChatCompletion model", "createChatCompletion metadata", "createChatCompletion privacy",
        "createChatCompletion tool_choice", "createEmbedding model", "createEmbedding dimensions",
        "createAgent model", "updateAgent model", "createWebhook url", "changeWebhook url",
    };

    internal IEnumerable<string> Judge(ApiRequest request, RawAnswer answer)
    {
        if (answer.Header("x-request-id") is null)
        {
            yield return "it has no x-request-id";
        }

        if (answer.Status >= 500)
        {
            yield return answer.Status == 503 && answer.HasRetryAfter ? "it is unavailable under no load" : "a fault";
        }

        if (request.Expected is { } expected && !expected.Contains(answer.Status))
        {
            yield return $"expected {string.Join(" or ", expected)}";
        }

        if (answer.Status == 405)
        {
            foreach (var problem in JudgeMethod(request, answer))
            {
                yield return problem;
            }

            yield break;
        }

        if (answer.Status == 401 && answer.Header("WWW-Authenticate") != "Bearer")
        {
            yield return "a 401 without WWW-Authenticate";
        }

        if (answer.Status == 400 && request.Fault is null && !IsBeyond(request, answer))
        {
            yield return "it fits the document and is refused";
        }

        foreach (var problem in JudgeAnswer(request.Operation, answer))
        {
            yield return problem;
        }
    }

    private IEnumerable<string> JudgeMethod(ApiRequest request, RawAnswer answer)
    {
        var right = spec.Operations.Where(one => one.Path == request.Operation.Path).Select(static one => one.Method);
        if (answer.Header("Allow") is not { } allow || right.Except(allow.Split(", ")).Any())
        {
            yield return "Allow does not name the methods of the document";
        }

        var dialect = request.Operation.IsAuteryn ? "AuterynError" : "Error";
        foreach (var error in JudgeBody(JsonElement.Parse(
            $$"""{"$ref":"#/components/schemas/{{dialect}}"}"""), answer))
        {
            yield return error;
        }
    }

    private IEnumerable<string> JudgeAnswer(ApiOperation operation, RawAnswer answer)
    {
        if (!operation.Answers.TryGetValue(answer.Status, out var described))
        {
            yield return "the document does not say that it answers so";
            yield break;
        }

        var headers = described.TryGetProperty("headers", out var all)
            ? all.EnumerateObject().Select(static one => one.Name).ToList()
            : [];
        foreach (var line in answer.Head.Split("\r\n", StringSplitOptions.RemoveEmptyEntries).Skip(1))
        {
            var name = line[..line.IndexOf(':', StringComparison.Ordinal)];
            if (!Everywhere.Contains(name) && !headers.Contains(name, StringComparer.OrdinalIgnoreCase))
            {
                yield return $"the document does not describe its header {name}";
            }
        }

        if (answer.Body.Length == 0)
        {
            if (described.TryGetProperty("content", out _))
            {
                yield return "it has no body";
            }

            yield break;
        }

        var type = answer.Header("Content-Type")?.Split(';')[0] ?? "nothing";
        if (!described.TryGetProperty("content", out var content) || !content.TryGetProperty(type, out var one))
        {
            yield return $"the document does not say that it answers {type}";
            yield break;
        }

        var problems = type switch
        {
            "application/json" => JudgeBody(one.GetProperty("schema"), answer),
            "text/event-stream" => JudgeStream(one.GetProperty("x-event-schema"), answer),
            _ => [],
        };
        foreach (var problem in problems)
        {
            yield return problem;
        }
    }

    private IEnumerable<string> JudgeBody(JsonElement schema, RawAnswer answer)
    {
        JsonElement body;
        try
        {
            body = JsonElement.Parse(answer.Body);
        }
        catch (JsonException error)
        {
            return [$"its body is not JSON: {error.Message}"];
        }

        return check.Errors(schema, body).Take(3);
    }

    private IEnumerable<string> JudgeStream(JsonElement schema, RawAnswer answer)
    {
        var text = answer.Text;
        if (!text.EndsWith("\n\n", StringComparison.Ordinal))
        {
            yield return "the stream ends inside of a frame";
            yield break;
        }

        foreach (var frame in text.Replace(": ping\n\n", "", StringComparison.Ordinal)
            .Split("\n\n", StringSplitOptions.RemoveEmptyEntries))
        {
            var shown = new StringBuilder();
            foreach (var line in frame.Split('\n').Select(static line => line.Split(": ", 2)))
            {
                shown.Append(shown.Length == 0 ? "{" : ",").Append($"\"{line[0]}\":")
                    .Append(line[0] == "event" || line[1] == "[DONE]" ? $"\"{line[1]}\"" : line[1]);
            }

            foreach (var error in check.Errors(schema, JsonElement.Parse(shown.Append('}').ToString())).Take(2))
            {
                yield return $"{error} in {frame}";
            }
        }
    }

    private static bool IsBeyond(ApiRequest request, RawAnswer answer)
    {
        var error = JsonElement.Parse(answer.Body).GetProperty("error");
        var param = error.GetProperty("param").GetString() ?? "";
        return param == "after" // The cursor of a list, whose form the document leaves open.
            || error.GetProperty("message").GetString()!.EndsWith(" decimals.", StringComparison.Ordinal)
            || Beyond.Contains($"{request.Operation.Id} {param.Split('[', '.')[0]}");
    }
}
