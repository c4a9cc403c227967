using System.Text.Json;
using Reeve.Server.Http;

namespace Reeve.Server.Conversations;

/// <summary>The <c>user</c> member of a request: whom the calling program speaks for (wire-mesh 2.1).</summary>
internal static class ConversationUser
{
    private const int IdMax = 128;
    private const int NameMax = 200;

    /// <summary>The object as it was given, checked; null when it is missing.</summary>
    internal static JsonElement? Read(RequestObject body)
    {
        if (body.Object("user") is not { } user)
        {
            return null;
        }

        _ = user.String("id", 1, IdMax);
        _ = user.String("name", 0, NameMax);
        _ = user.Metadata("metadata");
        return user.Element.Clone();
    }
}
