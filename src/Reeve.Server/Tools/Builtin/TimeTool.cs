using System.Buffers;
using System.Globalization;
using System.Text.Json;
using Reeve.Server.Http;

namespace Reeve.Server.Tools.Builtin;

/// <summary><c>time.now</c>: the server's clock, in UTC and in a time zone.</summary>
internal sealed class TimeTool(TimeProvider time) : IBuiltinTool
{
    private const string Utc = "UTC";

    public string Name => "time";

    public IReadOnlyList<ToolAction> Actions { get; } =
    [
        new ToolAction("now", "Tells the current date and time.", JsonElement.Parse("""
            {"type":"object","properties":{
            "time_zone":{"type":"string","description":"An IANA time zone such as Europe/Berlin; UTC without one."}},
            "additionalProperties":false}
            """)),
    ];

    public Task<ToolResult> InvokeAsync(
        string action, JsonElement arguments, ToolCallContext context, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (action != "now")
        {
            return Task.FromResult(ToolErrors.Of($"time has no action {action}; it has now."));
        }

        try
        {
            var given = new RequestObject(arguments.ValueKind == JsonValueKind.Object
                ? arguments
                : throw ApiException.Invalid("The arguments must be an object.", null));
            var name = given.String("time_zone", 1, 64) ?? Utc;
            given.RejectUnknown();
            return Task.FromResult(Zone(name) is { } zone
                ? Now(zone, name)
                : ToolErrors.Of("time_zone is no IANA time zone that this server knows, such as Europe/Berlin."));
        }
        catch (ApiException error)
        {
            return Task.FromResult(ToolErrors.Of(error.Message));
        }
    }

    private ToolResult Now(TimeZoneInfo zone, string name)
    {
        var now = time.GetUtcNow();
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("utc", now.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture));
            writer.WriteString("local", TimeZoneInfo.ConvertTime(now, zone)
                .ToString("yyyy-MM-dd'T'HH:mm:ss.fffzzz", CultureInfo.InvariantCulture));
            writer.WriteString("time_zone", name);
            writer.WriteEndObject();
        }

        return new ToolResult(JsonElement.Parse(buffer.WrittenSpan), IsError: false);
    }

    // Windows names would work on Windows alone, and "local" is the server's own business.
    private static TimeZoneInfo? Zone(string name) =>
        (name == Utc || name.Contains('/', StringComparison.Ordinal))
        && TimeZoneInfo.TryFindSystemTimeZoneById(name, out var zone) && zone.HasIanaId
            ? zone
            : null;
}
