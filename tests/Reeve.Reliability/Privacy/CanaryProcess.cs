using Reeve.Server.Storage;
using Reeve.Server.Tests;
using Reeve.Server.Tests.Process;

namespace Reeve.Reliability.Privacy;

/// <summary>The part of R17 that the environment and the file bring: a real process, and what it prints.</summary>
internal static class CanaryProcess
{
    internal static async Task UseAsync(Canaries canaries)
    {
        var folder = TestServer.NewFolder();
        var said = canaries.New("what a model says to the process", Canaries.Content);
        using var provider = new EchoingProvider(
            said, text => canaries.Search(Sinks.Provider, "a request of the process", text));
        try
        {
            await File.WriteAllTextAsync(Path.Combine(folder, "reeve.json"), $$"""
                {"inference":{"providers":[{"name":"house","kind":"openai","base_url":"{{provider.Url}}",
                  "api_key_env":"HOUSE_KEY","models":[{"id":"mesh/house-1","upstream":"house-1",
                    "context_tokens":128000,"max_output_tokens":4096,"input_usd_per_million":3,
                    "output_usd_per_million":15}]}]} }
                """);
            await ServeAsync(canaries, folder);
            await RefuseAsync(canaries, folder);
            CanaryHarness.SearchFolder(canaries, Path.Combine(folder, "data"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task ServeAsync(Canaries canaries, string folder)
    {
        var master = System.Security.Cryptography.RandomNumberGenerator.GetBytes(MasterKey.Length);
        canaries.Add("the master key of the environment", master);
        await using var process = await ReeveProcess.ServeAsync(folder,
            ("REEVE_MASTER_KEY", Convert.ToBase64String(master)), ("REEVE_ADMIN_KEY", TestServer.AdminKey),
            ("HOUSE_KEY", canaries.New("the key that api_key_env names", Sinks.Provider)),
            ("OPENAI_API_KEY", canaries.New("OPENAI_API_KEY")),
            ("ANTHROPIC_API_KEY", canaries.New("ANTHROPIC_API_KEY")),
            ("GEMINI_API_KEY", canaries.New("GEMINI_API_KEY")),
            ("REEVE_BACKUP_PASSPHRASE", canaries.New("REEVE_BACKUP_PASSPHRASE")),
            ("DATABASE_PASSWORD", canaries.New("a variable of somebody else's")));
        using var client = new TestClient(process.Url, TestServer.AdminKey);
        var agent = (await client.PostAsync("/v1/agents", """{"name":"Desk","model":"mesh/house-1"}""")).Json
            .GetProperty("id").GetString();
        foreach (var input in (string[])["Hi", "please refuse", "please break", "please babble", "please stumble"])
        {
            var answer = await client.PostAsync("/v1/agents/runs?stream=true",
                $$"""{"agent":"{{agent}}","input":"{{input}}"}""");
            canaries.Search(Sinks.Answer, "an answer of the process", answer.Text);
        }

        foreach (var path in (string[])["/v1/providers/config", "/v1/providers/health", "/v1/models", "/v1/logs"])
        {
            canaries.Search(Sinks.Export, path, (await client.GetAsync(path)).Text);
        }

        Assert.Equal(0, await process.TerminateAsync());
        canaries.Search(Sinks.Log, "what the process prints", process.Output + process.Log);
    }

    /// <summary>Starts that fail say what is wrong and not what stands there.</summary>
    private static async Task RefuseAsync(Canaries canaries, string folder)
    {
        foreach (var name in (string[])
            ["REEVE_MASTER_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL", "OLLAMA_HOST", "HOUSE_KEY", "REEVE_ADMIN_KEY"])
        {
            var wrong = canaries.New($"a wrong {name}");
            await using var process = ReeveProcess.Launch(folder, (name, $"http://user:{wrong}\u00e9@ x"));
            _ = await process.IsReadyAsync();
            canaries.Search(Sinks.Log, $"what a start with a wrong {name} prints", process.Output + process.Log);
        }
    }
}
