using System.Globalization;
using System.Net;
using System.Text.Json;
using Reeve.Server.Egress;
using Reeve.Server.Inference;
using Reeve.Server.Retrieval.Vectors;
using Reeve.Server.Runs;
using Reeve.Server.Storage;

namespace Reeve.Server;

/// <summary>
/// <c>reeve doctor</c>: looks at everything that a server needs and says of what is not well how to mend it. It
/// changes nothing, and may run beside a server.
/// </summary>
internal sealed class Doctor(TimeProvider time, Func<string, string?> environment)
{
    /// <summary>One a connection, and some for files; what a small node is expected to carry.</summary>
    private const long DescriptorsMin = 2_048;

    private const int AnswerSecondsMax = 5;
    private const int AnswerBytesMax = 1 << 16;

    private readonly Diagnosis _diagnosis = new();

    /// <summary>Prints what it found; 0 without a problem, else 1.</summary>
    /// <param name="args">Flags of <c>reeve serve</c>, as given.</param>
    /// <param name="url">The address of a server to ask as well; null asks none.</param>
    /// <param name="output">Gets a line a check.</param>
    /// <param name="cancellationToken">Ends it.</param>
    internal async Task<int> RunAsync(
        string[] args, string? url, TextWriter output, CancellationToken cancellationToken)
    {
        CheckRuntime(_diagnosis, Environment.Version);
        var folder = CheckOptions(args);
        CheckDescriptors(_diagnosis, OpenFiles.Max());
        CheckFailpoints();
        var isServed = DataFolder.IsHeld(Path.Combine(folder, DataFolder.LockName));
        var now = time.GetUtcNow();
        if (FolderDoctor.Check(_diagnosis, folder, isServed)
            && DatabaseDoctor.Check(_diagnosis, folder, environment(MasterKey.Variable), isServed, now))
        {
            RunDoctor.Check(_diagnosis, folder, isServed, now);
        }

        if (url is not null)
        {
            await AskAsync(url, cancellationToken);
        }

        foreach (var finding in _diagnosis.Findings)
        {
            await output.WriteLineAsync(finding.ToString());
        }

        await output.WriteLineAsync($"{Count(Health.Problem, "problem")}, {Count(Health.Warning, "warning")} in "
            + $"{_diagnosis.Findings.Count} checks");
        return _diagnosis.HasProblems ? 1 : 0;

        string Count(Health health, string what)
        {
            var count = _diagnosis.Findings.Count(finding => finding.Health == health);
            return count == 1 ? $"1 {what}" : $"{count} {what}s";
        }
    }

    internal static void CheckRuntime(Diagnosis diagnosis, Version version)
    {
        if (version < SelfCheck.RuntimeFloor)
        {
            diagnosis.Warn("runtime", $".NET {version} has published vulnerabilities.",
                $"Install the ASP.NET Core runtime {SelfCheck.RuntimeFloor} or newer.");
        }
        else
        {
            diagnosis.Ok("runtime", $".NET {version}, Reeve {ServerVersion.Number}.");
        }
    }

    internal static void CheckDescriptors(Diagnosis diagnosis, long? openFilesMax)
    {
        if (openFilesMax is not { } max)
        {
            return; // Only Linux tells.
        }

        var text = string.Create(CultureInfo.InvariantCulture, $"A process may have {max} files and connections open.");
        if (max < DescriptorsMin)
        {
            diagnosis.Warn("descriptors", text, "Each stream takes one: raise it with `ulimit -n 65536`, or with "
                + "LimitNOFILE= in the unit of a service.");
        }
        else
        {
            diagnosis.Ok("descriptors", text);
        }
    }

    private string CheckOptions(string[] args)
    {
        ReeveOptions options;
        try
        {
            options = ReeveOptionsReader.Read(args, environment,
                static path => File.Exists(path) ? File.ReadAllBytes(path) : null);
        }
        catch (ReeveOptionsException error)
        {
            _diagnosis.Problem("configuration", error.Message, "Mend that, or the server does not start.");
            var given = Array.IndexOf(args, "--data");
            return given >= 0 ? args[given + 1] : environment("REEVE_DATA") ?? new ReeveOptions().DataFolder;
        }

        _diagnosis.Ok("configuration", "It can be read.");
        CheckListening(options.Urls);
        CheckProviders(options.Inference.Providers);
        CheckEmbeddings(options.Retrieval.Embeddings);
        return options.DataFolder;
    }

    private void CheckListening(string urls)
    {
        var open = urls.Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            .Where(static url => url.StartsWith("http://", StringComparison.OrdinalIgnoreCase) && !IsLoopback(url))
            .ToList();
        if (open.Count > 0)
        {
            _diagnosis.Warn("listening", $"{string.Join(", ", open)} is open to others without TLS: keys and content "
                + "can be read on the way.", "Listen on http://127.0.0.1:5080 with a reverse proxy with TLS in front.");
        }
        else
        {
            _diagnosis.Ok("listening", $"{urls}.");
        }
    }

