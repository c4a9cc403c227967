using System.Globalization;
using System.IO.Enumeration;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Spectre.Console;

namespace Reeve.Cli;

/// <summary>What a folder is synchronised with, and how.</summary>
internal sealed record SyncOptions(string Folder)
{
    internal string? Name { get; init; }

    internal IReadOnlyList<string> Exclude { get; init; } = [];

    internal string? PrivacyClass { get; init; }

    internal bool Keep { get; init; }

    internal bool IsDry { get; init; }
}

/// <summary>
/// Makes an agent's documents those of a folder. A document knows its file by two members of its metadata,
/// <c>sync</c> and <c>path</c>; other documents are left alone. A file is sent when its SHA-256 is not the
/// document's, so a run over what is in sync sends nothing, and one that was broken off is finished by the next.
/// </summary>
internal sealed class DocumentSync(
    ReeveClient client, string agent, SyncOptions options, TextWriter output, TextWriter problems)
{
    private const int PageLength = 100;
    private const int NameCharactersMax = 255;
    private const int PathCharactersMax = 1_000;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan ReadingMax = TimeSpan.FromMinutes(30);

    private readonly string _root = Path.GetFullPath(options.Folder);
    private readonly List<string> _failures = [];
    private readonly List<string> _again = [];
    private readonly List<SyncedDocument> _doubles = [];
    private int _added;
    private int _replaced;
    private int _moved;
    private int _same;
    private int _deleted;

    private string Sync => options.Name ?? Path.GetFileName(Path.TrimEndingDirectorySeparator(_root));

    private string Documents => $"v1/agents/{Uri.EscapeDataString(agent)}/documents";

    /// <summary>0: the documents are the folder's; 1: for some files they are not, which were named.</summary>
    internal async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        if (!Directory.Exists(_root))
        {
            throw new ClientException($"There is no folder {options.Folder}.");
        }

        var files = Files();
        var known = await ListAsync(cancellationToken);
        RequireSameFolder(files, known);
        var gone = known.Values.Where(document => !files.Contains(document.Path)).Concat(_doubles).ToList();
        // Those that have a document first, so that a copy of one does not take its place.
        await WithProgressAsync([.. files.OrderByDescending(known.ContainsKey)],
            file => TryAsync(file, () => SyncAsync(file, known, gone, cancellationToken)));
        await WithProgressAsync([.. _again], file => TryAsync(file, () => AddAsync(file, gone, cancellationToken)));
        await DeleteAsync(gone, cancellationToken);
        await AwaitReadingAsync(files, cancellationToken);
        return await ReportAsync();
    }

    /// <summary>
    /// An empty mount point, or another folder of the same name, would take everything away that the right one gave.
    /// </summary>
    private void RequireSameFolder(List<string> files, Dictionary<string, SyncedDocument> known)
    {
        if (known.Count > 0 && !options.Keep && !files.Exists(known.ContainsKey))
        {
            throw new ClientException(string.Create(CultureInfo.InvariantCulture,
                $"None of the {known.Count} documents of \"{Sync}\" is of a file that is in {options.Folder}, and all ")
                + "would be deleted. If it is another folder, give it a --name; if it is right, add --keep and delete "
                + "them yourself.");
        }
    }

    private async Task TryAsync(string file, Func<Task> work)
    {
        try
        {
            await work();
        }
        catch (ClientException error) when (error.IsOfOne)
        {
            _failures.Add($"{file}: {error.Message}");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            _failures.Add($"{file}: {error.Message}");
        }
    }

    private List<string> Files() =>
    [
        .. new FileSystemEnumerable<string>(_root, (ref FileSystemEntry entry) =>
            Path.GetRelativePath(_root, entry.ToFullPath()).Replace(Path.DirectorySeparatorChar, '/'),
            new EnumerationOptions
            {
                RecurseSubdirectories = true,
                AttributesToSkip = FileAttributes.Hidden | FileAttributes.System | FileAttributes.ReparsePoint,
                IgnoreInaccessible = false,
            })
        {
            ShouldIncludePredicate = static (ref FileSystemEntry entry) => !entry.IsDirectory,
            ShouldRecursePredicate = static (ref FileSystemEntry entry) => !entry.FileName.StartsWith('.'),
        }.Where(IsWanted).Order(StringComparer.Ordinal),
    ];

    private bool IsWanted(string path)
    {
        var name = path[(path.LastIndexOf('/') + 1)..];
        return !name.StartsWith('.') && !options.Exclude.Any(pattern => Fits(pattern, path) || Fits(pattern, name));
    }

    private static bool Fits(string pattern, string text) => FileSystemName.MatchesSimpleExpression(pattern, text);

    /// <summary>The documents that an earlier run made of this folder, by path.</summary>
    private async Task<Dictionary<string, SyncedDocument>> ListAsync(CancellationToken cancellationToken)
    {
        var known = new Dictionary<string, SyncedDocument>(StringComparer.Ordinal);
        var after = "";
        while (true)
        {
            var (_, page) = await client.SendAsync(
                HttpMethod.Get, $"{Documents}?limit={PageLength}{after}", null, cancellationToken);
            foreach (var document in page.GetProperty("data").EnumerateArray())
            {
                if (SyncedDocument.Of(document) is { } one && one.Sync == Sync && !known.TryAdd(one.Path, one)
                    && !_doubles.Exists(other => other.Id == one.Id))
                {
                    _doubles.Add(one); // Two runs at once made it, and the newer stays.
                }
            }

            if (!page.GetProperty("has_more").GetBoolean())
            {
                return known;
            }

            after = $"&after={page.GetProperty("next_cursor").GetString()}";
        }
    }

    private async Task SyncAsync(string path, Dictionary<string, SyncedDocument> known, List<SyncedDocument> gone,
        CancellationToken cancellationToken)
    {
        var bytes = await ReadAsync(path, cancellationToken);
        var sha256 = Convert.ToHexStringLower(SHA256.HashData(bytes));
        if (known.TryGetValue(path, out var document))
        {
            if (document.Sha256 == sha256)
            {
                _same++;
                return;
            }

            await ReplaceAsync(document, bytes, cancellationToken);
            return;
        }

        await AddAsync(path, gone, cancellationToken);
    }

    private async Task<byte[]> ReadAsync(string path, CancellationToken cancellationToken) =>
        path.Length <= PathCharactersMax
            ? await File.ReadAllBytesAsync(Path.Combine(_root, path), cancellationToken)
            : throw new IOException($"its path has more than {PathCharactersMax} characters.");

    /// <summary>Sends a file that has no document.</summary>
    private async Task AddAsync(string path, List<SyncedDocument> gone, CancellationToken cancellationToken)
    {
        var bytes = await ReadAsync(path, cancellationToken);
        var sha256 = Convert.ToHexStringLower(SHA256.HashData(bytes));
        if (await MoveAsync(path, sha256, gone, cancellationToken))
        {
            _moved++;
            return;
        }

        if (await SendAsync(HttpMethod.Post, Documents, Form(path, bytes, null), cancellationToken)
            == HttpStatusCode.OK)
        {
            _same++; // The agent has these bytes under another path or of another origin; once is enough.
            return;
        }

        _added++;
    }

    /// <summary>
    /// An agent has the same bytes once: a file that became those of another gives up its document, and is looked at
    /// again when the others are done, which may have other bytes by then.
    /// </summary>
    private async Task ReplaceAsync(SyncedDocument document, byte[] bytes, CancellationToken cancellationToken)
    {
        try
        {
            await SendAsync(HttpMethod.Put, $"v1/documents/{document.Id}",
                Form(document.Path, bytes, document.Metadata), cancellationToken);
            _replaced++;
        }
        catch (ClientException error) when (error.Status is HttpStatusCode.Conflict or HttpStatusCode.NotFound)
        {
            await RemoveAsync(document, cancellationToken);
            _again.Add(document.Path);
        }
    }

    /// <summary>Gives a document whose file is gone to the file that now has its bytes.</summary>
    private async Task<bool> MoveAsync(
        string path, string sha256, List<SyncedDocument> gone, CancellationToken cancellationToken)
    {
        if (gone.Find(one => one.Sha256 == sha256) is not { } moved)
        {
            return false;
        }

        await SendAsync(HttpMethod.Patch, $"v1/documents/{moved.Id}", () => Json(path), cancellationToken); // Merged.
        gone.Remove(moved);
        return true;
    }

    private async Task<HttpStatusCode> SendAsync(
        HttpMethod method, string path, Func<HttpContent>? content, CancellationToken cancellationToken) =>
        options.IsDry ? HttpStatusCode.Created
            : (await client.SendAsync(method, path, content, cancellationToken)).Status;

    /// <param name="path">Of the file.</param>
    /// <param name="bytes">Of the file.</param>
    /// <param name="metadata">What the document has, which others may have added to; null: there is none yet.</param>
    private Func<HttpContent> Form(string path, byte[] bytes, JsonElement? metadata) => () =>
    {
        var form = new MultipartFormDataContent
        {
            { new ByteArrayContent(bytes), "file", "file" },
            { new StringContent(NameOf(path)), "name" },
            { new StringContent(Metadata(path, metadata).ToJsonString()), "metadata" },
        };
        if (metadata is null && options.PrivacyClass is { } privacyClass)
        {
            form.Add(new StringContent(privacyClass), "privacy_class");
        }

        return form;
    };

    private StringContent Json(string path) => new(
        new JsonObject { ["name"] = NameOf(path), ["metadata"] = Metadata(path, null) }.ToJsonString(), Encoding.UTF8,
        "application/json");

    private JsonObject Metadata(string path, JsonElement? before)
    {
        var metadata = before is { } held ? JsonObject.Create(held)! : [];
        metadata["sync"] = Sync;
        metadata["path"] = path;
        return metadata;
    }

    /// <summary>The path, or its end when it is long: there the name and its extension are.</summary>
    private static string NameOf(string path) => path.Length <= NameCharactersMax
        ? path : "…" + path[^(NameCharactersMax - 1)..].TrimStart('\udc00');

    /// <summary>Nothing is deleted while a file could not be sent: it may be what a document's file became.</summary>
    private async Task DeleteAsync(List<SyncedDocument> gone, CancellationToken cancellationToken)
    {
        if (options.Keep || _failures.Count > 0)
        {
            return;
        }

        foreach (var document in gone)
        {
            await RemoveAsync(document, cancellationToken);
            _deleted++;
        }
    }

    private async Task RemoveAsync(SyncedDocument document, CancellationToken cancellationToken)
    {
        try
        {
            await SendAsync(HttpMethod.Delete, $"v1/documents/{document.Id}", null, cancellationToken);
        }
        catch (ClientException error) when (error.Status == HttpStatusCode.NotFound)
        {
            // Somebody else was faster.
        }
    }

    /// <summary>Waits until no document of the folder is being read, and takes down those that could not be.</summary>
    private async Task AwaitReadingAsync(List<string> files, CancellationToken cancellationToken)
    {
        if (options.IsDry)
        {
            return;
        }

        var begun = TimeProvider.System.GetTimestamp();
        Dictionary<string, SyncedDocument> now;
        while ((now = await ListAsync(cancellationToken)).Values.Any(static one => one.Status == "processing"))
        {
            if (TimeProvider.System.GetElapsedTime(begun) > ReadingMax)
            {
                throw new ClientException("The server is still reading files; look at its documents later.");
            }

            await Task.Delay(Pause, TimeProvider.System, cancellationToken);
        }

        _failures.AddRange(now.Values.Where(one => one.Status == "failed" && files.Contains(one.Path))
            .Select(static one => $"{one.Path}: {one.Error}"));
    }

    private async Task<int> ReportAsync()
    {
        foreach (var failure in _failures)
        {
            // A name is whatever its file's owner made of it, and a terminal obeys control characters.
            await problems.WriteLineAsync(string.Concat(failure.Select(static c => char.IsControl(c) ? '?' : c)));
        }

        await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
            $"{(options.IsDry ? "Would be: " : "")}{_added} added, {_replaced} replaced, {_moved} moved, ")
            + string.Create(CultureInfo.InvariantCulture,
                $"{_deleted} deleted, {_same} unchanged, {_failures.Count} failed."));
        return _failures.Count == 0 ? 0 : 1;
    }

    /// <summary>A bar for who watches, nothing for a log.</summary>
    private static async Task WithProgressAsync(List<string> files, Func<string, Task> work)
    {
        if (Console.IsErrorRedirected)
        {
            foreach (var file in files)
            {
                await work(file);
            }

            return;
        }

        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        await console.Progress().AutoClear(true).StartAsync(async progress =>
        {
            var bar = progress.AddTask("documents", maxValue: Math.Max(1, files.Count));
            foreach (var file in files)
            {
                bar.Description = Markup.Escape(file.Length <= 40 ? file : "…" + file[^39..]);
                await work(file);
                bar.Increment(1);
            }
        });
    }
}

/// <summary>A document that was made of a file.</summary>
internal sealed record SyncedDocument(
    string Id, string Sync, string Path, string Sha256, string Status, string? Error, JsonElement Metadata)
{
    internal static SyncedDocument? Of(JsonElement document) =>
        document.GetProperty("metadata") is var metadata && Text(metadata, "sync") is { } sync
            && Text(metadata, "path") is { } path
            ? new SyncedDocument(document.GetProperty("id").GetString()!, sync, path,
                document.GetProperty("sha256").GetString()!, document.GetProperty("status").GetString()!,
                document.GetProperty("error") is { ValueKind: JsonValueKind.Object } error
                    ? error.GetProperty("message").GetString() : null, metadata)
            : null;

    private static string? Text(JsonElement metadata, string name) =>
        metadata.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String
            ? value.GetString() : null;
}
