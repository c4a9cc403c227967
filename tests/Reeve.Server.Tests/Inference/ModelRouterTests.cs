using System.Diagnostics;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Time.Testing;
using Reeve.Server.Http;
using Reeve.Server.Inference;
using Reeve.Server.Privacy;

namespace Reeve.Server.Tests.Inference;

public sealed class ModelRouterTests
{
    private static readonly PrivacyMarks OperatorRun = new(true, true, false);

    private static readonly (Model, IChatClient) BuiltIn =
        (Named("reeve/quote", 0, 0, 50, 100_000) with
        {
            IsBuiltIn = true,
            Capabilities = new HashSet<string> { "chat", "tools", "streaming" },
        }, new NoClient());

    private readonly FakeTimeProvider _time = new();
    private readonly ProviderHealth _health;

    public ModelRouterTests() => _health = new ProviderHealth(_time);

    [Theory]
    [InlineData("cheapest", "mesh/a-weak", "the cheapest permitted model.")]
    [InlineData("auto", "mesh/b-mid", "sufficient quality")]
    [InlineData("best", "mesh/c-top", "highest quality")]
    [InlineData("fast", "mesh/c-top", "quickest")]
    [InlineData("mesh/c-top", "mesh/c-top", "named")]
    [InlineData("reeve/quote", "reeve/quote", "named")]
    public void Choose_Mode_TakesItsModel(string mode, string model, string reason)
    {
        _health.RecordFirstToken(Key("mesh/b-mid"), TimeSpan.FromSeconds(2));
        _health.RecordFirstToken(Key("mesh/c-top"), TimeSpan.FromSeconds(1));

        var route = Router(All()).Choose(Ask(mode));

        Assert.Equal(model, route.Model.Id);
        Assert.Equal(ModelCatalog.IsRouterMode(mode) ? mode : "direct", route.Tier);
        Assert.Contains(reason, route.Reason, StringComparison.Ordinal);
        Assert.EndsWith(".", route.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Choose_FastWithoutMeasurements_TakesTheCheapest() =>
        Assert.Equal("mesh/a-weak", Router(All()).Choose(Ask("fast")).Model.Id);

    [Fact]
    public void Choose_Fast_CountsTheWholeAnswer()
    {
        _health.RecordFirstToken(Key("mesh/b-mid"), TimeSpan.FromSeconds(2));
        _health.RecordFirstToken(Key("mesh/c-top"), TimeSpan.FromSeconds(1));
        _health.RecordTokens(Key("mesh/b-mid"), 100, TimeSpan.FromSeconds(1));
        _health.RecordTokens(Key("mesh/c-top"), 100, TimeSpan.FromSeconds(10));
        _health.RecordTokens(Key("mesh/c-top"), 15, TimeSpan.FromSeconds(0)); // Too few to say anything.

        Assert.Equal("mesh/b-mid", Router(All()).Choose(Ask("fast") with { OutputTokensMax = 4_096 }).Model.Id);
        Assert.Equal("mesh/c-top", Router(All()).Choose(Ask("fast") with { OutputTokensMax = 1 }).Model.Id);
    }

    [Fact]
    public void Choose_FastAfterAFailure_TakesAnother()
    {
        _health.RecordFirstToken(Key("mesh/b-mid"), TimeSpan.FromSeconds(2));
        _health.RecordFirstToken(Key("mesh/c-top"), TimeSpan.FromSeconds(1));
        _health.RecordFailure(Key("mesh/c-top"));
        Assert.Equal("mesh/b-mid", Router(All()).Choose(Ask("fast")).Model.Id);
    }

    [Fact]
    public void Choose_AutoWhenNoneIsGoodEnough_TakesTheCheapestOfAll() =>
        Assert.Equal("mesh/a-weak", Router([All()[0]]).Choose(Ask("auto")).Model.Id);

    [Theory]
    [InlineData("cheapest")]
    [InlineData("auto")]
    [InlineData("best")]
    [InlineData("fast")]
    public void Choose_Ties_AreBrokenByPriceThenById(string mode)
    {
        CatalogEntry[] entries = [Entry("mesh/z", 1, 1, 60), Entry("mesh/y", 1, 1, 60), Entry("mesh/a", 2, 1, 60)];
        Assert.Equal("mesh/y", Router(entries).Choose(Ask(mode)).Model.Id);
    }

    [Fact]
    public void Choose_Cheapest_CountsThePriceOfThisRequest()
    {
        CatalogEntry[] entries = [Entry("mesh/dear-output", 1, 100, 60), Entry("mesh/dear-input", 3, 1, 60)];
        Assert.Equal("mesh/dear-output", Router(entries).Choose(Ask("cheapest") with { OutputTokensMax = 1 }).Model.Id);
        Assert.Equal("mesh/dear-input", Router(entries).Choose(Ask("cheapest") with { OutputTokensMax = 90 }).Model.Id);
    }

    [Theory]
    [InlineData(PrivacyClass.Standard, "mesh/c-top")]
    [InlineData(PrivacyClass.PrivateGateway, "mesh/a-weak")]
    [InlineData(PrivacyClass.Protected, "mesh/a-weak")]
    [InlineData(PrivacyClass.Confidential, "reeve/quote")]
    internal void Choose_PrivacyClass_LeavesWhatItPermits(PrivacyClass privacyClass, string model)
    {
        var entries = All();
        entries[0] = entries[0] with { Privacy = OperatorRun };
        Assert.Equal(model, Router(entries).Choose(Ask("best") with { PrivacyClass = privacyClass }).Model.Id);
    }

    [Fact]
    public void Choose_TestKey_ReachesBuiltInModelsOnly()
    {
        var route = Router(All()).Choose(Ask("best") with { BuiltInOnly = true });
        Assert.Equal("reeve/quote", route.Model.Id);
        Assert.Equal("A test key reaches built-in models only.", route.Reason);
        Fails(ApiErrorCodes.NoPermittedRoute, "test key", Ask("mesh/c-top") with { BuiltInOnly = true });
    }

    [Fact]
    public void Choose_NothingConfigured_TakesTheBuiltIn()
    {
        var route = Router([]).Choose(Ask("auto"));
        Assert.Equal(("reeve/quote", "auto"), (route.Model.Id, route.Tier));
        Assert.Equal("No other model is configured.", route.Reason);
    }

    [Fact]
    public void Choose_Capability_IsNeeded()
    {
        var entries = All();
        entries[2] = entries[2] with
        {
            Model = entries[2].Model with { Capabilities = new HashSet<string> { "chat" } },
        };
        var ask = Ask("best") with { Needs = new HashSet<string> { "tools" } };
        Assert.Equal("mesh/b-mid", Router(entries).Choose(ask).Model.Id);

        var error = Assert.Throws<ApiException>(() => Router(entries).Choose(ask with { Model = "mesh/c-top" }));
        Assert.Equal(ApiErrorCodes.NoPermittedRoute, error.Code);
        Assert.Equal("The model mesh/c-top is ruled out by the lack of tools.", error.Message);
    }

    [Fact]
    public void Choose_NothingPermitted_SaysWhatRuledThemOut()
    {
        var error = Assert.Throws<ApiException>(() => Router(All()).Choose(Ask("auto") with
        {
            PrivacyClass = PrivacyClass.Confidential,
            Needs = new HashSet<string> { "structured_output" },
        }));
        Assert.Equal(ApiErrorCodes.NoPermittedRoute, error.Code);
        Assert.Equal(
            "No model is permitted: 3 ruled out by the privacy class confidential; "
            + "1 ruled out by the lack of structured_output.",
            error.Message);
    }

    [Fact]
    public void Choose_AllHaveFailed_IsUnavailableAndNeverTheBuiltIn()
    {
        var excluded = new HashSet<RouteKey> { Key("mesh/a-weak"), Key("mesh/b-mid"), Key("mesh/c-top") };
        var error = Fails(
            ApiErrorCodes.ProviderUnavailable, "No permitted provider", Ask("auto") with { Excluded = excluded });
        Assert.True(error.RetryAfterSeconds > 0);
        Fails(ApiErrorCodes.ProviderUnavailable, "No permitted", Ask("mesh/b-mid") with { Excluded = excluded });
    }

    [Fact]
    public void Choose_OneHasFailed_TakesTheNextAndSaysSo()
    {
        var route = Router(All()).Choose(Ask("auto") with { Excluded = new HashSet<RouteKey> { Key("mesh/b-mid") } });
        Assert.Equal("mesh/c-top", route.Model.Id);
        Assert.Contains("failed before", route.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Choose_BalanceTooLow_PassesOverWhileAnotherIsCovered()
    {
        // 100 prompt and 10 output tokens: a-weak 110, b-mid 220, c-top 330 micro-USD.
        var ask = Ask("best") with { AvailableMicroUsd = 220, OutputTokensMax = 10 };
        var route = Router(All()).Choose(ask);
        Assert.Equal("mesh/b-mid", route.Model.Id);
        Assert.Contains("the balance does not cover", route.Reason, StringComparison.Ordinal);
        Assert.Equal("mesh/a-weak", Router(All()).Choose(ask with { MarginRate = 0.1m }).Model.Id);

        // When it covers none, the hold says 402; a named model is never exchanged.
        Assert.Equal("mesh/c-top", Router(All()).Choose(ask with { AvailableMicroUsd = 0 }).Model.Id);
        Assert.Equal("mesh/c-top", Router(All()).Choose(ask with { Model = "mesh/c-top" }).Model.Id);
    }

    [Fact]
    public void Choose_PromptTooLong_PrefersAModelItFitsInto()
    {
        CatalogEntry[] entries = [Entry("mesh/small", 1, 1, 60, 1_000), Entry("mesh/large", 9, 9, 60, 50_000)];
        Assert.Equal("mesh/small", Router(entries).Choose(Ask("auto")).Model.Id);
        Assert.Equal("mesh/large", Router(entries).Choose(Ask("auto") with { PromptTokens = 20_000 }).Model.Id);
        Assert.Equal("mesh/small", Router(entries).Choose(Ask("auto") with { PromptTokens = 900_000 }).Model.Id);
    }

    [Fact]
    public void Choose_UnknownName_IsABadRequest()
    {
        var error = Fails(ApiErrorCodes.InvalidRequest, "no model", Ask("mesh/nothing"));
        Assert.Equal("model", error.Param);
    }

    /// <summary>The goal is 20 µs; the bound is one that a machine under load keeps too.</summary>
    [Theory]
    [InlineData("auto")]
    [InlineData("fast")]
    public void Choose_AmongHundredModels_CostsMicroseconds(string mode)
    {
        const int Count = 1_000;
        var router = Router([.. Enumerable.Range(0, 100).Select(i => Entry($"mesh/m{i}", i + 1, 1, i))]);
        var asked = Ask(mode) with { AvailableMicroUsd = 1_000_000 };
        for (var i = 0; i < 100; i++)
        {
            _health.RecordFirstToken(Key($"mesh/m{i}"), TimeSpan.FromSeconds(i));
            _health.RecordTokens(Key($"mesh/m{i}"), 100, TimeSpan.FromSeconds(1));
        }

        var best = double.MaxValue;
        for (var round = 0; round < 20; round++) // The first ones run before the code is optimized.
        {
            var started = Stopwatch.GetTimestamp();
            for (var i = 0; i < Count; i++)
            {
                router.Choose(asked);
            }

            best = Math.Min(best, Stopwatch.GetElapsedTime(started).TotalMicroseconds / Count);
        }

        TestContext.Current.SendDiagnosticMessage("{0} among 100 models: {1:0.0} µs", mode, best);
        Assert.True(best < 200, $"{best:0.0} µs");
    }

    [Fact]
    public void Choose_HundredModels_AllocatesTheRouteAlone()
    {
        var router = Router([.. Enumerable.Range(0, 100).Select(i => Entry($"mesh/m{i}", i + 1, 1, i))]);
        var ask = Ask("auto") with { AvailableMicroUsd = 1_000_000 };
        router.Choose(ask);

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 100; i++)
        {
            router.Choose(ask);
        }

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 100 * 200);
    }

    [Fact]
    public void Choose_OpenCircuit_IsPassedOverUntilItHasCooledDown()
    {
        var entries = All();
        entries[2] = Of(entries[2], "shaky");
        Break("shaky");
        Assert.Equal("mesh/b-mid", Router(entries).Choose(Ask("best")).Model.Id);
        var error = Assert.Throws<ApiException>(() => Router(entries).Choose(Ask("mesh/c-top")));
        Assert.Equal((ApiErrorCodes.ProviderUnavailable, 60), (error.Code, error.RetryAfterSeconds));

        _time.Advance(TimeSpan.FromSeconds(60));
        Assert.Equal("mesh/c-top", Router(entries).Choose(Ask("best")).Model.Id);
    }

    [Fact]
    public void Choose_DegradedProvider_ComesAfterTheOthers()
    {
        var entries = All();
        entries[2] = Of(entries[2], "shaky");
        Break("shaky", failures: 3);
        Assert.Equal("mesh/b-mid", Router(entries).Choose(Ask("best")).Model.Id);
        Assert.Equal("mesh/c-top", Router(entries).Choose(Ask("mesh/c-top")).Model.Id);
    }

    [Theory]
    [InlineData(false, 100)]
    [InlineData(true, 1)]
    public void Choose_ProviderThatIsOffOrFull_IsPassedOver(bool enabled, int concurrency)
    {
        var entries = All();
        entries[2] = Of(entries[2], "busy");
        _health.Of("busy").Settings = new ProviderSettings { Enabled = enabled, MaxConcurrency = concurrency };
        using var visit = _health.Of("busy").TryEnter();
        Assert.Equal("mesh/b-mid", Router(entries).Choose(Ask("best")).Model.Id);
        Assert.Equal(ApiErrorCodes.ProviderUnavailable,
            Assert.Throws<ApiException>(() => Router(entries).Choose(Ask("mesh/c-top"))).Code);
    }

    [Fact]
    public void Choose_ModelOfSeveralProviders_GoesByPriorityThenByWeight()
    {
        var one = Entry("mesh/one", 1, 1, 60);
        CatalogEntry[] entries = [Of(one, "first"), Of(one, "second"), Of(one, "third")];
        _health.Of("first").Settings = new ProviderSettings { Priority = 20 };
        _health.Of("second").Settings = new ProviderSettings { RoutingWeight = 3 };
        _health.Of("third").Settings = new ProviderSettings { RoutingWeight = 1 };
        var router = Router(entries);
        var chosen = Enumerable.Range(0, 4_000).Select(_ => router.Choose(Ask("mesh/one")).Model.Provider).ToList();
        Assert.DoesNotContain("first", chosen);
        Assert.InRange(chosen.Count(static name => name == "second"), 2_850, 3_150);

        var excluded = new HashSet<RouteKey> { new("mesh/one", "second"), new("mesh/one", "third") };
        Assert.Equal("first", router.Choose(Ask("mesh/one") with { Excluded = excluded }).Model.Provider);
    }

    [Fact]
    public void Choose_List_IsTriedInItsOrder()
    {
        var ask = Ask("mesh/c-top") with { Fallbacks = ["mesh/a-weak", "mesh/b-mid"] };
        Assert.Equal("mesh/c-top", Router(All()).Choose(ask).Model.Id);
        ask = ask with { Excluded = new HashSet<RouteKey> { Key("mesh/c-top") } };
        var route = Router(All()).Choose(ask);
        Assert.Equal(("mesh/a-weak", "direct"), (route.Model.Id, route.Tier));
        Assert.Contains("first of the list", route.Reason, StringComparison.Ordinal);
        var cheapest = ask with { Excluded = new HashSet<RouteKey>(), CheapestOfFallbacks = true };
        Assert.Equal("mesh/a-weak", Router(All()).Choose(cheapest).Model.Id);
        Fails(ApiErrorCodes.ProviderUnavailable, "No permitted", ask with
        {
            Excluded = new HashSet<RouteKey> { Key("mesh/a-weak"), Key("mesh/b-mid"), Key("mesh/c-top") },
        });
        Fails(ApiErrorCodes.NoPermittedRoute, "3 ruled out by the privacy class", ask with
        {
            PrivacyClass = PrivacyClass.Confidential,
        });
    }

    [Fact]
    public void Choose_ListAfterAMode_GoesOnWhenTheModesChoiceFailed()
    {
        var ask = Ask("best") with { Fallbacks = ["mesh/a-weak"] };
        Assert.Equal("mesh/c-top", Router(All()).Choose(ask).Model.Id);
        Assert.Equal("mesh/a-weak", Router(All()).Choose(ask with
        {
            Excluded = new HashSet<RouteKey> { Key("mesh/c-top") },
        }).Model.Id);
    }

    private static RouteKey Key(string model) => new(model, Sample.Model.Provider);

    private static CatalogEntry Of(CatalogEntry entry, string provider) =>
        entry with { Model = entry.Model with { Provider = provider } };

    private void Break(string provider, int failures = ProviderState.FailuresMin)
    {
        for (var i = 0; i < failures; i++)
        {
            using var visit = _health.Of(provider).TryEnter();
            visit!.Fail(ProviderFault.Overloaded);
        }
    }

    private ModelRouter Router(CatalogEntry[] entries) => new(new ModelCatalog([BuiltIn], entries), _health);

    private ApiException Fails(ApiErrorCode code, string words, RouteRequest ask)
    {
        var error = Assert.Throws<ApiException>(() => Router(All()).Choose(ask));
        Assert.Equal(code, error.Code);
        Assert.Contains(words, error.Message, StringComparison.Ordinal);
        return error;
    }

    private static CatalogEntry[] All() =>
    [
        Entry("mesh/a-weak", 1, 1, 20), Entry("mesh/b-mid", 2, 2, 50), Entry("mesh/c-top", 3, 3, 90),
    ];

    private static RouteRequest Ask(string model) => new()
    {
        Model = model,
        PrivacyClass = PrivacyClass.Standard,
        PromptTokens = 100,
        OutputTokensMax = 50,
    };

    private static CatalogEntry Entry(string id, decimal input, decimal output, int quality, int context = 100_000) =>
        new(Named(id, input, output, quality, context), new NoClient(), PrivacyMarks.Nothing);

    private static Model Named(string id, decimal input, decimal output, int quality, int context) => Sample.Model with
    {
        Id = id,
        InputUsdPerMillion = input,
        OutputUsdPerMillion = output,
        Quality = quality,
        ContextTokens = context,
    };
}

/// <summary>Stands where a client must be and is not called.</summary>
internal sealed class NoClient : IChatClient
{
    public Task<ChatResponse> GetResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null,
        CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null,
        CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public object? GetService(Type serviceType, object? serviceKey = null) => null;

    public void Dispose()
    {
    }
}
