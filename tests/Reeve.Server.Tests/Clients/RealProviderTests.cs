using System.Text.Json;
using Microsoft.Extensions.AI;
using Reeve.Server.Egress;
using Reeve.Server.Http;
using Reeve.Server.Inference;
using Reeve.Server.Tests.Inference;

namespace Reeve.Server.Tests.Clients;

/// <summary>
/// A few calls of a real provider, whose key or address stands in the environment. They cost a little, so they are run
/// by hand.
/// </summary>
[Trait("Execution", "Manual")]
public sealed class RealProviderTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<string, bool> Known
    {
        get
        {
            var data = new TheoryData<string, bool>();
            foreach (var provider in WellKnownModels.Providers)
            {
                data.Add(provider.Name, false);
            }

            data.Add("openai", true);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Known))]
    public async Task Provider_WithAKey_AnswersCallsAToolSeesAnImageAndCounts(string name, bool responses)
    {
        var known = WellKnownModels.Providers.First(provider => provider.Name == name);
        var variable = known.KeyVariable ?? known.AddressVariable;
        Assert.SkipWhen(
            string.IsNullOrEmpty(Environment.GetEnvironmentVariable(variable)), $"{variable} is not set.");
        var api = responses ? ",\"api\":\"responses\"" : "";
        var options = new ProviderOptionsReader(Environment.GetEnvironmentVariable).Read(
            new RequestObject(JsonElement.Parse(
                $"{{\"providers\":[{{\"name\":\"{name}\",\"kind\":\"{known.Kind}\"{api}}}]}}")));
        using var http = new ProviderHttp();
        var entry = ConfiguredModels.Create(options, Sample.Tools(http))
            .Where(one => one.Model.Provider == name).MinBy(one => one.Model.InputUsdPerMillion)!;

        var whole = await entry.Client.GetResponseAsync(
            [new(ChatRole.System, "Answer with one word."), new(ChatRole.User, "What is the capital of Norway?")],
            new ChatOptions { MaxOutputTokens = 2_000 }, Cancellation);
        Assert.Contains("Oslo", whole.Text, StringComparison.OrdinalIgnoreCase);
        Assert.True(whole.Usage is { InputTokenCount: > 0, OutputTokenCount: > 0 });

        var updates = await entry.Client.GetStreamingResponseAsync(
            [new(ChatRole.User, "Count from 1 to 5 in digits.")], new ChatOptions { MaxOutputTokens = 2_000 },
            Cancellation).ToListAsync(Cancellation);
        Assert.Contains("5", string.Concat(updates.Select(update => update.Text)), StringComparison.Ordinal);
        Assert.Contains(updates[^1].Contents, content => content is UsageContent);

        if (entry.Model.Capabilities.Contains(Capabilities.Tools))
        {
            await CallToolAsync(entry.Client);
        }

        if (entry.Model.Capabilities.Contains(Capabilities.Vision))
        {
            await SeeAsync(entry.Client);
        }
    }

    private static async Task CallToolAsync(IChatClient client)
    {
        var weather = AIFunctionFactory.CreateDeclaration(
            "get_weather", "Tells the weather of a city.", JsonElement.Parse(
                """{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"""));
        var options = new ChatOptions { Tools = [weather], MaxOutputTokens = 2_000 };
        List<ChatMessage> messages = [new(ChatRole.User, "What is the weather in Oslo? Use the tool.")];
        var asked = await client.GetResponseAsync(messages, options, Cancellation);
        var call = asked.Messages[0].Contents.OfType<FunctionCallContent>().First();
        Assert.Equal("get_weather", call.Name);

        messages.AddRange(asked.Messages);
        messages.Add(new(ChatRole.Tool, [new FunctionResultContent(call.CallId, "{\"sky\":\"purple\"}")]));
        var answer = await client.GetResponseAsync(messages, options, Cancellation);
        Assert.Contains("purple", answer.Text, StringComparison.OrdinalIgnoreCase);
    }

    private static async Task SeeAsync(IChatClient client)
    {
        // A red square of 8 by 8.
        var png = Convert.FromBase64String(
            "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEklEQVR4nGP4z8CAFWEXHbQSACj/P8Fu7N9hAAAAAElFTkSuQmCC");
        var seen = await client.GetResponseAsync(
            [new(ChatRole.User, [new TextContent("Which colour is this?"), new DataContent(png, "image/png")])],
            new ChatOptions { MaxOutputTokens = 2_000 }, Cancellation);
        Assert.Contains("red", seen.Text, StringComparison.OrdinalIgnoreCase);
    }
}
