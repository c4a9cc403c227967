using System.Text.RegularExpressions;
using Reeve.Server.Http;

namespace Reeve.Server.Apis.Auteryn;

/// <summary>The error words of wire-auteryn 1.4.</summary>
internal static partial class AuterynErrors
{
    internal static readonly ErrorDialect Dialect = new(Show)
    {
        SchemaName = "AuterynError",
        RunMembers = ["run_id", "task_id"],
    };

    /// <summary>The code that a failed run has here.</summary>
    internal static string Code(string code) => code switch
    {
        "insufficient_funds" => "insufficient_credits",
        "provider_unavailable" => "internal_error",
        "conversation_limit_exceeded" => "rate_limited",
        _ => code,
    };

    private static ShownError Show(ApiException error)
    {
        var code = error.Code == ApiErrorCodes.NotFound
            ? error.Missing switch
            {
                "agent" => "agent_not_found",
                "conversation" => "task_not_found",
                "run" => "run_not_found",
                "memory" => "memory_not_found",
                _ => "not_found",
            }
            : Code(error.Code.Code);
        return new ShownError(
            code, error.Code == ApiErrorCodes.ProviderUnavailable ? 500 : error.Code.Status, error.Code.Type)
        {
            Message = error.Code == ApiErrorCodes.InvalidRequest ? error.Message : Words(error.Message),
            Param = error.Param switch
            {
                // What this dialect refused itself is named as the caller wrote it.
                var param when error.Code == ApiErrorCodes.InvalidRequest => param,
                "conversation_id" => "task_id",
                "agent" => AuterynRequest.AgentHeader,
                var param => param,
            },
            Members = Members(error),
        };
    }

    private static List<KeyValuePair<string, string>> Members(ApiException error)
    {
        var members = new List<KeyValuePair<string, string>>();
        if (error.RunId is { } runId)
        {
            members.Add(new("run_id", runId));
        }

        if (error.ConversationId is { } conversationId)
        {
            members.Add(new("task_id", Id.WithPrefix("task", conversationId)));
        }

        return members;
    }

    // The engine speaks of conversations; here they are tasks. Names of fields, as conversation_limit, stay.
    private static string Words(string message) => Conversation().Replace(message, "task");

    [GeneratedRegex("conversation(?!_)")]
    private static partial Regex Conversation();
}
