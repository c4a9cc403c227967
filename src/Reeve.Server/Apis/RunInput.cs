using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Reeve.Server.Conversations;
using Reeve.Server.Http;
using Reeve.Server.Receipts;
using Reeve.Server.Runs;

namespace Reeve.Server.Apis;

/// <summary>What the requests of all dialects have in common, under their own names.</summary>
internal static class RunInput
{
    internal const int CharactersMax = 8_000;

    internal static string Read(RequestObject body, string name)
    {
        var input = body.RequiredString(name, 1, CharactersMax);
        return string.IsNullOrWhiteSpace(input) ? throw body.Wrong(name, "must not be only white space") : input;
    }

    /// <summary>The canonical id; either API's prefix is accepted, a malformed id is one that does not exist.</summary>
    internal static string Conversation(string text) =>
        ConversationId.Parse(text) ?? throw ApiException.NotFound("conversation", "conversation_id");
}

/// <summary>The end user that a request speaks for.</summary>
internal sealed record RunUser(string? Id, string? Name, JsonElement? Metadata, JsonElement? Shown)
{
    internal static RunUser? Read(RequestObject? body, string idName, string nameName)
    {
        if (body is null)
        {
            return null;
        }

        var id = body.String(idName, 1, 128);
        var name = body.String(nameName, 0, 200);
        var metadata = body.Metadata("metadata");
        return new RunUser(id, name, metadata, Show(id, name, metadata));
    }

    internal static JsonElement? Show(string? id, string? name, JsonElement? metadata)
    {
        if (id is null && name is null && metadata is null)
        {
            return null;
        }

        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, ApiJson.Writer))
        {
            writer.WriteStartObject();
            writer.WriteString("id"u8, id);
            writer.WriteString("name"u8, name);
            if (metadata is { } free)
            {
                writer.WritePropertyName("metadata"u8);
                free.WriteTo(writer);
            }

            writer.WriteEndObject();
        }

        return JsonElement.Parse(buffer.WrittenSpan);
    }
}

/// <summary>The <c>Idempotency-Key</c> header (wire-mesh 2.4).</summary>
internal sealed record IdempotencyKey(string Value)
{
    internal static IdempotencyKey? Read(HttpContext context)
    {
        if (!context.Request.Headers.TryGetValue("Idempotency-Key", out var values))
        {
            return null;
        }

        var text = values.Count == 1 ? values.ToString() : "";
        return text.Length is >= 1 and <= 255 && text.All(character => character is >= ' ' and <= '~')
            ? new IdempotencyKey(text)
            : throw ApiException.Invalid(
                "Idempotency-Key must be one value of 1 to 255 printable ASCII characters.", "Idempotency-Key");
    }

    /// <summary>
    /// Account, route and what was asked: the canonical body without how the answer comes, and the agent.
    /// </summary>
    internal IdempotencyScope Scope(string accountId, string route, string agent, JsonElement body)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes(agent));
        hash.AppendData([0]);
        hash.AppendData(CanonicalJson.Serialize(body, "stream", "background"));
        return new IdempotencyScope(accountId, route, Value, hash.GetHashAndReset());
    }
}
