using Reeve.Server.Inference.Providers.Builtin;

namespace Reeve.Server.Retrieval;

/// <summary>
/// Makes the query of a run's search from its input and, for a short follow-up, the inputs before it.
/// </summary>
internal static class RetrievalQuery
{
    /// <param name="input">The current input.</param>
    /// <param name="earlierInputs">What the user said before in the conversation, oldest first.</param>
    internal static string Build(string input, IReadOnlyList<string> earlierInputs)
    {
        var before = FollowUp.Before(input, earlierInputs);
        return before.Count == 0 ? input : string.Join('\n', before.Prepend(input));
    }
}
