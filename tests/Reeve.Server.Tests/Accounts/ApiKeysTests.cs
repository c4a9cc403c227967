using System.Text.Json;
using CsCheck;
using Reeve.Server.Accounts;
using Reeve.Server.Http;

namespace Reeve.Server.Tests.Accounts;

public sealed class ApiKeysTests
{
    private static readonly Gen<DateTimeOffset?> Ends = Gen.Int[0, 5].Select(static days =>
        days == 0 ? (DateTimeOffset?)null : TestServer.StartTime.AddDays(days));

    private static readonly Gen<NewApiKey> Wanted = Gen.Select(
        Gen.Int[1, (1 << 6) - 1], Gen.Int[0, 2], Ends,
        static (scopes, kind, end) => new NewApiKey(
            "k", [.. ApiKeyScopes.All.Where((_, bit) => (scopes >> bit & 1) == 1)])
        {
            Kind = ApiKeyKinds.All[kind],
            ExpiresAt = end,
        });

    /// <summary>Whatever keys make keys in whatever order, none can do more than the first.</summary>
    [Fact]
    public void RefuseWider_OverGenerations_NeverGivesMoreThanTheFirstKeyHas() =>
        Gen.Select(Wanted, Gen.Select(Gen.Int[0, 99], Wanted).Array[1, 20]).Sample(static (first, steps) =>
        {
            var keys = new List<NewApiKey> { first };
            foreach (var (maker, wanted) in steps)
            {
                if (Allows(keys[maker % keys.Count], wanted))
                {
                    keys.Add(wanted);
                }
            }

            foreach (var key in keys)
            {
                Assert.Subset(Effective(first), Effective(key));
                Assert.True((key.ExpiresAt ?? DateTimeOffset.MaxValue) <= (first.ExpiresAt ?? DateTimeOffset.MaxValue));
                Assert.True(first.Kind != ApiKeyKinds.MeshTest || key.Kind == ApiKeyKinds.MeshTest);
            }
        });

    [Fact]
    public void RefuseWider_OfItsOwnEqual_Allows() => Wanted.Sample(static key => Assert.True(Allows(key, key)));

    [Theory]
    [InlineData(100L, 1000L, 10, 5000L, true)]
    [InlineData(99L, 999L, 9, 4999L, true)]
    [InlineData(101L, 1000L, 10, 5000L, false)]
    [InlineData(null, 1000L, 10, 5000L, false)]
    [InlineData(100L, 1001L, 10, 5000L, false)]
    [InlineData(100L, null, 10, 5000L, false)]
    [InlineData(100L, 1000L, 11, 5000L, false)]
    [InlineData(100L, 1000L, null, 5000L, false)]
    [InlineData(100L, 1000L, 10, 5001L, false)]
    [InlineData(100L, 1000L, 10, null, false)]
    public void RefuseLooser_EachLimit_IsComparedWithTheMakersOwn(
        long? requestsPerMinute, long? requests, int? usd, long? tokens, bool isAllowed)
    {
        var wanted = new UsageLimits(requestsPerMinute, requests, usd, tokens);
        var own = new UsageLimits(100, 1000, 10, 5000);
        Caller MakerWith(string scope) => CallerOf(new NewApiKey("k", [scope]) { Limits = own });

        ApiKeys.RefuseLooser(MakerWith("admin"), wanted);
        if (isAllowed)
        {
            ApiKeys.RefuseLooser(MakerWith("keys"), wanted);
        }
        else
        {
            var error = Assert.Throws<ApiException>(() => ApiKeys.RefuseLooser(MakerWith("keys"), wanted));
            Assert.Equal((ApiErrorCodes.Forbidden, "limits"), (error.Code, error.Param));
        }
    }

    private static HashSet<string> Effective(NewApiKey key) =>
        key.Scopes.Contains(ApiKeyScopes.Admin) ? [.. ApiKeyScopes.All] : [.. key.Scopes];

    private static bool Allows(NewApiKey maker, NewApiKey wanted)
    {
        try
        {
            ApiKeys.RefuseWider(CallerOf(maker), wanted);
            return true;
        }
        catch (ApiException error)
        {
            Assert.Equal(ApiErrorCodes.Forbidden, error.Code);
            return false;
        }
    }

    private static Caller CallerOf(NewApiKey key) => new(
        new Account
        {
            Id = "acct_06EY539WF2JMVJGR4MRBP7BD2C",
            Name = "a",
            Plan = AccountPlans.Pro,
            Status = AccountStatuses.Active,
            IsOperator = false,
            Limits = UsageLimits.None,
            Metadata = JsonElement.Parse("{}"),
            CreatedAt = TestServer.StartTime,
        },
        new ApiKey
        {
            Id = "key_06EY539WGMFWP6BH2X299NJ97G",
            Name = key.Name,
            Kind = key.Kind,
            Scopes = key.Scopes.ToHashSet(),
            LastFour = "abcd",
            Limits = key.Limits,
            ExpiresAt = key.ExpiresAt,
            CreatedAt = TestServer.StartTime,
        });
}
