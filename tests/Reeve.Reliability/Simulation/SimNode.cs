using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Reeve.Server;
using Reeve.Server.Apis;
using Reeve.Server.Apis.Auteryn;
using Reeve.Server.Apis.Mesh;
using Reeve.Server.Conversations;
using Reeve.Server.Credits;
using Reeve.Server.Http;
using Reeve.Server.Inference;
using Reeve.Server.Privacy;
using Reeve.Server.Retrieval;
using Reeve.Server.Runs;
using Reeve.Server.Storage;
using Reeve.Server.Tools;

namespace Reeve.Reliability.Simulation;

/// <summary>
/// A server process of the history: the engine as it is, with the files, the clock, the chance and the turns that the
/// history gives it.
/// </summary>
internal sealed class SimNode : IDisposable
{
    private const string DatabasePath = "/sim/reeve.db";
    private static readonly TimeSpan HedgeAfter = TimeSpan.FromMilliseconds(300);
    internal static readonly MasterKey Master = MasterKey.Load(
        "", Convert.ToBase64String(new byte[MasterKey.Length]), dataExists: true);

    private static readonly Endpoint MeshEndpoint = new(null, EndpointMetadataCollection.Empty, "mesh");
    private static readonly Endpoint AuterynEndpoint = new(
        null, new EndpointMetadataCollection(AuterynErrors.Dialect), "auteryn");

    private readonly SimWorld _world;
    private readonly ServiceProvider _services;
    private readonly SimLifetime _lifetime = new();
    private readonly HashSet<SimAnswer> _open = [];
    private readonly ApiErrorHandler _pipeline;

    internal SimNode(SimWorld world, TimeSpan skew)
    {
        _world = world;
        Process = new SimProcess(isSync => world.BeforeWrite(this, isSync));
        Time = new SimTime(world.Clock, () => Process.IsDead) { Skew = skew };
        world.Disk.Process = Process;
        _services = Services();
        try
        {
            Database = Open();
        }
        catch
        {
            Die();
            _services.Dispose();
            throw;
        }

        _pipeline = new ApiErrorHandler(RouteAsync, Get<IdGenerator>(), NullLogger<ApiErrorHandler>.Instance);
    }

    internal SimProcess Process { get; }

    internal SimTime Time { get; }

    internal SimScheduler Scheduler { get; } = new();

    internal Database Database { get; }

    internal bool IsDead => Process.IsDead;

    /// <summary>True once it takes requests.</summary>
    internal bool IsReady { get; private set; }

    internal bool IsBuried { get; private set; }

    /// <summary>A paused process does nothing, and does not know it.</summary>
    internal bool IsPaused { get; set; }

    internal T Get<T>()
        where T : notnull => _services.GetRequiredService<T>();

    /// <summary>Its start; it may fail, as that of a server on a broken disk.</summary>
    internal Task Starting { get; private set; } = Task.CompletedTask;

    internal Task StartAsync() => Starting = Scheduler.Start(async () =>
    {
        await Get<RunHost>().StartAsync(CancellationToken.None);
        IsReady = true;
    });

    /// <summary>A clean stop, as at SIGTERM.</summary>
    internal Task StopAsync() => Scheduler.Start(async () =>
    {
        IsReady = false;
        _lifetime.StopApplication();
        try
        {
            await Get<RunHost>().StopAsync(CancellationToken.None);
        }
        finally
        {
            Die(); // A host ends its process also when a part of it could not stop cleanly.
        }
    });

    /// <summary>From here on nothing of it reaches a file, a client or anybody else.</summary>
    internal void Die()
    {
        Process.Die();
        IsReady = false;
        Scheduler.IsStopped = true;
        foreach (var answer in _open)
        {
            answer.Break();
        }
    }

    /// <summary>Gives back what the process of the test lent it; not from inside its own code.</summary>
    internal void Bury(bool keepsPower)
    {
        IsBuried = true;
        _world.Disk.Bury(Process, keepsPower);
        _services.Dispose();
        _lifetime.Dispose();
    }

    public void Dispose()
    {
        if (!IsBuried)
        {
            Die();
            Bury(keepsPower: true);
        }
    }

    /// <summary>Sends a request; the answer is there when its <c>Done</c> is.</summary>
    internal SimAnswer Send(SimRequest request)
    {
        var answer = new SimAnswer();
        if (IsDead)
        {
            answer.Break();
            return answer;
        }

        _world.Note($"asked {request.Route} {request.Path} {request.LastEventId}");
        _open.Add(answer);
        _ = Scheduler.Start(async () =>
        {
            var context = Context(request, answer);
            await _pipeline.InvokeAsync(context);
            await context.Response.BodyWriter.FlushAsync();
            if (!IsDead)
            {
                answer.Finish(context.Response.StatusCode, context.Response.Headers.ContainsKey("Idempotent-Replayed"));
            }

            _open.Remove(answer);
        });
        return answer;
    }

