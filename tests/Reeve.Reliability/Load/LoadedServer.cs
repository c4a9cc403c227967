using System.Globalization;
using Reeve.Server.Tests;
using Reeve.Server.Tests.Process;

namespace Reeve.Reliability.Load;

/// <summary>A data folder with a configuration for load, and the real server on it, as often as needed.</summary>
internal sealed class LoadedServer : IAsyncDisposable
{
    private const string Agent = "\"name\":\"Desk\",\"model\":\"mesh/house-1\",\"conversation_limit\":1000000";

    private readonly bool _ownsFolder;

    /// <param name="model">Its provider.</param>
    /// <param name="limits">Members of <c>limits</c> in the configuration, each followed by a comma.</param>
    /// <param name="folder">Where it lives; a new temporary folder when left out.</param>
    internal LoadedServer(RawModel model, string limits = "", string? folder = null)
    {
        (_ownsFolder, Folder) = (folder is null, folder ?? TestServer.NewFolder());
        File.WriteAllText(Path.Combine(Folder, "reeve.json"),
            $$"""
            {"credits":{"starting_balance_usd":1000000},
             "limits":{ {{limits}} "requests_per_minute":{"enterprise":10000000} },
             "inference":{"tiers":{"mesh/embed":"mesh/house-e"},
              "providers":[{"name":"house","kind":"openai","base_url":"{{model.Url}}",
               "models":[{"id":"mesh/house-1","upstream":"house-1","context_tokens":128000,"max_output_tokens":4096,
                 "quality":50,"input_usd_per_million":3,"output_usd_per_million":15},
                {"id":"mesh/house-e","upstream":"house-e","context_tokens":8191,"dimensions":2,
                 "input_usd_per_million":20,"capabilities":["embeddings","dimensions"]}]}]} }
            """);
    }

    internal string Folder { get; }

    /// <summary>The one that was started last.</summary>
    internal ReeveProcess Process { get; private set; } = null!;

    internal Uri Url => Process.Url;

    internal string AgentId { get; private set; } = "";

    internal async Task StartAsync(params (string Name, string Value)[] environment)
    {
        await StopUsingAsync();
        Process = await ReeveProcess.ServeAsync(
            Folder, [("REEVE_ADMIN_KEY", TestServer.AdminKey), .. environment]);
        if (AgentId.Length == 0)
        {
            using var client = NewClient();
            var answer = await client.PostAsync("/v1/agents", $"{{{Agent}}}");
            AgentId = answer.Json.GetProperty("id").GetString()!;
        }
    }

    internal TestClient NewClient() => new(Url, TestServer.AdminKey);

    /// <summary>Kills it if it still runs.</summary>
    internal async Task KillAsync()
    {
        if (!Process.HasExited)
        {
            await Process.KillAsync();
        }
    }

    /// <summary>The most memory that the process had resident so far, in MiB.</summary>
    internal long PeakMebibytes() => long.Parse(
        File.ReadLines($"/proc/{Process.ProcessId}/status")
            .First(static line => line.StartsWith("VmHWM:", StringComparison.Ordinal))
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) / 1024;

    /// <summary>What <c>reeve verify</c> complains of; null: nothing.</summary>
    internal async Task<string?> VerifyAsync()
    {
        var (code, output, errors) = await ReeveProcess.VerifyAsync(Folder);
        return code == 0 && output.StartsWith("0 violations in ", StringComparison.Ordinal)
            ? null
            : $"reeve verify: {output}{errors}";
    }

    public async ValueTask DisposeAsync()
    {
        await StopUsingAsync();
        if (_ownsFolder)
        {
            Directory.Delete(Folder, recursive: true);
        }
    }

    private async Task StopUsingAsync()
    {
        if (Process is not null)
        {
            await Process.DisposeAsync();
        }
    }
}
