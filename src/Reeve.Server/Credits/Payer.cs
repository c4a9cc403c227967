namespace Reeve.Server.Credits;

/// <summary>
/// Who pays for a run: the account, the balance (<c>live</c> or <c>test</c>), the key, and the monthly USD budgets of
/// key and account in micro-USD, as they were when the request came in.
/// </summary>
internal sealed record Payer(string AccountId, string Mode, string KeyId)
{
    internal long? KeyBudget { get; init; }

    internal long? AccountBudget { get; init; }
}
