using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Reeve.Server.Http;
using Reeve.Server.Storage;

namespace Reeve.Server.Runs;

/// <summary>An entry of a run's log. <c>Data</c> is null once the content was erased.</summary>
internal sealed record RunEvent(long Seq, int Epoch, string Type, DateTimeOffset At, RunEventData? Data)
{
    internal required byte[] Payload { get; init; }

    internal required byte[] PayloadSha256 { get; init; }

    internal required byte[] Hash { get; init; }

    internal bool IsTerminal => IsTerminalType(Type);

    internal static bool IsTerminalType(string type) => type is "run.completed" or "run.failed" or "run.cancelled";
}

/// <summary>Between records and the bytes of the log, and the hash chain over them.</summary>
internal static class RunEventCodec
{
    internal static readonly byte[] ChainStart = new byte[SHA256.HashSizeInBytes];
    internal static readonly RunEventJson Json = new(ApiJson.Options());

    private static readonly Dictionary<string, JsonTypeInfo> ByType = new(StringComparer.Ordinal);
    private static readonly Dictionary<Type, (string Type, JsonTypeInfo Info)> ByRecord = [];

    static RunEventCodec()
    {
        Add("run.admitted", Json.RunAdmitted);
        Add("run.begun", Json.RunBegun);
        Add("run.released", Json.RunReleased);
        Add("run.recovered", Json.RunRecovered);
        Add("context.trimmed", Json.ContextTrimmed);
        Add("sources.found", Json.SourcesFound);
        Add("sources.quoted", Json.SourcesQuoted);
        Add("privacy.raised", Json.PrivacyRaised);
        Add("model_call.started", Json.ModelCallStarted);
        Add("message.delta", Json.MessageDelta);
        Add("model_call.finished", Json.ModelCallFinished);
        Add("tool_call.started", Json.ToolCallStarted);
        Add("tool_call.finished", Json.ToolCallFinished);
        Add("output.reset", Json.OutputReset);
        Add("run.completed", Json.RunCompleted);
        Add("run.failed", Json.RunFailed);
        Add("run.cancelled", Json.RunCancelled);
    }

    /// <summary>
    /// Makes an entry that follows from the hash before it. A key encrypts the payload, whose hash is then that of what
    /// is stored: the hash of a short text would tell it.
    /// </summary>
    internal static RunEvent Seal(string runId, RunEventData data, long seq, int epoch, DateTimeOffset at,
        byte[] previous, ContentKey? key = null)
    {
        var (type, info) = ByRecord[data.GetType()];
        var json = JsonSerializer.SerializeToUtf8Bytes(data, info);
        var payload = key?.Seal(ContentColumns.EventPayload, RowOf(runId, seq), json) ?? json;
        var payloadSha256 = SHA256.HashData(payload);

        // Free JSON may be spelled otherwise once it was written; live readers must see what later ones will.
        return new RunEvent(seq, epoch, type, at, HasFreeJson(data) ? Read(type, json) : data)
        {
            Payload = payload,
            PayloadSha256 = payloadSha256,
            Hash = Chain(previous, runId, seq, epoch, type, at.ToUnixTimeMilliseconds(), payloadSha256),
        };
    }

    private static bool HasFreeJson(RunEventData data) => data switch
    {
        RunAdmitted admitted => admitted.User is not null || admitted.Metadata is not null
            || admitted.Options.OutputSchema is not null,
        ModelCallFinished finished => finished.ToolCalls.Count > 0,
        _ => data is ToolCallStarted or ToolCallFinished,
    };

    /// <summary>Reads an event back; an unknown type is kept without data, so that newer logs stay whole.</summary>
    internal static RunEventData? Read(string type, byte[]? payload) =>
        payload is not null && ByType.TryGetValue(type, out var info)
            ? (RunEventData?)JsonSerializer.Deserialize(payload, info)
            : null;

    /// <summary>As <see cref="Read"/>, of a stored payload, when it is the one that was written.</summary>
    /// <exception cref="InvalidDataException">It is another.</exception>
    /// <exception cref="CryptographicException">It is another run's or account's.</exception>
    internal static RunEventData? Open(DbSession session, TenantContext tenant, string runId, long seq, string type,
        byte[]? payload, byte[] payloadSha256) =>
        payload is null || SHA256.HashData(payload).AsSpan().SequenceEqual(payloadSha256)
            ? Read(type, Opened(session, tenant, runId, seq, payload))
            : throw new InvalidDataException("A payload was changed.");

