using System.Text;
using System.Text.Json;
using Reeve.Server;
using Reeve.Server.Accounts;
using Reeve.Server.Agents;
using Reeve.Server.Receipts.Checkpoints;
using Reeve.Server.Runs;
using Reeve.Server.Storage;

namespace Reeve.Reliability.Simulation;

/// <summary>
/// One history: clients, a server, its disk and the world outside, in one thread and in virtual time. The seed decides
/// everything: whose turn it is, what breaks, when the power goes.
/// </summary>
/// <remarks>
/// <code>
/// storm   clients work; processes crash at any failpoint, write or turn, are paused and come back, stop cleanly;
///         writes fail, the disk is full, power cuts lose and tear what was not synced; clocks are set wrong
/// calm    nothing breaks any more: every client gets its answers, every run must end
/// check   the log, the ledger and what the clients saw and the world outside felt must agree
/// </code>
/// </remarks>
internal sealed class SimWorld : IDisposable
{
    private const int StormTurnsMax = 4_000;
    private const int CalmTurnsMax = 300_000;
    private const int ClientCount = 4;
    private const int ZombieTurnsMax = 300;

    private static readonly Lazy<SimTemplate> Template = new(SimTemplate.Make);

    private readonly SimScheduler _clients = new();
    private readonly List<SimNode> _nodes = [];
    private readonly List<string> _problems = [];
    private readonly StringBuilder? _trace;
#pragma warning disable CA2213 // One of _nodes, which are disposed.
    private SimNode? _current;
#pragma warning restore CA2213
    private bool _isStorm;
    private int _crashAtHit;
    private int _crashAtWrite;
    private int _throwAtHit;
    private int _faultyWrites;
    private int _zombieTurns;
    private SimFault _fault;
    private ulong _history = 14_695_981_039_346_656_037;

    private SimWorld(ulong seed, SimDisk? disk, bool traced)
    {
        Seed = seed;
        Random = new SimRandom(seed);
        Disk = disk ?? new SimDisk(Random);
        Disk.MakeCurrent();
        Time = new SimTime(Clock, static () => false);
        _trace = traced ? new StringBuilder() : null;
    }

    internal ulong Seed { get; }

    internal SimRandom Random { get; }

    internal SimClock Clock { get; } = new();

    /// <summary>The clients' clock.</summary>
    internal SimTime Time { get; }

    internal SimDisk Disk { get; }

    internal SimEffects Effects { get; } = new();

    internal Caller Caller { get; private set; } = null!;

    internal IReadOnlyList<string> Agents { get; private set; } = [];

    internal List<SimRun> Runs { get; } = [];

    internal HashSet<string> Documents { get; } = new(StringComparer.Ordinal);

    /// <summary>Conversations that somebody asked to delete; true once that was acknowledged.</summary>
    internal Dictionary<string, bool> Deleted { get; } = new(StringComparer.Ordinal);

    internal int TopUpsSent { get; set; }

    internal int TopUpsAcknowledged { get; set; }

    internal int Crashes { get; private set; }

    /// <summary>Model calls beside which another was made.</summary>
    internal long Hedges { get; set; }

    /// <summary>Streams and answers that were read again at the end and held against what clients had seen.</summary>
    internal int Audited { get; set; }

    /// <summary>True once a paused process was replaced by another: both may have written in the same moment.</summary>
    internal bool HadTwoWriters { get; private set; }

    /// <summary>A number that any change of the history changes.</summary>
    internal ulong History => _history;

    /// <summary>Runs the history of a seed; answers what was wrong at its end.</summary>
    internal static SimResult Run(ulong seed, bool traced = false)
    {
        SimVfs.Use();
        var template = Template.Value;
        var random = new SimRandom(seed ^ 0x5DEECE66D);
        using var world = new SimWorld(seed, template.Disk.Copy(random), traced)
        {
            Caller = template.Caller,
            Agents = template.Agents,
        };
        try
        {
            world.Play();
        }
        catch (SimGaveUp)
        {
            // It said why.
        }

        return new SimResult(seed, world.History, world.Crashes, world.Runs.Count, world._problems,
            world._trace?.ToString() ?? "")
        {
            Acknowledged = world.Runs.Count(static one => one.IsAcknowledged),
            Audited = world.Audited,
            Payments = world.Effects.Payments.Count,
            Documents = world.Documents.Count,
            Deleted = world.Deleted.Count(static one => one.Value),
            HadTwoWriters = world.HadTwoWriters,
            Hedges = world.Hedges,
        };
    }

