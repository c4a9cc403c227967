using System.Text.Json;

namespace Reeve.Bench;

/// <summary>A Reeve of our own: configuration, first start, an agent for each way the mock answers.</summary>
internal static class ReeveSetup
{
    internal const long StartingBalanceUsd = 1_000_000;
    internal const int InputUsdPerMillion = 3;
    internal const int OutputUsdPerMillion = 15;

    /// <summary>Nothing but the server itself may slow the load down.</summary>
    private const long RequestsPerMinute = 1_000_000_000;
    private const string Provider = "house";

    internal static async Task<ServerCommand> CommandAsync(
        BenchOptions options, string folder, Uri mock, string key, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(folder);
        var configuration = Path.Combine(folder, "reeve.json");
        await File.WriteAllBytesAsync(configuration, Configuration(mock), cancellationToken);
        var url = ServerProcess.FreeUrl();
        return new ServerCommand
        {
            Name = "Reeve",
            File = options.ReeveFile,
            Arguments =
            [
                "serve", "--urls", url.GetLeftPart(UriPartial.Authority), "--data", Path.Combine(folder, "data"),
                "--config", configuration,
            ],
            Url = url,
            Folder = folder,
            Environment = new() { ["REEVE_ADMIN_KEY"] = key, ["BENCH_HOUSE_KEY"] = "unused" },
        };
    }

    /// <summary>Lifts the limits and makes the agents; what the server does not have yet becomes a note.</summary>
    internal static async Task<IReadOnlyDictionary<string, string>> PrepareAsync(
        ReeveApi api, List<string> notes, CancellationToken cancellationToken)
    {
        var account = await api.GetAsync("/v1/accounts/me", cancellationToken);
        (string Path, string Body)[] limits =
        [
            ($"/v1/accounts/{account.GetProperty("id").GetString()}/limits",
                $$"""{"requestsPerMinute":{{RequestsPerMinute}}}"""),
            ($"/v1/providers/config/{Provider}", """{"maxConcurrency":10000,"timeoutMs":600000}"""),
        ];
        foreach (var (path, body) in limits)
        {
            if (!await api.TryPatchAsync(path, body, cancellationToken))
            {
                notes.Add($"The server has no PATCH {path}; its defaults were in force.");
            }
        }

        var agents = new Dictionary<string, string>();
        foreach (var model in MockModels.All)
        {
            var agent = await api.PostAsync(
                "/v1/agents",
                $$"""{"name":"Bench {{model}}","model":"{{ModelId(model)}}","conversation_limit":1000000}""",
                cancellationToken);
            agents[model] = agent.GetProperty("id").GetString()!;
        }

        return agents;
    }

    private static string ModelId(string upstream) => $"{Provider}/{upstream}";

    private static byte[] Configuration(Uri mock)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteStartObject("inference");
            json.WriteStartArray("providers");
            json.WriteStartObject();
            json.WriteString("name", Provider);
            json.WriteString("kind", "openai");
            json.WriteString("base_url", new Uri(mock, "/v1").ToString());
            json.WriteString("api_key_env", "BENCH_HOUSE_KEY");
            json.WriteStartArray("models");
            foreach (var model in MockModels.All)
            {
                WriteModel(json, model);
            }

            json.WriteEndArray();
            json.WriteEndObject();
            json.WriteEndArray();
            json.WriteEndObject();
            json.WriteStartObject("credits");
            json.WriteNumber("starting_balance_usd", StartingBalanceUsd);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        return stream.ToArray();
    }

    private static void WriteModel(Utf8JsonWriter json, string model)
    {
        json.WriteStartObject();
        json.WriteString("id", ModelId(model));
        json.WriteString("upstream", model);
        json.WriteNumber("context_tokens", 128_000);
        json.WriteNumber("max_output_tokens", 4_096);
        json.WriteNumber("quality", 50);
        json.WriteNumber("input_usd_per_million", InputUsdPerMillion);
        json.WriteNumber("output_usd_per_million", OutputUsdPerMillion);
        json.WriteStartArray("capabilities");
        json.WriteStringValue("chat");
        json.WriteStringValue("streaming");
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
