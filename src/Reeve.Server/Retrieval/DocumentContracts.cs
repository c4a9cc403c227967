using System.Text.Json;
using Reeve.Server.Http;
using Reeve.Server.Privacy;

namespace Reeve.Server.Retrieval;

/// <summary>Documents, chunks and what a search found, as the wire shows them (wire-mesh 3.2).</summary>
internal static class DocumentContracts
{
    internal static void Write(Utf8JsonWriter writer, Document document)
    {
        writer.WriteStartObject();
        writer.WriteString("id"u8, document.Id);
        writer.WriteString("agent_id"u8, document.AgentId);
        writer.WriteString("name"u8, document.Name);
        writer.WriteString("mime_type"u8, document.MimeType);
        writer.WriteNumber("bytes"u8, document.Bytes);
        writer.WriteString("sha256"u8, document.Sha256);
        writer.WriteString("status"u8, document.Status);
        if (document.Error is { } error)
        {
            writer.WriteStartObject("error"u8);
            writer.WriteString("code"u8, error.Code);
            writer.WriteString("message"u8, error.Message);
            writer.WriteEndObject();
        }
        else
        {
            writer.WriteNull("error"u8);
        }

        if (document.Step is { } step)
        {
            WriteStep(writer, step);
        }

        writer.WriteNumber("chunk_count"u8, document.ChunkCount);
        writer.WriteString("privacy_class"u8, document.PrivacyClass.Word());
        writer.WritePropertyName("metadata"u8);
        document.Metadata.WriteTo(writer);
        writer.WriteTime("created_at"u8, document.CreatedAt);
        writer.WriteTime("updated_at"u8, document.UpdatedAt);
        if (document.Page is { } page)
        {
            writer.WriteString("url"u8, page.Url);
            writer.WriteNumberOrNull("refresh_seconds", page.RefreshSeconds);
            writer.WriteTime("fetched_at"u8, page.FetchedAt);
        }

        writer.WriteEndObject();
    }

    private static void WriteStep(Utf8JsonWriter writer, DocumentStep step)
    {
        writer.WriteString("stage"u8, step.Stage);
        if (step.Progress is not { } progress)
        {
            writer.WriteNull("progress"u8);
            return;
        }

        writer.WriteStartObject("progress"u8);
        writer.WriteNumber("done"u8, progress.Done);
        writer.WriteNumber("total"u8, progress.Total);
        writer.WriteString("unit"u8, progress.Unit);
        writer.WriteEndObject();
    }

    internal static void Write(Utf8JsonWriter writer, Chunk chunk)
    {
        writer.WriteStartObject();
        writer.WriteString("id"u8, chunk.Id);
        writer.WriteString("document_id"u8, chunk.DocumentId);
        writer.WriteNumber("index"u8, chunk.Index);
        writer.WriteString("text"u8, chunk.Text);
        writer.WriteNumber("start"u8, chunk.Start);
        writer.WriteNumber("end"u8, chunk.End);
        writer.WriteNumberOrNull("page", chunk.Page);
        writer.WriteStartArray("headings"u8);
        foreach (var heading in chunk.Headings)
        {
            writer.WriteStringValue(heading);
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    internal static void Write(Utf8JsonWriter writer, RetrievedChunk found)
    {
        writer.WriteStartObject();
        writer.WriteString("documentId"u8, found.Chunk.DocumentId);
        writer.WriteString("chunkId"u8, found.Chunk.Id);
        writer.WriteNumber("score"u8, found.Score);
        writer.WriteString("name"u8, found.Name);
        writer.WriteNumberOrNull("page", found.Chunk.Page);
        writer.WriteNumber("start"u8, found.Chunk.Start);
        writer.WriteNumber("end"u8, found.Chunk.End);
        writer.WriteString("text"u8, found.Chunk.Text);
        writer.WriteEndObject();
    }
}