    /// <summary>A server that takes requests, once there is one.</summary>
    internal async Task<SimNode> NodeAsync()
    {
        while (_current is not { IsReady: true })
        {
            await Task.Delay(TimeSpan.FromMilliseconds(100), Time, CancellationToken.None);
        }

        return _current;
    }

    internal void Complain(string problem) => _problems.Add($"seed {Seed}: {problem}");

    /// <summary>A process came by a failpoint.</summary>
    internal void Hit(SimNode node, string name)
    {
        Note(name);
        if (node.IsDead)
        {
            throw new SimCrash();
        }

        if (node.IsPaused && name == Failpoints.RecoverClaimed)
        {
            Kill(node, "a claim of the replaced"); // Nobody lets it go on for longer than it takes to see it refused.
            throw new SimCrash();
        }

        if (_isStorm && --_crashAtHit == 0)
        {
            Kill(node, name);
            throw new SimCrash();
        }

        // Errors that nobody expects, but on the writer's own thread, which would take the process with it.
        if (_isStorm && --_throwAtHit == 0 && !IsOfTheWriter(name))
        {
            throw new FailpointException();
        }
    }

    /// <summary>A process is about to write, or to sync what it wrote.</summary>
    internal SimFault BeforeWrite(SimNode node, bool isSync)
    {
        Note(isSync ? "sync" : "write");
        if (!_isStorm)
        {
            return SimFault.None;
        }

        if (--_crashAtWrite == 0)
        {
            Kill(node, isSync ? "sync" : "write");
            return SimFault.Failed;
        }

        return --_faultyWrites > 0 ? _fault : SimFault.None;
    }

    internal void Note(string what)
    {
        foreach (var character in what)
        {
            _history = (_history ^ character) * 1_099_511_628_211;
        }

        _history = (_history ^ (ulong)Clock.Now) * 1_099_511_628_211;
        _trace?.Append(Clock.Now / 10_000).Append(' ').AppendLine(what);
    }

    public void Dispose()
    {
        foreach (var node in _nodes.Where(static one => !one.IsBuried))
        {
            node.Dispose();
        }
    }

    private static bool IsOfTheWriter(string name) => name.StartsWith("storage.", StringComparison.Ordinal)
        || name == Failpoints.LogPublished;

    private void Play()
    {
        _isStorm = true;
        Plan();
        var clients = Enumerable.Range(0, ClientCount)
            .Select(number => _clients.Start(new SimClient(this, number).RunAsync)).ToList();
        for (var turn = 0; turn < StormTurnsMax && !clients.TrueForAll(static one => one.IsCompleted); turn++)
        {
            MischiefSometimes();
            Turn();
        }

        _isStorm = false;
        Note("calm");
        if (HadTwoWriters)
        {
            // What a replaced process let in after its successor had looked is found at the next start.
            _nodes.ForEach(node => Kill(node, "the end of the storm"));
        }

        for (var turn = 0; turn < CalmTurnsMax && !IsQuiet(clients); turn++)
        {
            Turn();
        }

        // At the end every client reads again what it was told, and asks again what it asked with a key.
        var audits = Runs.Select((run, number) => _clients.Start(() => new SimClient(this, number).AuditAsync(run)))
            .ToList();
        for (var turn = 0; turn < CalmTurnsMax && !IsQuiet(audits); turn++)
        {
            Turn();
        }

        Check([.. clients, .. audits]);
    }

    /// <summary>When the next process dies, and where: most live for a while, some fall over at the start.</summary>
    private void Plan()
    {
        _crashAtHit = Random.Chance(60) ? 1 + Random.Below(400) : 0;
        _crashAtWrite = Random.Chance(30) ? 1 + Random.Below(600) : 0;
        _throwAtHit = Random.Chance(25) ? 1 + Random.Below(200) : 0;
    }