    private DefaultHttpContext Context(SimRequest request, SimAnswer answer)
    {
        var features = new FeatureCollection();
        features.Set<IHttpRequestFeature>(new HttpRequestFeature());
        features.Set<IHttpResponseFeature>(new SimResponse(answer));
        features.Set<IHttpResponseBodyFeature>(new StreamResponseBodyFeature(new SimBody(answer, Process)));
        var context = new DefaultHttpContext(features)
        {
            RequestServices = _services,
            RequestAborted = answer.Aborted,
        };
        context.Features.Set(_world.Caller);
        context.Items["request"] = request;
        context.SetEndpoint(request.Route is SimRoute.AuterynRun or SimRoute.AuterynEvents
            ? AuterynEndpoint
            : MeshEndpoint);
        context.Request.Method = request.Body.Length > 0 ? "POST" : "GET";
        context.Request.QueryString = new QueryString(request.Query);
        context.Request.Headers.ContentType = "application/json";
        context.Request.Headers["X-Agent-Id"] = request.Agent;
        if (request.IdempotencyKey is { } key)
        {
            context.Request.Headers["Idempotency-Key"] = key;
        }

        if (request.LastEventId is { } last)
        {
            context.Request.Headers["Last-Event-ID"] = last;
        }

        var body = Encoding.UTF8.GetBytes(request.Body);
        context.Request.ContentLength = body.Length;
        context.Request.Body = new MemoryStream(body);
        return context;
    }

    private async Task RouteAsync(HttpContext context)
    {
        var request = (SimRequest)context.Items["request"]!;
        var tenant = _world.Caller.Tenant;
        switch (request.Route)
        {
            case SimRoute.MeshRun:
                await Get<MeshRuns>().RunAsync(context, null);
                break;
            case SimRoute.AuterynRun:
                await Get<AuterynRuns>().RunAsync(context);
                break;
            case SimRoute.MeshEvents:
                var feed = Get<RunReader>().Open(tenant, request.Path) ?? throw ApiException.NotFound("run");
                await Get<RunStream>().SendAsync(
                    context, feed, Get<MeshRunWriter>().Project, StreamCursor.Read(context));
                break;
            case SimRoute.AuterynEvents:
                var parts = request.Path.Split('/');
                await Get<AuterynTasks>().EventsAsync(context, parts[0], parts[1]);
                break;
            case SimRoute.MeshGet:
                var view = Get<RunReader>().View(tenant, request.Path) ?? throw ApiException.NotFound("run");
                await ApiJson.WriteAsync(context, 200, Get<MeshRunWriter>().Object(view));
                break;
            case SimRoute.MeshCancel:
                await Get<RunHost>().CancelAsync(tenant, request.Path, context.RequestAborted);
                var ended = Get<RunReader>().View(tenant, request.Path) ?? throw ApiException.NotFound("run");
                await ApiJson.WriteAsync(context, 200, Get<MeshRunWriter>().Object(ended));
                break;
            case SimRoute.Upload:
                var added = await Get<Documents>().AddAsync(tenant, request.Agent, new NewDocument
                {
                    Name = "note.txt",
                    Bytes = Encoding.UTF8.GetBytes(request.Path),
                    IsText = true,
                });
                await ApiJson.WriteAsync(context, 201, Encoding.UTF8.GetBytes(added.Document.Id));
                break;
            case SimRoute.DeleteConversation:
                await Get<ConversationCatalog>().DeleteAsync(tenant, request.Path);
                await ApiJson.WriteAsync(context, 200, "{}"u8.ToArray());
                break;
            default:
                await Database.WriteAsync(session => Get<CreditLedger>().Adjust(
                    session, tenant.AccountId, "live", 1_000, request.Path));
                await ApiJson.WriteAsync(context, 200, "{}"u8.ToArray());
                break;
        }
    }

    private Database Open()
    {
        Database? database = null;
        try
        {
            database = Get<Database>();
            database.Prepare(
                Get<MasterKey>(), Get<IdGenerator>(), Time, _services.GetServices<DataPreparation>());
            return database;
        }
        catch (SqliteException error)
        {
            database?.Dispose();
            throw new StartException(error.Message, error);
        }
    }

    private ServiceProvider Services()
    {
        var random = new SimRandom(_world.Random.Next());
        var services = new ServiceCollection();
        services.AddSingleton(typeof(ILogger<>), typeof(NullLogger<>));
        services.AddSingleton<IHostApplicationLifetime>(_lifetime);
        services.AddSingleton<TimeProvider>(Time);
        services.AddSingleton(new ReeveOptions
        {
            Inference = new InferenceOptions { HedgeAfter = _world.MayHedge ? HedgeAfter : null },
        });
        services.AddSingleton(new CreditOptions());
        services.AddSingleton(new Failpoints(name => _world.Hit(this, name)));
        services.AddSingleton(new IdGenerator(Time, new SimIdBytes(random)));
        services.AddSingleton(Master);
        services.AddSingleton(static provider => new Database(DatabasePath, NullLogger<Database>.Instance,
            provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<Failpoints>(), SimVfs.Name,
            new ContentKeys(provider.GetRequiredService<MasterKey>())));
        services.AddEngine();
        services.AddSingleton<IBuiltinTool>(new SimTool(_world.Effects, random, Time));
        foreach (var id in (string[])["mesh/one-1", "mesh/two-1"])
        {
            services.AddSingleton(new CatalogEntry(SimModel.Describe(id),
                new SimModel(id, _world.Effects, random, Time), PrivacyMarks.Nothing));
            if (_world.MayHedge)
            {
                services.AddSingleton(new CatalogEntry(SimModel.Describe(id) with { Provider = "spare" },
                    new SimModel(id, _world.Effects, random, Time), PrivacyMarks.Nothing));
            }
        }

        return services.BuildServiceProvider();
    }

    private sealed class SimLifetime : IHostApplicationLifetime, IDisposable
    {
        private readonly CancellationTokenSource _stopping = new();

        public CancellationToken ApplicationStarted => CancellationToken.None;

        public CancellationToken ApplicationStopping => _stopping.Token;

        public CancellationToken ApplicationStopped => CancellationToken.None;

        public void StopApplication() => _stopping.Cancel();

        public void Dispose() => _stopping.Dispose();
    }
}
