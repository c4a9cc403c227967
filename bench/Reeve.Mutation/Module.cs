namespace Reeve.Mutation;

/// <summary>A part of the server whose tests must be sharp: its files, and the test classes that concern it.</summary>
internal sealed record Module(string Name, string[] Files, string[] Classes)
{
    internal static readonly Module[] All =
    [
        new("ledger",
            [
                "Credits/Bill.cs", "Credits/CreditContracts.cs", "Credits/CreditEndpoints.cs",
                "Credits/CreditLedger.cs", "Credits/LedgerStore.cs", "Credits/UsageStore.cs",
            ],
            [
                "Credits.BillTests", "Credits.CreditLedgerTests", "Credits.CreditEndpointsTests",
                "Matrix.LedgerPropertyTests", "Runs.RunTests", "Runs.RunControlTests",
                "Accounts.AccountEndpointsTests",
            ]),
        new("admission",
            ["Runs/RunAdmission.cs", "Runs/Capacity.cs"],
            [
                "Runs.RunAdmissionTests", "Runs.RunTests", "Runs.RunControlTests", "Runs.CapacityTests",
                "Matrix.RaceTests",
            ]),
        new("recovery",
            ["Runs/RunRecovery.cs"],
            ["Runs.RecoveryTests", "Runs.RunControlTests", "Runs.PoisonedRunTests", "Runs.TakeOverTests"]),
        new("keys",
            [
                "Accounts/ApiKey.cs", "Accounts/ApiKeyDirectory.cs", "Accounts/ApiKeyGate.cs",
                "Accounts/ApiKeyHasher.cs", "Accounts/ApiKeyStore.cs", "Accounts/ApiKeyText.cs", "Accounts/ApiKeys.cs",
            ],
            [
                "Accounts.ApiKeyTextTests", "Accounts.ApiKeyHasherTests", "Accounts.ApiKeysTests",
                "Accounts.ApiKeyDirectoryTests", "Accounts.ApiKeyGateTests", "Accounts.ApiKeyEndpointsTests",
                "Accounts.RateLimitTests", "Accounts.AccountEndpointsTests",
            ]),
        new("cursors",
            ["Apis/StreamCursor.cs", "Apis/RunStream.cs", "Http/Page.cs", "Conversations/MessageReader.cs"],
            [
                "Http.PageTests", "Runs.RunStreamTests", "Runs.CapacityTests", "Accounts.ApiKeyEndpointsTests",
                "Conversations.MessageReaderTests", "Conversations.ConversationEndpointsTests",
                "Agents.AgentEndpointsTests",
            ]),
    ];
}
