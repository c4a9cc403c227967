using System.Buffers;
using System.Text.Json;
using Reeve.Server.Http;
using Reeve.Server.Privacy;
using Reeve.Server.Receipts.Keys;

namespace Reeve.Server.Apis.OpenAI;

/// <summary>The privacy of a chat completion (wire-mesh 4.1): its class, an attestation, a sealed prompt.</summary>
internal sealed record ChatPrivacy(PrivacyClass Class, bool IsAttested, string? Prompt)
{
    private const string Member = "encryptedPrompt";

    internal static ChatPrivacy Read(RequestObject body, KeyRing keys)
    {
        var word = body.Word("privacy_class", PrivacyClasses.Words);
        var asked = word is null ? PrivacyClass.Standard : PrivacyClasses.Parse(word);
        if (body.Object("privacy") is not { } privacy)
        {
            return new ChatPrivacy(asked, false, null);
        }

        var mode = privacy.Word("mode", "standard", "mesh", "nitro");
        var inner = privacy.Word("class", PrivacyClasses.Words);
        var envelope = privacy.String(Member, 1, int.MaxValue);
        privacy.RejectUnknown();
        if (inner is not null)
        {
            asked = PrivacyClasses.Stricter(asked, PrivacyClasses.Parse(inner));
        }

        if (mode != "nitro")
        {
            return envelope is null
                ? new ChatPrivacy(asked, mode == "mesh", null)
                : throw privacy.Wrong(Member, "is taken in the mode nitro only");
        }

        var prompt = envelope is null ? throw privacy.Wrong(Member, "is required in the mode nitro")
            : keys.Prompts.Open(envelope) ?? throw privacy.Wrong(Member, "was not sealed to the key of this server");
        return prompt.Contains('\0', StringComparison.Ordinal)
            ? throw privacy.Wrong(Member, "holds the character U+0000")
            : new ChatPrivacy(PrivacyClasses.Stricter(asked, PrivacyClass.Protected), false, prompt);
    }

    /// <summary>
    /// A body whose <c>messages</c> are as the sealed prompt makes them: what it holds is the last thing that the user
    /// says, or all messages where it is an array. Null without one.
    /// </summary>
    internal JsonDocument? Open(JsonElement body)
    {
        if (Prompt is null)
        {
            return null;
        }

        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, ApiJson.Writer))
        {
            writer.WriteStartObject();
            writer.WritePropertyName("messages");
            if (Array() is { } messages)
            {
                messages.WriteTo(writer);
            }
            else
            {
                Write(writer, body);
            }

            writer.WriteEndObject();
        }

        return RequestBody.Parse(buffer.WrittenMemory);
    }

    private JsonElement? Array()
    {
        if (!Prompt!.AsSpan().TrimStart().StartsWith("["))
        {
            return null;
        }

        try
        {
            return JsonElement.Parse(Prompt!);
        }
        catch (JsonException)
        {
            return null; // It only begins like one.
        }
    }

    private void Write(Utf8JsonWriter writer, JsonElement body)
    {
        var messages = body.TryGetProperty("messages", out var given) && given.ValueKind == JsonValueKind.Array
            ? given.EnumerateArray().ToList()
            : [];
        var last = messages.FindLastIndex(static message => message.ValueKind == JsonValueKind.Object
            && message.TryGetProperty("role", out var role) && role.ValueEquals("user"));
        writer.WriteStartArray();
        for (var i = 0; i < messages.Count; i++)
        {
            if (i == last)
            {
                WriteUser(writer);
            }
            else
            {
                messages[i].WriteTo(writer);
            }
        }

        if (last < 0)
        {
            WriteUser(writer);
        }

        writer.WriteEndArray();
    }

    private void WriteUser(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("role"u8, "user"u8);
        writer.WriteString("content"u8, Prompt);
        writer.WriteEndObject();
    }
}