    /// <summary>The first event of a run that is listed.</summary>
    internal static RunAdmitted OpenFirst(DbSession session, TenantContext tenant, string runId, byte[] payload) =>
        (RunAdmitted)Read("run.admitted", Opened(session, tenant, runId, 1, payload))!;

    /// <summary>Null for a payload that is not as it was written, or cannot be opened here.</summary>
    internal static RunEventData? TryOpen(
        DbSession session, TenantContext tenant, string runId, long seq, string type, byte[]? payload)
    {
        try
        {
            return Read(type, Opened(session, tenant, runId, seq, payload));
        }
        catch (Exception error) when (error is JsonException or CryptographicException or StorageException)
        {
            return null;
        }
    }

    private static byte[]? Opened(
        DbSession session, TenantContext tenant, string runId, long seq, byte[]? payload) =>
        ContentKey.IsSealed(payload)
            ? session.ContentKey(tenant).Open(ContentColumns.EventPayload, RowOf(runId, seq), payload)
            : payload;

    private static string RowOf(string runId, long seq) =>
        string.Create(CultureInfo.InvariantCulture, $"{runId}/{seq}");

    /// <summary>Refuses events that do not follow from the hash before them and from each other.</summary>
    /// <exception cref="InvalidDataException">One does not.</exception>
    internal static void RequireChain(string runId, IReadOnlyList<RunEvent> events, byte[] previous)
    {
        foreach (var entry in events)
        {
            var hash = Chain(previous, runId, entry.Seq, entry.Epoch, entry.Type, entry.At.ToUnixTimeMilliseconds(),
                entry.PayloadSha256);
            if (!hash.AsSpan().SequenceEqual(entry.Hash))
            {
                throw new InvalidDataException($"Event {entry.Seq} does not follow from those before it.");
            }

            previous = hash;
        }
    }

    /// <summary>
    /// SHA-256 of: hash before, run id, 0, seq (8 bytes, big-endian), epoch (4), type, 0, at (8), payload_sha256.
    /// </summary>
    internal static byte[] Chain(
        byte[] previous, string runId, long seq, int epoch, string type, long at, byte[] payloadSha256)
    {
        Span<byte> buffer = stackalloc byte[256];
        var length = 0;
        previous.CopyTo(buffer);
        length += previous.Length;
        length += Encoding.UTF8.GetBytes(runId, buffer[length..]);
        buffer[length++] = 0;
        BinaryPrimitives.WriteInt64BigEndian(buffer[length..], seq);
        BinaryPrimitives.WriteInt32BigEndian(buffer[(length + 8)..], epoch);
        length += 12;
        length += Encoding.UTF8.GetBytes(type, buffer[length..]);
        buffer[length++] = 0;
        BinaryPrimitives.WriteInt64BigEndian(buffer[length..], at);
        payloadSha256.CopyTo(buffer[(length + 8)..]);
        return SHA256.HashData(buffer[..(length + 8 + payloadSha256.Length)]);
    }

    private static void Add<T>(string type, JsonTypeInfo<T> info)
    {
        ByType.Add(type, info);
        ByRecord.Add(typeof(T), (type, info));
    }
}

[JsonSerializable(typeof(RunAdmitted))]
[JsonSerializable(typeof(RunBegun))]
[JsonSerializable(typeof(RunReleased))]
[JsonSerializable(typeof(RunRecovered))]
[JsonSerializable(typeof(ContextTrimmed))]
[JsonSerializable(typeof(SourcesFound))]
[JsonSerializable(typeof(SourcesQuoted))]
[JsonSerializable(typeof(PrivacyRaised))]
[JsonSerializable(typeof(ModelCallStarted))]
[JsonSerializable(typeof(MessageDelta))]
[JsonSerializable(typeof(ModelCallFinished))]
[JsonSerializable(typeof(ToolCallStarted))]
[JsonSerializable(typeof(ToolCallFinished))]
[JsonSerializable(typeof(OutputReset))]
[JsonSerializable(typeof(RunCompleted))]
[JsonSerializable(typeof(RunFailed))]
[JsonSerializable(typeof(RunCancelled))]
[JsonSerializable(typeof(RunOutcome))]
[JsonSerializable(typeof(TruncatedResult))]
[JsonSerializable(typeof(string))]
internal sealed partial class RunEventJson : JsonSerializerContext;