    private void CheckProviders(IReadOnlyList<ProviderOptions> providers)
    {
        var withoutKey = providers.Where(static provider => provider.ApiKey is null && !provider.OperatorRun
            && !IsLoopback(provider.BaseUrl.AbsoluteUri)).Select(static provider => provider.Name).ToList();
        if (withoutKey.Count > 0)
        {
            _diagnosis.Warn("providers", $"{string.Join(", ", withoutKey)} has no API key.",
                "Set OPENAI_API_KEY, ANTHROPIC_API_KEY or what api_key_env names, unless it asks for none.");
        }
        else if (providers.SelectMany(static provider => provider.Models).Where(static model => !model.IsPriced)
            .Select(static model => model.Id).ToList() is { Count: > 0 } unpriced)
        {
            _diagnosis.Warn("providers", $"{string.Join(", ", unpriced)} has no price: calls of it are free for all.",
                "Name its prices in the file, or 0 where it is free.");
        }
        else
        {
            _diagnosis.Ok("providers", providers.Count == 0
                ? "None is configured; the built-in reeve/quote answers from documents."
                : $"{string.Join(", ", providers.Select(static provider => provider.Name))}.");
        }
    }

    private void CheckEmbeddings(string? embeddings)
    {
        if (embeddings is null)
        {
            _diagnosis.Ok("embeddings", "None are configured; documents are found by their words.");
            return;
        }

        try
        {
            if (RetrievalOptions.IsFolder(embeddings))
            {
                OnnxEmbeddings.Load(embeddings).Dispose();
            }

            _diagnosis.Ok("embeddings", $"{embeddings}.");
        }
        catch (StartException error)
        {
            _diagnosis.Problem("embeddings", error.Message, "Mend that, or the server does not start.");
        }
    }

    private void CheckFailpoints()
    {
        if (environment(Failpoints.Variable) is { Length: > 0 })
        {
            _diagnosis.Warn("failpoints", $"{Failpoints.Variable} is set: a server started so breaks on purpose.",
                "Unset it everywhere but in tests.");
        }
    }

    private async Task AskAsync(string url, CancellationToken cancellationToken)
    {
        if (!Uri.TryCreate(url, UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https"))
        {
            _diagnosis.Problem("server", $"{url} is not an http or https address.",
                "Name one such as http://127.0.0.1:5080.");
            return;
        }

        using var http = new ProviderHttp();
        try
        {
            var (live, _) = await GetAsync(http, new Uri(address, "/health/live"), cancellationToken);
            var (ready, said) = await GetAsync(http, new Uri(address, "/health/ready"), cancellationToken);
            var (_, version) = await GetAsync(http, new Uri(address, "/version"), cancellationToken);
            Judge(url, live, ready, said, version);
        }
        catch (Exception error) when (error is HttpRequestException or IOException
            || (error is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            _diagnosis.Problem("server", $"{url} does not answer: {error.Message}.",
                "Start the server, or name the address that it printed when it was ready.");
        }
    }

    private void Judge(string url, int live, int ready, string said, string version)
    {
        if (live != 200)
        {
            _diagnosis.Problem("server", $"{url} answers {live} to /health/live, so it is not Reeve or not well.",
                "Name the address that the server printed when it was ready.");
        }
        else if (ready != 200)
        {
            _diagnosis.Problem("server", $"{url} is alive but takes no work ({ready}): {Member(said, "message")}",
                ready == 507 ? "Make room on the disk of the data folder." : "See its log; wait if it just starts.");
        }
        else if (Member(version, "version") is var running && running != ServerVersion.Number)
        {
            _diagnosis.Warn("server", $"{url} runs Reeve {running}, this is {ServerVersion.Number}.",
                "Restart the server to run what is installed.");
        }
        else
        {
            _diagnosis.Ok("server", $"{url} takes work.");
        }
    }

    private static async Task<(int Status, string Body)> GetAsync(
        ProviderHttp http, Uri url, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(AnswerSecondsMax));
        using var request = new HttpRequestMessage(HttpMethod.Get, url);
        using var answer = await http.SendAsync(request, limit.Token);
        await answer.Content.LoadIntoBufferAsync(AnswerBytesMax, limit.Token);
        return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync(limit.Token));
    }

    /// <summary>A member of a body or of its error; empty when it has none.</summary>
    private static string Member(string body, string name)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            var root = document.RootElement;
            return root.TryGetProperty("error", out var error) && error.TryGetProperty(name, out var inside)
                ? inside.ToString()
                : root.TryGetProperty(name, out var member) ? member.ToString() : "";
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            return "";
        }
    }

    private static bool IsLoopback(string url) => Uri.TryCreate(url, UriKind.Absolute, out var uri)
        && (uri.IsLoopback || (IPAddress.TryParse(uri.Host, out var address) && IPAddress.IsLoopback(address)));
}
