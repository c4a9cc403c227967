using Reeve.Reliability.Abuse;
using Reeve.Reliability.Backup;
using Reeve.Reliability.Chaos;
using Reeve.Reliability.Disk;
using Reeve.Reliability.Drain;
using Reeve.Reliability.Egress;
using Reeve.Reliability.Fuzz.ApiFuzz;
using Reeve.Reliability.Fuzz.ParserFuzz;
using Reeve.Reliability.Fuzz.Tamper;
using Reeve.Reliability.Kill;
using Reeve.Reliability.Ledger;
using Reeve.Reliability.Overload;
using Reeve.Reliability.Parsers;
using Reeve.Reliability.Points;
using Reeve.Reliability.Privacy;
using Reeve.Reliability.Simulation;
using Reeve.Reliability.Soak;
using Reeve.Reliability.Streams;
using Reeve.Reliability.Webhooks;

namespace Reeve.Reliability;

/// <summary>Every line of the scoreboard, in its order. A new harness adds its line here.</summary>
internal static class ScoreRows
{
    internal static readonly IReadOnlyList<ScoreRow> All =
    [
        new("R1", "simulated histories: crashes, power cuts, pauses, disk faults", SimHarness.RunAsync),
        new("R2", "kill -9 of a real server under load", KillHarness.RunAsync),
        new("R3", "kills with PostgreSQL and three nodes", null) { NotYet = "a second store; KillHarness takes it" },
        new("R4", "errors and kill -9 at every named point of the run path", PointHarness.RunAsync),
        new("R5", "racing admissions and ledger operations", RacingLedger.RunAsync),
        new("R6", "streams cut at any byte and resumed", ResumeHarness.RunAsync),
        new("R7", "open streams, 1 % of them stalled", StreamSwarm.RunAsync),
        new("C1", "mistreated connections on both sides of the server", ChaosHarness.RunAsync),
        new("R8", "failover between nodes", null) { NotYet = "several nodes; Simulation gets a node count" },
        new("R9", "doubled tool effects of paused owners", null)
            { NotYet = "several nodes; Simulation counts effects" },
        new("R10", "rolling restart of three nodes", null) { NotYet = "several nodes; DrainHarness rolls them" },
        new("R11", "PostgreSQL killed under load", null) { NotYet = "a second store; KillHarness takes it" },
        new("R12", "what is another account's, in every field of the API", TenantMatrix.RunAsync),
        new("R13", "forbidden addresses in every spelling", EgressHarness.RunAsync),
        new("R14", "changed inputs of every parser", FuzzHost.RunAsync),
        new("R15", "requests made from the OpenAPI document", SchemaFuzz.RunAsync),
        new("R16", "hostile model", null) { NotYet = "approvals, outward tools; a scripted model" },
        new("R17", "canary secrets in every place where one is written down or shown", CanaryHarness.RunAsync),
        new("P1", "privacy classes: what reaches which socket, and masking", PrivacyHarness.RunAsync),
        new("R18", "changed receipts and logs", TamperHarness.RunAsync),
        new("R19", "webhooks under kills and bad receivers", WebhookHarness.RunAsync),
        new("D1", "stops under load", DrainHarness.RunAsync),
        new("R21", "a soak: everything that clients do, for long", SoakHarness.RunAsync),
        new("R22", "HTTP abuse: slow, too much, smuggled, HTTP/2, odd paths", AbuseHarness.RunAsync),
        new("R25", "overload at five times the peak", OverloadHarness.RunAsync),
        new("R26", "disks that are full, fail, dawdle, are damaged or read-only", DiskHarness.RunAsync),
        new("R20", "files made to break parsers, which are children of a real server", HostileFileHarness.RunAsync),
        new("R28", "backup, restore, verify, go on", BackupHarness.RunAsync),
    ];
}
