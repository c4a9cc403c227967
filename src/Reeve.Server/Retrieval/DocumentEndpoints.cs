using Reeve.Server.Accounts;
using Reeve.Server.Http;
using Reeve.Server.Privacy;
using Reeve.Server.Retrieval.Web;
using Reeve.Server.Storage;

namespace Reeve.Server.Retrieval;

/// <summary>
/// The agent that a path names by id, version or slug, with its class; null: none of this account.
/// </summary>
internal delegate (string Id, PrivacyClass PrivacyClass)? AgentResolver(TenantContext tenant, string reference);

internal static class DocumentEndpoints
{
    private const string AgentPath = "agt_X, agt_X@N or the slug.";
    private const int SearchLimitDefault = 5;
    private const int SearchLimitMax = 50;
    private const int QueryCharactersMax = 8_000;

    internal static void MapDocuments(this IEndpointRouteBuilder routes)
    {
        var ofAgent = routes.MapGroup("/v1/agents/{id}").WithTags("Documents");
        ofAgent.MapPost("/documents", AddAsync).RequireScope(ApiKeyScopes.Agents)
            .WithName("addDocument").WithSummary("Adds a document to an agent.").Path("id", AgentPath)
            .Takes("DocumentCreate").TakesForm("DocumentForm")
            .Answers(201, "Document", "The document.", OpenApiMetadata.Location)
            .Answers(200, "Document", "The agent had a document with the same bytes.");
        ofAgent.MapGet("/documents", ListAsync).RequireScope(ApiKeyScopes.Agents)
            .WithName("listDocuments").WithSummary("Lists the documents of an agent, newest first.")
            .Path("id", AgentPath).Lists("Document").Query("status", "Only with this status.", static () => Schema.Word(
                DocumentStatuses.Processing, DocumentStatuses.Ready, DocumentStatuses.Failed));
        ofAgent.MapPost("/search", SearchAsync).RequireScope(ApiKeyScopes.Agents, ApiKeyScopes.Chat)
            .WithName("searchDocuments").WithSummary("Searches the documents of an agent, best first.")
            .Path("id", AgentPath).Takes("DocumentSearch").Answers(200, "DocumentsFound", "What was found.");

        var documents = routes.MapGroup("/v1/documents/{id}").RequireScope(ApiKeyScopes.Agents).WithTags("Documents");
        documents.MapGet("", GetAsync).WithName("getDocument").WithSummary("Shows a document.")
            .Answers(200, "Document", "The document.");
        documents.MapPatch("", PatchAsync).WithName("updateDocument")
            .WithSummary("Changes the name, the privacy class or the metadata of a document.")
            .Takes("DocumentChange").Answers(200, "Document", "The document.");
        documents.MapPut("", ReplaceAsync).WithName("replaceDocument")
            .WithSummary("Puts new content under the id of a document, at once when it is read.")
            .Takes("DocumentCreate").TakesForm("DocumentForm").Answers(200, "Document", "The document.")
            .Refuses(ApiErrorCodes.Conflict);
        documents.MapDelete("", DeleteAsync).WithName("deleteDocument")
            .WithSummary("Deletes a document with its text and chunks.")
            .AnswersNothing("The document is gone.");
        documents.MapPost("/retry", RetryAsync).WithName("retryDocument")
            .WithSummary("Reads a failed document again, or fetches a web page again.")
            .Answers(202, "Document", "The document.").Refuses(ApiErrorCodes.Conflict);
        documents.MapGet("/chunks", ChunksAsync).WithName("listChunks")
            .WithSummary("Lists the chunks of a document, in its order.").Lists("Chunk");
    }

    private static async Task AddAsync(
        HttpContext context, string id, Documents documents, WebPages pages, AgentResolver agents, ReeveOptions options)
    {
        var added = await DocumentUpload.ReadAsync(context, options.Limits.UploadBytesMax, options.Egress);
        var tenant = context.Caller().Tenant;
        var agent = Resolve(agents, tenant, id);
        var addition = await (added.Page is null
            ? documents.AddAsync(tenant, agent, added, context.RequestAborted)
            : pages.AddAsync(tenant, agent, added, context.RequestAborted));
        if (addition.Created)
        {
            context.Response.Headers.Location = $"/v1/documents/{addition.Document.Id}";
        }

        await AnswerAsync(
            context, addition.Created ? StatusCodes.Status201Created : StatusCodes.Status200OK, addition.Document);
    }

    private static Task ListAsync(HttpContext context, string id, Documents documents, AgentResolver agents)
    {
        var query = new RequestQuery(context, "limit", "after", "status");
        var status = query.Word(
            "status", DocumentStatuses.Processing, DocumentStatuses.Ready, DocumentStatuses.Failed);
        var page = PageQuery.Read(query, Id.Document);
        var tenant = context.Caller().Tenant;
        var found = documents.List(tenant, Resolve(agents, tenant, id), status, page.After, page.Limit + 1);
        return ApiJsonBody.WritePageAsync(
            context, Page<Document>.Of(found, page.Limit, static document => document.Id), DocumentContracts.Write);
    }

