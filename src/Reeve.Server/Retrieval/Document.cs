using System.Security.Cryptography;
using System.Text.Json;
using Reeve.Server.Privacy;
using Reeve.Server.Retrieval.Parsing;
using Reeve.Server.Retrieval.Web;

namespace Reeve.Server.Retrieval;

internal sealed record Document
{
    internal required string Id { get; init; }

    internal required string AgentId { get; init; }

    internal required string Name { get; init; }

    internal required string MimeType { get; init; }

    internal required long Bytes { get; init; }

    internal required string Sha256 { get; init; }

    /// <summary>Of <see cref="DocumentStatuses"/>.</summary>
    internal required string Status { get; init; }

    internal DocumentError? Error { get; init; }

    internal required int ChunkCount { get; init; }

    internal required PrivacyClass PrivacyClass { get; init; }

    internal required JsonElement Metadata { get; init; }

    internal required DateTimeOffset CreatedAt { get; init; }

    internal required DateTimeOffset UpdatedAt { get; init; }

    /// <summary>True when it is or was confidential: what it says is encrypted, and stays so.</summary>
    internal bool IsSealed { get; init; }

    /// <summary>Where it was fetched from; null: nowhere.</summary>
    internal WebPage? Page { get; init; }

    /// <summary>Where it stands while it is processing.</summary>
    internal DocumentStep? Step { get; init; }

    internal bool IsOf(ReadOnlySpan<byte> bytes) => Sha256 == Convert.ToHexStringLower(SHA256.HashData(bytes));
}

/// <summary>Of <see cref="DocumentStages"/>, and how far the parser is, when it says so.</summary>
internal sealed record DocumentStep(string Stage, ParseProgress? Progress);

internal static class DocumentStages
{
    internal const string Queued = "queued";
    internal const string Parsing = "parsing";
    internal const string Indexing = "indexing";
}

/// <summary>Why a document could not be read.</summary>
internal sealed record DocumentError(string Code, string Message);

internal static class DocumentStatuses
{
    internal const string Processing = "processing";
    internal const string Ready = "ready";
    internal const string Failed = "failed";
}

/// <summary>What a caller gives to make a document: the bytes of a file, or text.</summary>
internal sealed record NewDocument
{
    internal required string Name { get; init; }

    internal required ReadOnlyMemory<byte> Bytes { get; init; }

    /// <summary>True: the bytes came as a string of JSON, so their type and encoding need no guess.</summary>
    internal bool IsText { get; init; }

    /// <summary>Tells the type of text by its ending; null: the name does.</summary>
    internal string? FileName { get; init; }

    /// <summary>Where the bytes come from; null: from who gives them.</summary>
    internal WebPage? Page { get; init; }

    /// <summary>Null: standard, or as it is.</summary>
    internal PrivacyClass? PrivacyClass { get; init; }

    internal JsonElement? Metadata { get; init; }
}

/// <summary>What to change; null leaves as it is. <c>Metadata</c> is merged by member, where null removes.</summary>
internal sealed record DocumentPatch(string? Name, PrivacyClass? PrivacyClass, JsonElement? Metadata)
{
    /// <summary>Empties the metadata before the merge.</summary>
    internal bool ResetMetadata { get; init; }
}

/// <summary>A document and whether it was made now; the same bytes again give the one that is there.</summary>
internal sealed record DocumentAddition(Document Document, bool Created);
