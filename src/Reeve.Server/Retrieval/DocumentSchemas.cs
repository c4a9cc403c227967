using System.Text.Json.Nodes;
using Reeve.Server.Egress;
using Reeve.Server.Http;
using Reeve.Server.Privacy;

namespace Reeve.Server.Retrieval;

/// <summary>Documents as the wire shows and takes them (wire-mesh 3.2).</summary>
internal static class DocumentSchemas
{
    internal static readonly OpenApiSchemas All = new(
        ("Document", Schema.Record(
            ("id", Schema.Id(Id.Document)),
            ("agent_id", Schema.Id(Id.Agent)),
            ("name", Schema.Text()),
            ("mime_type", Schema.Text()),
            ("bytes", Schema.Integer()),
            ("sha256", Schema.Text(pattern: "^[0-9a-f]{64}$")),
            ("status", Schema.Word(DocumentStatuses.Processing, DocumentStatuses.Ready, DocumentStatuses.Failed)),
            ("error", Schema.Record(("code", Schema.Text()), ("message", Schema.Text())).OrNull()),
            ("chunk_count", Schema.Integer()),
            ("privacy_class", Schema.Word(PrivacyClasses.Words)),
            ("metadata", Schema.Free()),
            ("created_at", Schema.Time()),
            ("updated_at", Schema.Time()))
            .Maybe("stage", Schema.Word(DocumentStages.Queued, DocumentStages.Parsing, DocumentStages.Indexing)
                .About("While it is processing."))
            .Maybe("progress", Schema.Record(
                ("done", Schema.Integer()), ("total", Schema.Integer()), ("unit", Schema.Word("pages", "bytes")))
                .OrNull().About("While it is processing."))
            .Maybe("url", Schema.Text().About("Of a web page: where it was fetched from."))
            .Maybe("refresh_seconds", Schema.Integer(
                    DocumentUpload.RefreshSecondsMin, DocumentUpload.RefreshSecondsMax).OrNull()
                .About("Of a web page: how long after a fetch it is fetched again; null: only when asked for."))
            .Maybe("fetched_at", Schema.Time().About("Of a web page: when it was last found, changed or not."))),
        ("DocumentCreate", Schema.AnyOf(
            Schema.Body(
                ["name", "text"],
                ("name", Schema.Text(1, Documents.NameCharactersMax)),
                ("text", Schema.Text(1, Documents.TextCharactersMax)),
                ("privacy_class", Schema.Word(PrivacyClasses.Words)),
                ("metadata", Schema.Metadata())),
            Schema.Body(
                ["url"],
                ("url", Schema.Text(1, EgressUrl.LengthMax).About("A web page, https.")),
                ("refresh_seconds", Schema.Integer(
                    DocumentUpload.RefreshSecondsMin, DocumentUpload.RefreshSecondsMax)),
                ("name", Schema.Text(1, Documents.NameCharactersMax).About("Left out: the title of the page.")),
                ("privacy_class", Schema.Word(
                    [.. PrivacyClasses.Words.Where(static word => word != PrivacyClass.Confidential.Word())])),
                ("metadata", Schema.Metadata())))),
        ("DocumentForm", Schema.Body(
            ["file"],
            ("file", File()),
            ("name", Schema.Text(1, Documents.NameCharactersMax)),
            ("privacy_class", Schema.Word(PrivacyClasses.Words)),
            ("metadata", Schema.Text().About("An object as JSON text.")))),
        ("DocumentChange", Schema.Change(
            ["name"],
            ("name", Schema.Text(1, Documents.NameCharactersMax)),
            ("privacy_class", Schema.Word(PrivacyClasses.Words)),
            ("metadata", Schema.Metadata()))),
        ("Chunk", Schema.Record(
            ("id", Schema.Id(Id.Chunk)),
            ("document_id", Schema.Id(Id.Document)),
            ("index", Schema.Integer()),
            ("text", Schema.Text()),
            ("start", Schema.Integer().About("In characters of the extracted text.")),
            ("end", Schema.Integer()),
            ("page", Schema.Integer(1).OrNull()),
            ("headings", Schema.List(Schema.Text())))),
        ("DocumentSearch", Schema.Body(
            ["query"],
            ("query", Schema.Text(1, 8_000)),
            ("limit", Schema.Integer(1, 50)),
            ("min_score", Schema.Number(0, 1)),
            ("filter", Schema.Metadata()))),
        ("DocumentsFound", Schema.Page("ChunkFound")),
        ("ChunkFound", Schema.Record(
            ("documentId", Schema.Id(Id.Document)),
            ("chunkId", Schema.Id(Id.Chunk)),
            ("score", Schema.Number(0, 1)),
            ("name", Schema.Text()),
            ("page", Schema.Integer(1).OrNull()),
            ("start", Schema.Integer()),
            ("end", Schema.Integer()),
            ("text", Schema.Text()))));

    private static JsonObject File()
    {
        var file = Schema.Text();
        file["contentMediaType"] = "application/octet-stream";
        return file;
    }
}
