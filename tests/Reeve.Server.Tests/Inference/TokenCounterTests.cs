using System.Diagnostics;
using System.Text.Json;
using CsCheck;
using Microsoft.Extensions.AI;
using Reeve.Server.Inference;

namespace Reeve.Server.Tests.Inference;

public sealed class TokenCounterTests
{
    private const string English =
        "A reeve is the agent who acts for the owner of an estate. The server keeps the conversation, retrieves and "
            + "cites "
        + "the documents, calls the tools, routes to a permitted model, holds and settles the credits, and signs a r"
        + "eceipt. "
        + "When the request is refused before admission, nothing is left behind: no run, no message and no record of"
        + " it.";

    private const string German =
        "Die Datenschutz-Grundverordnung verpflichtet Verantwortliche, personenbezogene Daten nur für festgelegte Zw"
            + "ecke "
        + "zu verarbeiten. Außerdem müssen Betroffene über die Speicherdauer unterrichtet werden, und zwar in klarer"
        + " und "
        + "einfacher Sprache; Verstöße können mit empfindlichen Geldbußen geahndet werden.";

    private const string Chinese =
        "服务器保存对话,检索并引用文档,调用工具,选择允许的模型,预留并结算积分,最后签署收据。"
        + "如果请求在受理之前被拒绝,则不会留下任何记录:没有运行,没有消息,也没有预留的金额。";

    private const string Code =
        """
        internal static long Estimate(Model model, long inputTokens, long outputTokens, decimal marginRate)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(marginRate);
            var upstream = decimal.Ceiling(Upstream(model, inputTokens, outputTokens));
            for (var i = 0; i < items.Count; i++) { total += items[i].Price * items[i].Count; }
            return decimal.ToInt64(upstream + decimal.Ceiling(upstream * marginRate));
        }
        """;

    [Theory]
    [InlineData(English, 1.7)]
    [InlineData(German, 1.9)]
    [InlineData(Chinese, 1.9)]
    [InlineData(Code, 1.7)]
    public void Estimate_Samples_AreRatherOverThanUnder(string text, double ratioMax)
    {
        var count = TokenCounter.Count(text);
        Assert.InRange(TokenCounter.Estimate(text) / (double)count, 1, ratioMax);
    }

    [Fact]
    public void Estimate_SentencesOfTheSamples_AreNearlyNeverUnder()
    {
        var sentences = new[] { English, German, Chinese }
            .SelectMany(text => text.Split(['.', '。', ';'], StringSplitOptions.RemoveEmptyEntries)).ToList();
        Assert.All(
            sentences,
            sentence => Assert.True(TokenCounter.Estimate(sentence) >= TokenCounter.Count(sentence), sentence));
    }

    [Theory]
    [InlineData("", 0)]
    [InlineData("a", 1)]
    [InlineData("hello world", 2)]
    public void Count_KnownTexts_AreThoseOfO200k(string text, int tokens) =>
        Assert.Equal(tokens, TokenCounter.Count(text));

    [Fact]
    public void Count_JoinedTexts_IsAboutTheSum() =>
        Gen.Select(Gen.String, Gen.String).Sample((left, right) =>
        {
            var (a, b) = (TokenCounter.Count(left), TokenCounter.Count(right));
            var joined = TokenCounter.Count(left + right);

            // A seam can merge what was apart; it can also split anew what was whole on either side.
            Assert.InRange(joined, 0, a + b + 4);
            Assert.True(joined >= Math.Max(a, b) - 4);
        });

    [Fact]
    public void Count_LongRunOfOneCharacter_TakesLinearTime()
    {
        TokenCounter.Count("a");
        var watch = Stopwatch.StartNew();
        Assert.InRange(TokenCounter.Count(new string('a', 200_000)), 1, 200_000);

        // Whole, this takes about 45 seconds; in pieces, a fraction of one.
        Assert.InRange(watch.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(10));
    }

    [Fact]
    public void Count_LongText_IsTheSumOfItsParts()
    {
        var text = string.Join(" ", Enumerable.Repeat(English, 50));
        var alone = TokenCounter.Count(" " + English);
        Assert.InRange(TokenCounter.Count(text), (50 * alone) - 5, (50 * alone) + 5);
    }

    [Fact]
    public void EstimatePrompt_AllParts_AreWithinReachOfTheCount()
    {
        ChatMessage[] messages =
        [
            new(ChatRole.System, English),
            new(ChatRole.User,
            [
                new TextContent(German),
                new SourceContent("chk_06F756P4FACZVBZ5JCJKSNJMNW", "a.md", ["H"], English),
            ]),
            new(ChatRole.Assistant,
            [
                new FunctionCallContent("c", "search", new Dictionary<string, object?> { ["query"] = English }),
            ]),
            new(ChatRole.Tool, [new FunctionResultContent("c", English)]),
        ];
        var schema = JsonElement.Parse(
            """{"type":"object","properties":{"query":{"type":"string","description":"What to find."}}}""");
        AITool[] tools = [AIFunctionFactory.CreateDeclaration("search", English, schema)];

        var estimate = TokenCounter.EstimatePrompt(messages, tools, schema);
        var count = TokenCounter.CountPrompt(messages, tools, schema);

        Assert.True(count > 5 * TokenCounter.Count(English));
        Assert.InRange(estimate / (double)count, 1, 1.7);
    }
}