    private static Task GetAsync(HttpContext context, string id, Documents documents) =>
        AnswerAsync(context, StatusCodes.Status200OK, documents.Get(context.Caller().Tenant, DocumentId(id)));

    private static async Task PatchAsync(HttpContext context, string id, Documents documents, ReeveOptions options)
    {
        DocumentPatch patch;
        using (var json = await RequestBody.ReadAsync(context, options.Limits.BodyBytesMax))
        {
            var body = new RequestObject(json.RootElement);
            patch = ReadPatch(body);
            body.RejectUnknown();
        }

        await AnswerAsync(context, StatusCodes.Status200OK,
            await documents.PatchAsync(context.Caller().Tenant, DocumentId(id), patch));
    }

    // null resets to the default, where there is one.
    private static DocumentPatch ReadPatch(RequestObject body)
    {
        var name = body.String("name", 1, Documents.NameCharactersMax);
        if (name is null && body.Has("name"))
        {
            throw body.Wrong("name", "is required");
        }

        var privacyClass = DocumentUpload.PrivacyClassOf(body)
            ?? (body.Has("privacy_class") ? PrivacyClass.Standard : null);
        var metadata = body.Metadata("metadata");
        return new DocumentPatch(name, privacyClass, metadata)
        {
            ResetMetadata = metadata is null && body.Has("metadata"),
        };
    }

    private static async Task DeleteAsync(HttpContext context, string id, Documents documents)
    {
        await documents.DeleteAsync(context.Caller().Tenant, DocumentId(id));
        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    private static async Task ReplaceAsync(
        HttpContext context, string id, Documents documents, WebPages pages, ReeveOptions options)
    {
        var documentId = DocumentId(id);
        var added = await DocumentUpload.ReadAsync(context, options.Limits.UploadBytesMax, options.Egress);
        var tenant = context.Caller().Tenant;
        await AnswerAsync(context, StatusCodes.Status200OK, await (added.Page is null
            ? documents.ReplaceAsync(tenant, documentId, added, context.RequestAborted)
            : pages.ReplaceAsync(tenant, documentId, added, context.RequestAborted)));
    }

    private static async Task RetryAsync(HttpContext context, string id, Documents documents, WebPages pages)
    {
        var (tenant, documentId) = (context.Caller().Tenant, DocumentId(id));
        await AnswerAsync(context, StatusCodes.Status202Accepted,
            await (documents.Get(tenant, documentId) is { Page: not null, Status: not DocumentStatuses.Processing }
                ? pages.RetryAsync(tenant, documentId, context.RequestAborted)
                : documents.RetryAsync(tenant, documentId)));
    }

    private static Task ChunksAsync(HttpContext context, string id, Documents documents)
    {
        var page = PageQuery.Read(new RequestQuery(context, "limit", "after"), Id.Chunk);
        var found = documents.Chunks(context.Caller().Tenant, DocumentId(id), page.After, page.Limit + 1);
        return ApiJsonBody.WritePageAsync(
            context, Page<Chunk>.Of(found, page.Limit, static chunk => chunk.Id), DocumentContracts.Write);
    }

    private static async Task SearchAsync(
        HttpContext context, string id, Retriever retriever, AgentResolver agents, ReeveOptions options)
    {
        using var json = await RequestBody.ReadAsync(context, options.Limits.BodyBytesMax);
        var body = new RequestObject(json.RootElement);
        var query = body.RequiredString("query", 1, QueryCharactersMax);
        var limit = (int)(body.Integer("limit", 1, SearchLimitMax) ?? SearchLimitDefault);
        var minScore = (double)(body.Number("min_score", 0, 1, 20) ?? 0);
        var filter = body.Metadata("filter");
        body.RejectUnknown();
        var tenant = context.Caller().Tenant;
        var agent = agents(tenant, id) ?? throw ApiException.NotFound("agent");
        var question = new Question(query, agent.PrivacyClass, context.Caller().Mode == "test");
        var found = await retriever.SearchAsync(
            tenant, agent.Id, question, limit, context.RequestAborted, minScore, filter);
        await ApiJsonBody.WritePageAsync(
            context, new Page<RetrievedChunk>(found, HasMore: false, NextCursor: null), DocumentContracts.Write);
    }

    private static Task AnswerAsync(HttpContext context, int status, Document document) =>
        ApiJsonBody.WriteAsync(context, status, document, DocumentContracts.Write);

    private static string Resolve(AgentResolver agents, TenantContext tenant, string reference) =>
        agents(tenant, reference)?.Id ?? throw ApiException.NotFound("agent");

    private static string DocumentId(string text) =>
        Id.TryParse(Id.Document, text, out var id) ? id : throw ApiException.NotFound("document");
}
