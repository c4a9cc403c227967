using System.Diagnostics;
using System.Text.Json;
using Reeve.Server.Inference;
using Reeve.Server.Tests.Clients;
using Reeve.Server.Tests.Runs;
using static Reeve.Server.Tests.Runs.ScriptedChatClient;
using SystemProcess = System.Diagnostics.Process;

namespace Reeve.Server.Tests.Chat;

/// <summary>Chat completions as the clients of other people read them (tests/clients).</summary>
public sealed class ChatClientTests
{
    [Fact]
    public async Task Clients_OfOpenAIAndOfTheAISdk_GetWhatTheyExpect()
    {
        await NodePackages.FindAsync("openai");
        using var embeddings = new ScriptedEmbeddings();
        using var model = new ScriptedChatClient()
            .Reply("Hello ", "there.", Usage(10, 3))
            .Reply("One ", "two.", Usage(10, 3))
            .Reply(Call("get_weather", """{"city":"Oslo"}"""))
            .Reply(Call("get_weather", """{"city":"Bergen"}"""))
            .Reply("There is sun in Bergen.")
            .Reply("Half", new ProviderException(ProviderFault.Unreachable, "gone"))
            .Reply("Made ", "whole.", Usage(1, 1))
            .Reply("Made ", "in pieces.", Usage(1, 1));
        await using var server = await TestServer.StartAsync(
            configure: builder =>
            {
                model.AddTo(builder);
                embeddings.AddTo(builder);
            },
            realTime: true);

        var said = await RunAsync("chat.mjs", server.Url.ToString(), TestServer.AdminKey, "mesh/house-1");

        Assert.Equal(
            [
                """whole ["Hello there.","stop",13]""", """stream ["One two.",13]""",
                """tool ["tool_calls","get_weather","Oslo"]""", """runTools "There is sun in Bergen." """.Trim(),
                """unknown ["NotFoundError","not_found","model"]""", "models true",
                """broken "provider_unavailable" """.Trim(), "embeddings [[4,4],2,true,5]",
                """generateText ["Made whole.","stop"]""",
                """streamText "Made in pieces." """.Trim(),
            ],
            said);
        await server.AssertSoundAsync();
    }

    private static async Task<IReadOnlyList<string>> RunAsync(params string[] args)
    {
        using var node = SystemProcess.Start(new ProcessStartInfo("node", args)
        {
            WorkingDirectory = NodePackages.Folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var errors = node.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        var output = await node.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await node.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(node.ExitCode == 0, await errors + output);
        return [.. output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static line =>
        {
            var one = JsonElement.Parse(line);
            return $"{one.GetProperty("name").GetString()} {one.GetProperty("value").GetRawText()}";
        })];
    }
}
