using System.Globalization;
using System.Text.Json;

namespace Reeve.Server.Storage.Backups;

/// <summary>What a backup says of itself before its parts.</summary>
internal sealed record BackupManifest
{
    /// <summary>Grows when an older Reeve could not take such a backup back.</summary>
    internal const int FormatVersion = 1;

    internal const int BytesMax = 1 << 16;

    private const string Format = "reeve-backup";
    private const string TimeFormat = "yyyy-MM-ddTHH:mm:ssZ";

    internal required string ReeveVersion { get; init; }

    /// <summary>The migrations that the database has, by name.</summary>
    internal required IReadOnlyList<string> Schema { get; init; }

    internal required DateTimeOffset MadeAt { get; init; }

    internal byte[] Write()
    {
        using var bytes = new MemoryStream();
        using (var writer = new Utf8JsonWriter(bytes, new JsonWriterOptions { Indented = true, NewLine = "\n" }))
        {
            writer.WriteStartObject();
            writer.WriteString("format"u8, Format);
            writer.WriteNumber("format_version"u8, FormatVersion);
            writer.WriteString("reeve_version"u8, ReeveVersion);
            writer.WriteString("made_at"u8, MadeAt.UtcDateTime.ToString(TimeFormat, CultureInfo.InvariantCulture));
            writer.WriteStartArray("schema"u8);
            foreach (var name in Schema)
            {
                writer.WriteStringValue(name);
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        bytes.Write("\n"u8);
        return bytes.ToArray();
    }

    /// <summary>Null when it is no manifest.</summary>
    /// <exception cref="BackupException">It is one of a newer Reeve.</exception>
    internal static BackupManifest? Read(byte[] bytes, string shownName)
    {
        try
        {
            using var document = JsonDocument.Parse(bytes);
            var root = document.RootElement;
            if (root.GetProperty("format"u8).GetString() != Format)
            {
                return null;
            }

            var reeve = root.GetProperty("reeve_version"u8).GetString()!;
            if (root.GetProperty("format_version"u8).GetInt32() != FormatVersion)
            {
                throw new BackupException(
                    $"{shownName} was made by Reeve {reeve} in a format that this version does not know; "
                    + "restore it with that version.");
            }

            return new BackupManifest
            {
                ReeveVersion = reeve,
                Schema = [.. root.GetProperty("schema"u8).EnumerateArray().Select(static name => name.GetString()!)],
                MadeAt = DateTimeOffset.ParseExact(root.GetProperty("made_at"u8).GetString()!, TimeFormat,
                    CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal),
            };
        }
        catch (Exception error) when (
            error is JsonException or KeyNotFoundException or InvalidOperationException or FormatException
                or ArgumentNullException)
        {
            return null;
        }
    }
}
