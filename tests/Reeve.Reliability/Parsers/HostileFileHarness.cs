using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Reeve.Reliability.Abuse;
using Reeve.Reliability.Simulation;
using Reeve.Server.Tests;
using Reeve.Server.Tests.Process;
using Reeve.Server.Tests.Retrieval;
using Reeve.Server.Tests.Retrieval.Parsing;

namespace Reeve.Reliability.Parsers;

/// <summary>
/// R20: files that are broken or made to break what reads them, sent to a real server whose parsers are processes of
/// their own. The server lives and stays small, says of each file why it has no text, and reads the good ones between.
/// </summary>
internal sealed class HostileFileHarness(TestClient client, ReeveProcess server)
{
    private const int FilesMin = 60;
    private const int GoodEvery = 10;

    /// <summary>
    /// By so much the first round may make the server grow: what it had to do for each format once, and what uploads
    /// left to the collector. The aim is 64.
    /// </summary>
    private const long FirstMebibytesMax = 128;

    /// <summary>And by so much all further ones.</summary>
    private const long GrowthMebibytesMax = 64;

    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan CalmMax = TimeSpan.FromSeconds(20);

    private readonly List<string> _problems = [];
    private readonly SortedDictionary<string, int> _ends = new(StringComparer.Ordinal);
    private TimeSpan _slowest;
    private string _slowestName = "";

    internal static async Task<Score> RunAsync(Trial trial)
    {
        var files = HostileFiles.All().ToList();
        var folder = TestServer.NewFolder();
        try
        {
            await using var server = await ReeveProcess.ServeAsync(folder, ("REEVE_ADMIN_KEY", TestServer.AdminKey));
            using var client = new TestClient(server.Url, TestServer.AdminKey);
            return await new HostileFileHarness(client, server).RunAsync(trial, files);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private async Task<Score> RunAsync(Trial trial, List<(string Name, byte[] File, string? Reason)> files)
    {
        if (files.Count < FilesMin)
        {
            _problems.Add($"there are only {files.Count} files");
        }

        // What the server needs once for uploads of any kind is no growth.
        await SendGoodAsync("demo", "first");
        using var watch = new MemoryWatch(server);
        var rounds = trial.Count(1, 1, 5);
        var random = new SimRandom(trial.Seed);
        var first = 0L;
        for (var round = 0; round < rounds && !server.HasExited; round++)
        {
            var agent = await NewAgentAsync(round); // Known bytes would not be read again.
            var left = files.ToList();
            for (var i = 0; left.Count > 0 && !server.HasExited; i++)
            {
                var at = random.Below(left.Count);
                await SendAsync(agent, left[at]);
                left.RemoveAt(at);
                if (i % GoodEvery == GoodEvery - 1)
                {
                    await SendGoodAsync(agent, $"Good {round}-{i}");
                }
            }

            first = round == 0 ? watch.Mebibytes : first;
            trial.Log($"round {round + 1}: {watch.Mebibytes:+0;-0;0} MiB");
        }

        if (server.HasExited)
        {
            _problems.Add($"the server ended: {server.Log}");
        }

        var growth = await CalmAsync(watch, first);
        var most = await watch.EndAsync();
        if (first > FirstMebibytesMax || growth - first > GrowthMebibytesMax)
        {
            _problems.Add($"the server grew by {first} MiB and then to {growth} MiB");
        }

        var ends = string.Join(", ", _ends.Select(static end => $"{end.Value} {end.Key}"));
        return new Score(rounds * files.Count, string.Create(CultureInfo.InvariantCulture,
            $"{files.Count} files, {rounds} times: {ends}"
            + $"; the slowest {_slowestName}, {_slowest.TotalSeconds:F1} s; server {first:+0;-0;0} MiB after the first "
            + $"round, {growth:+0;-0;0} after the last, {most:+0;-0;0} at most"), _problems);
    }

    /// <summary>What the server has beyond the beginning, once the collector had time.</summary>
    private async Task<long> CalmAsync(MemoryWatch watch, long first)
    {
        var begun = Stopwatch.GetTimestamp();
        while (!server.HasExited && watch.Mebibytes > first + GrowthMebibytesMax
            && Stopwatch.GetElapsedTime(begun) < CalmMax)
        {
            await client.GetAsync("/v1/agents/demo/documents");
            await Task.Delay(Look, TimeProvider.System, CancellationToken.None);
        }

        return server.HasExited ? 0 : watch.Mebibytes;
    }

    private async Task SendAsync(string agent, (string Name, byte[] File, string? Reason) sent)
    {
        var begun = Stopwatch.GetTimestamp();
        string status, said;
        try
        {
            (status, said) = await EndAsync(await client.UploadAsync(agent, sent.File, sent.Name));
        }
        catch (HttpRequestException error)
        {
            (status, said) = ("no answer", error.Message);
        }

        var took = Stopwatch.GetElapsedTime(begun);
        (_slowest, _slowestName) = took > _slowest ? (took, sent.Name) : (_slowest, _slowestName);
        _ends[status] = _ends.GetValueOrDefault(status) + 1;
        var isRight = status == "ready" ? sent.Reason is null
            : status is "failed" or "refused" && said.EndsWith('.')
                && (sent.Reason is null || said.Contains(sent.Reason, StringComparison.Ordinal));
        if (!isRight)
        {
            _problems.Add($"{sent.Name}: {status} {said}");
        }
    }

    private async Task SendGoodAsync(string agent, string words)
    {
        var (status, said) = await EndAsync(
            await client.UploadAsync(agent, SampleFiles.Pdf([(11, 700, $"{words} lantern")]), "good.pdf"));
        if (status != "ready")
        {
            _problems.Add($"a good file was {status} {said}");
        }
    }

    private async Task<(string Status, string Said)> EndAsync(TestAnswer answer)
    {
        if (answer.Status is not (200 or 201))
        {
            return (answer.Status == 400 ? "refused" : $"{answer.Status}",
                answer.Json.GetProperty("error").GetProperty("message").GetString()!);
        }

        var path = $"/v1/documents/{answer.Json.GetProperty("id").GetString()}";
        while (answer.Json.GetProperty("status").GetString() == "processing")
        {
            await Task.Delay(Look, TimeProvider.System, CancellationToken.None);
            answer = await client.GetAsync(path);
        }

        var error = answer.Json.GetProperty("error");
        return (answer.Json.GetProperty("status").GetString()!,
            error.ValueKind == JsonValueKind.Null ? "" : error.GetProperty("message").GetString()!);
    }

    private async Task<string> NewAgentAsync(int round)
    {
        var made = await client.PostAsync("/v1/agents", $$"""{"name":"Round {{round}}","model":"reeve/quote"}""");
        return made.Json.GetProperty("id").GetString()!;
    }
}
