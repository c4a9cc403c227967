using Reeve.Server.Http;
using Reeve.Server.Privacy;
using Reeve.Server.Receipts.Keys;

namespace Reeve.Server.Apis.OpenAI;

/// <summary>The privacy of a chat completion (wire-mesh 4.1): its class, and whether it is attested.</summary>
internal sealed record ChatPrivacy(PrivacyClass Class, bool IsAttested)
{
    private const string Member = "encryptedPrompt";

    internal static ChatPrivacy Read(RequestObject body, KeyRing keys)
    {
        var word = body.Word("privacy_class", PrivacyClasses.Words);
        var asked = word is null ? PrivacyClass.Standard : PrivacyClasses.Parse(word);
        if (body.Object("privacy") is not { } privacy)
        {
            return new ChatPrivacy(asked, false);
        }

        var mode = privacy.Word("mode", "standard", "mesh", "nitro");
        var inner = privacy.Word("class", PrivacyClasses.Words);
        var envelope = privacy.String(Member, 1, int.MaxValue);
        privacy.RejectUnknown();
        if (inner is not null)
        {
            asked = PrivacyClasses.Stricter(asked, PrivacyClasses.Parse(inner));
        }

        if (mode != "nitro")
        {
            return envelope is null
                ? new ChatPrivacy(asked, mode == "mesh")
                : throw privacy.Wrong(Member, "is taken in the mode nitro only");
        }

        if (envelope is null)
        {
            throw privacy.Wrong(Member, "is required in the mode nitro");
        }

        // What is sealed must not lie open on the disk, and nothing is encrypted at rest yet.
        throw keys.Prompts.Open(envelope) is null
            ? privacy.Wrong(Member, "was not sealed to the key of this server")
            : new ApiException(ApiErrorCodes.NoPermittedRoute,
                "Sealed prompts are not taken by this version: what they hold would not be encrypted at rest.",
                privacy.PathOf(Member));
    }
}