    private void MischiefSometimes()
    {
        if (Random.Below(1_000) >= 8 || _current is not { IsDead: false } node)
        {
            return;
        }

        switch (Random.Below(5))
        {
            case 0:
                Kill(node, "a turn");
                break;
            case 1 when node.IsReady:
                Note("stop");
                _ = node.StopAsync();
                break;
            case 2 when MayPause && node.IsReady && _nodes.TrueForAll(static one => !one.IsPaused || one.IsDead):
                Note("pause");
                HadTwoWriters = true;
                node.IsPaused = true; // Another takes its place; later it wakes and goes on as if nothing had been.
                _zombieTurns = ZombieTurnsMax;
                _current = null;
                break;
            case 3:
                Note("faulty disk");
                _faultyWrites = 1 + Random.Below(30);
                _fault = Random.Chance(50) ? SimFault.Failed : SimFault.Full;
                break;
            default:
                break;
        }
    }

    private void Turn()
    {
        if (_current is { Starting.IsFaulted: true } fallen)
        {
            Kill(fallen, "a start that failed"); // A server that cannot start ends; whoever runs it starts it again.
        }

        BuryTheDead();
        if (_current is null or { IsDead: true })
        {
            StartNode();
        }

        var able = _nodes.Where(CanTurn).ToList();
        var clients = _clients.ReadyCount > 0 ? 1 : 0;
        if (able.Count + clients == 0 || Random.Below(200) == 0)
        {
            Clock.Advance();
            return;
        }

        var chosen = Random.Below(able.Count + clients);
        if (chosen == able.Count)
        {
            Note("client");
            _clients.RunOne(Random);
            return;
        }

        Turn(able[chosen]);
    }

    /// <summary>
    /// In half of the histories no process is paused: only there must all be well without one more start at the end.
    /// </summary>
    private bool MayPause => (Seed & 2) == 0;

    /// <summary>In a quarter of the histories every model has a second provider, and slow calls are hedged.</summary>
    internal bool MayHedge => (Seed & 12) == 4;

    private bool CanTurn(SimNode node)
    {
        if (node.IsDead || (node.IsPaused && (node == _current || _current is not { IsReady: true })))
        {
            return false;
        }

        return node.Scheduler.ReadyCount > 0 || node.Database.HasQueued;
    }

    private void Turn(SimNode node)
    {
        Disk.Process = node.Process;
        if (node.IsPaused && --_zombieTurns < 0)
        {
            Kill(node, "the end of a pause");
            return;
        }

        try
        {
            if (Random.Below(300) == 0)
            {
                Note("checkpoint");
                node.Database.Checkpoint();
            }
            else if (node.IsReady && Random.Below(300) == 0)
            {
                Note("audit");
                _ = node.Scheduler.Start(node.Get<AuditCheckpoints>().SignAsync);
            }
            else if (node.Database.HasQueued && (node.Scheduler.ReadyCount == 0 || Random.Chance(40)))
            {
                Note("commit");
                node.Database.CommitQueued();
            }
            else
            {
                Note("task");
                node.Scheduler.RunOne(Random);
            }
        }
        catch (SimCrash)
        {
            // The writer's thread died, and the process with it.
        }
    }

    private void StartNode()
    {
        var skew = Random.Chance(10) ? TimeSpan.FromSeconds(Random.Below(58) - 29) : TimeSpan.Zero;
        Note("start");
        try
        {
            _current = null;
            var node = new SimNode(this, skew);
            _nodes.Add(node);
            _current = node;
            _ = node.StartAsync();
        }
        catch (Exception error) when (error is StartException or StorageException or SimCrash)
        {
            Note("did not start: " + error.Message);
            if (!_isStorm)
            {
                Complain($"a start failed though nothing was broken: {error}");
                throw new SimGaveUp();
            }

            Clock.Advance();
        }
    }

    private void Kill(SimNode node, string where)
    {
        if (!node.IsDead)
        {
            Note("crash at " + where);
            Crashes++;
            node.Die();
        }
    }

    private void BuryTheDead()
    {
        foreach (var node in _nodes.Where(static one => one is { IsDead: true, IsBuried: false }).ToList())
        {
            // The power goes for all: who was only paused does not survive it either.
            var keepsPower = !_isStorm || Random.Chance(50);
            foreach (var other in _nodes.Where(one => !keepsPower && !one.IsDead))
            {
                Kill(other, "a power cut");
            }

            Disk.Process = node.Process;
            node.Bury(keepsPower);
            Plan();
        }

        _nodes.RemoveAll(static one => one.IsBuried);
        _current = _current is { IsBuried: true } ? null : _current;
    }

