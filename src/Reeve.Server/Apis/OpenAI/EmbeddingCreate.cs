using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Reeve.Server.Accounts;
using Reeve.Server.Http;
using Reeve.Server.Inference;
using Reeve.Server.Privacy;
using Reeve.Server.Receipts;
using Reeve.Server.Runs;

namespace Reeve.Server.Apis.OpenAI;

/// <summary>The body of <c>POST /v1/embeddings</c> (wire-mesh 4.2), checked.</summary>
internal sealed record EmbeddingCreate
{
    internal const int TextsMax = 2_048;
    internal const int DimensionsMax = 65_536;

    private const int TextTokensMax = 8_192;

    /// <summary>Longer words are rare, so a text of more than these a token is refused without counting.</summary>
    private const int TokenCharactersMax = 16;

    /// <summary>The most tokens that a character takes, so that a short text needs no counting.</summary>
    private const int CharacterTokensMax = 3;

    internal required StartRun Start { get; init; }

    internal required EmbeddingRequest Request { get; init; }

    internal required bool IsBase64 { get; init; }

    /// <summary>True: the answer brings the server's attestation.</summary>
    internal required bool IsAttested { get; init; }

    internal static async Task<EmbeddingCreate> ReadAsync(
        HttpContext context, ReeveOptions options, ModelCatalog catalog)
    {
        _ = new RequestQuery(context);
        using var document = await RequestBody.ReadAsync(context, options.Limits.ChatBytesMax);
        var body = new RequestObject(document.RootElement);
        var name = body.String("model", 1, 256) ?? ModelTiers.Embed;
        var isBase64 = body.Word("encoding_format", "float", "base64") == "base64";
        var dimensions = (int?)body.Integer("dimensions", 1, DimensionsMax);
        var user = body.String("user", 1, 128);
        var (privacyClass, isAttested) = ReadPrivacy(body);
        var texts = ReadInput(body);
        var routes = RoutesOf(name, catalog);
        RequireDimensions(body, dimensions, routes);
        RequireLengths(body, texts, Math.Min(TextTokensMax, routes.Max(static route => route.Model.ContextTokens)));
        var request = new EmbeddingRequest
        {
            Model = name,
            Texts = texts,
            Tokens = EmbeddingRequest.Estimate(texts),
            Dimensions = dimensions,
            Admitted = new EmbeddingAdmitted
            {
                Texts = texts.Count,
                TextsSha256 = Hash(body.Require("input")),
                Dimensions = dimensions,
            },
        };
        return new EmbeddingCreate
        {
            Request = request,
            IsBase64 = isBase64,
            IsAttested = isAttested,
            Start = new StartRun
            {
                Payer = Payers.Of(context.Caller()),
                RequestId = context.TraceIdentifier,
                Agent = null,
                Input = "",
                UserId = user,
                User = RunUser.Show(user, null, null),
                CancelOnDisconnect = true,
                Whole = true,
                PrivacyClass = privacyClass,
                Embedding = request,
            },
        };
    }

    /// <summary>As of a chat; but a sealed prompt has nothing to be put into.</summary>
    private static (PrivacyClass Class, bool IsAttested) ReadPrivacy(RequestObject body)
    {
        var asked = ReadClass(body, "privacy_class");
        if (body.Object("privacy") is not { } privacy)
        {
            return (asked, false);
        }

        var mode = privacy.Word("mode", "standard", "mesh");
        asked = PrivacyClasses.Stricter(asked, ReadClass(privacy, "class"));
        privacy.RejectUnknown();
        return (asked, mode == "mesh");
    }

    private static PrivacyClass ReadClass(RequestObject body, string name) =>
        body.Word(name, PrivacyClasses.Words) is { } word ? PrivacyClasses.Parse(word) : PrivacyClass.Standard;

    private static List<string> ReadInput(RequestObject body)
    {
        var input = body.Require("input");
        var isFit = input.ValueKind == JsonValueKind.String
            || (input.ValueKind == JsonValueKind.Array && input.GetArrayLength() is >= 1 and <= TextsMax);
        return !isFit
            ? throw body.Wrong("input", $"must be a string, or an array of 1 to {TextsMax} of them")
            : [.. ItemsOf(input).Select((item, index) => item.ValueKind switch
            {
                JsonValueKind.String when item.GetString() is { Length: > 0 } text => text,
                JsonValueKind.String => throw body.Wrong(PlaceOf(input, index), "must not be empty"),
                JsonValueKind.Number or JsonValueKind.Array => throw body.Wrong(
                    PlaceOf(input, index), "must be text: tokens are not taken, since each model has its own"),
                _ => throw body.Wrong(PlaceOf(input, index), "must be a string"),
            })];
    }

    private static EmbeddingEntry[] RoutesOf(string name, ModelCatalog catalog)
    {
        if (catalog.EmbeddingRoutes(name) is { Length: > 0 } routes)
        {
            return routes;
        }

        throw catalog.Find(name) is null && !ModelCatalog.IsRouterMode(name)
            ? ApiException.NotFound("model", "model")
            : ApiException.Invalid($"{name} answers and makes no embeddings.", "model");
    }

    private static void RequireDimensions(RequestObject body, int? dimensions, EmbeddingEntry[] routes)
    {
        if (dimensions is null)
        {
            return;
        }

        if (!routes.Any(static route => route.Model.Capabilities.Contains(Capabilities.Dimensions)))
        {
            throw body.Wrong("dimensions", $"cannot be chosen: {routes[0].Model.Id} makes vectors of one length");
        }

        if (routes.Max(static route => route.Model.Dimensions) is { } most && dimensions > most)
        {
            throw body.Wrong("dimensions", $"must be an integer from 1 to {most} for {routes[0].Model.Id}");
        }
    }

    private static void RequireLengths(RequestObject body, List<string> texts, int tokensMax)
    {
        for (var i = 0; i < texts.Count; i++)
        {
            if (texts[i].Length > tokensMax * TokenCharactersMax
                || (texts[i].Length > tokensMax / CharacterTokensMax && TokenCounter.Count(texts[i]) > tokensMax))
            {
                throw body.Wrong(PlaceOf(body.Element.GetProperty("input"), i), string.Create(
                    CultureInfo.InvariantCulture, $"must have at most {tokensMax:N0} tokens"));
            }
        }
    }

    private static string PlaceOf(JsonElement input, int index) =>
        input.ValueKind == JsonValueKind.String ? "input" : $"input[{index}]";

    /// <summary>Of the texts as an array in canonical JSON, also where one text came alone.</summary>
    private static string Hash(JsonElement input)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var before = "["u8.ToArray();
        foreach (var text in ItemsOf(input))
        {
            hash.AppendData(before);
            hash.AppendData(CanonicalJson.Serialize(text));
            before = ","u8.ToArray();
        }

        hash.AppendData("]"u8);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static List<JsonElement> ItemsOf(JsonElement input) =>
        input.ValueKind == JsonValueKind.String ? [input] : [.. input.EnumerateArray()];
}