    private bool IsQuiet(List<Task> clients) => clients.TrueForAll(static one => one.IsCompleted)
        && _current is { IsReady: true, IsDead: false } && !_nodes.Exists(static one => one.IsPaused)
        && _clients.ReadyCount == 0 && !_nodes.Exists(CanTurn) && OpenRuns().Count == 0;

    private List<OpenRun> OpenRuns()
    {
        Disk.Process = _current!.Process;
        return _current.Database.Read(RunStore.Open);
    }

    private void Check(List<Task> clients)
    {
        foreach (var fault in clients.Where(static one => one.IsFaulted))
        {
            Complain($"a client failed: {fault.Exception!.InnerException}");
        }

        if (_current is not { IsReady: true } node)
        {
            Complain("no server came up in the calm (I13)");
            return;
        }

        foreach (var open in OpenRuns())
        {
            Complain($"{open.Head.RunId} is still {open.Status} (I13)");
        }

        if (clients.Exists(static one => !one.IsCompleted))
        {
            Complain("a client still waits (I13)");
        }

        Disk.Process = node.Process;
        node.Database.Read(session =>
        {
            _problems.AddRange(new SimChecker(this).Check(session).Select(problem => $"seed {Seed}: {problem}"));
            return true;
        });
    }

    /// <summary>Makes the data folder that every history begins with.</summary>
    internal sealed record SimTemplate(SimDisk Disk, Caller Caller, IReadOnlyList<string> Agents)
    {
        internal static SimTemplate Make()
        {
            SimVfs.Use();
            using var world = new SimWorld(0, null, traced: false);
            using var node = new SimNode(world, TimeSpan.Zero);
            var prepared = node.Scheduler.Start(async () =>
            {
                const string Key = "mesh_live_zR8HzjAck3ZdvdNWA0CvUxPWsyYmk2e52GI52I";
                var account = await node.Database.WriteAsync(
                    session => node.Get<AccountRegister>().EnsureOperator(session, Key).Account);
                await node.Database.WriteAsync(static session => session.Execute(
                    "CREATE TABLE sim_stale (run_id TEXT, seq INTEGER)"));
                await node.Database.WriteAsync(static session => session.Execute(
                    "CREATE TRIGGER sim_stale_owner AFTER INSERT ON run_events "
                    + "WHEN NEW.epoch <> (SELECT epoch FROM runs WHERE id = NEW.run_id) "
                    + "BEGIN INSERT INTO sim_stale VALUES (NEW.run_id, NEW.seq); END"));
                world.Caller = new Caller(account, node.Database.Read(
                    session => node.Get<ApiKeys>().FindByText(session, Key))!);
                var agents = new List<string>();
                foreach (var body in (string[])[Body("Plain", "mesh/one-1", Short), Body("Auto", "auto", Bank + Short),
                    Body("Tools", "mesh/two-1", Bank)])
                {
                    agents.Add((await node.Get<AgentCatalog>().CreateAsync(
                        world.Caller.Tenant, JsonElement.Parse(body))).Id);
                }

                world.Agents = agents;
            });
            while (!prepared.IsCompleted)
            {
                world.Disk.Process = node.Process;
                node.Database.CommitQueued();
                while (node.Scheduler.ReadyCount > 0)
                {
                    node.Scheduler.RunOne(world.Random);
                }
            }

            prepared.GetAwaiter().GetResult();
            node.Dispose();
            return new SimTemplate(world.Disk, world.Caller, world.Agents);
        }

        private const string Short = ",\"max_output_tokens\":400"; // Providers are asked for whole answers.
        private const string Bank = ""","tools":[{"name":"bank","type":"builtin"}]""";

        private static string Body(string name, string model, string more) =>
            $$"""{"name":"{{name}}","model":"{{model}}","limits":{"max_run_seconds":60}{{more}}}""";
    }
}

/// <summary>The history cannot go on.</summary>
internal sealed class SimGaveUp() : Exception("The history cannot go on.");

/// <summary>How a history ended.</summary>
internal sealed record SimResult(
    ulong Seed, ulong History, int Crashes, int Runs, IReadOnlyList<string> Problems, string Trace)
{
    internal int Acknowledged { get; init; }

    internal int Audited { get; init; }

    internal int Payments { get; init; }

    internal int Documents { get; init; }

    internal int Deleted { get; init; }

    internal bool HadTwoWriters { get; init; }

    internal long Hedges { get; init; }
}
