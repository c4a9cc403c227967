using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Reeve.Server.Agents;
using Reeve.Server.Conversations;
using Reeve.Server.Storage;
using Reeve.Server.Tests.Tools;
using Reeve.Server.Tools;

namespace Reeve.Server.Tests.Agents;

/// <summary>A server with stand-ins for the models, the tools, the documents and the engine.</summary>
internal sealed class AgentServer : IAsyncDisposable
{
    private AgentServer(TestServer server) => Server = server;

    internal TestServer Server { get; }

    internal TestClient Client => Server.Client;

    internal Database Database => Server.Database;

    internal TenantContext Tenant { get; private init; }

    /// <summary>What was cancelled, in order.</summary>
    internal List<string> Cancelled { get; private init; } = [];

    internal static async Task<AgentServer> StartAsync(bool cancels = true)
    {
        var cancelled = new List<string>();
        var server = await TestServer.StartAsync(configure: builder =>
        {
            var services = builder.Services;
            services.RemoveAll<FirstStartStep>();
            services.RemoveAll<IBuiltinTool>();
            services.AddSingleton<KnownModel>(_ => model => model is "auto" or "best" or "reeve/quote");
            services.AddSingleton<IBuiltinTool>(new FakeTool("time", "now", "zones"));
            services.AddSingleton<IBuiltinTool>(new FakeTool("knowledge", "search"));
            services.AddSingleton<EraseDocuments>((session, tenant, agentId) => session.Execute(
                "DELETE FROM documents WHERE agent_id = $1 AND account_id = $2", agentId, tenant.AccountId));
            services.AddSingleton<CancelRuns>(provider => (tenant, agentId) => CancelAsync(
                provider, cancelled, cancels, "UPDATE runs SET status = 'cancelled' WHERE agent_id = $1 "
                + "AND account_id = $2 AND status IN ('queued', 'running', 'requires_action')", agentId, tenant));
            services.AddSingleton<CancelConversationRuns>(provider => (tenant, id) => CancelAsync(
                provider, cancelled, cancels, "UPDATE runs SET status = 'cancelled' WHERE conversation_id = $1 "
                + "AND account_id = $2 AND status IN ('queued', 'running', 'requires_action')", id, tenant));
        });
        var me = (await server.Client.GetAsync("/v1/accounts/me")).Json.GetProperty("id").GetString()!;
        return new AgentServer(server) { Tenant = new TenantContext(me), Cancelled = cancelled };
    }

    /// <summary>Makes an agent over the wire and answers its id.</summary>
    internal async Task<string> NewAgentAsync(string members = "\"name\":\"Desk\"")
    {
        var answer = await Client.PostAsync("/v1/agents", $$"""{{{members}}}""");
        Assert.Equal(201, answer.Status);
        return answer.Json.GetProperty("id").GetString()!;
    }

    /// <summary>Makes a conversation over the wire and answers its id.</summary>
    internal async Task<string> NewConversationAsync(string agent, string members = "\"title\":null")
    {
        var answer = await Client.PostAsync("/v1/conversations", $$"""{"agent":"{{agent}}",{{members}}}""");
        Assert.Equal(201, answer.Status);
        return answer.Json.GetProperty("id").GetString()!;
    }

    /// <summary>Puts a run into the database as the engine would leave it.</summary>
    internal async Task<RunRow> RunAsync(RunRow run)
    {
        await Database.WriteAsync(session => run.Insert(session, Tenant));
        return run;
    }

    /// <summary>A key of another account.</summary>
    internal async Task<TestClient> ForeignClientAsync()
    {
        var answer = await Client.PostAsync("/v1/accounts", """{"name":"Other"}""");
        Assert.Equal(201, answer.Status);
        var key = answer.Json.GetProperty("key");
        return Server.ClientFor(key.ValueKind == System.Text.Json.JsonValueKind.String
            ? key.GetString() : key.GetProperty("key").GetString());
    }

    public ValueTask DisposeAsync() => Server.DisposeAsync();

    private static async Task CancelAsync(
        IServiceProvider provider, List<string> cancelled, bool cancels, string sql, string id, TenantContext tenant)
    {
        cancelled.Add(id);
        if (cancels)
        {
            await provider.GetRequiredService<Database>().WriteAsync(session =>
                session.Execute(sql, id, tenant.AccountId));
        }
    }
}

internal sealed record RunRow(IdGenerator Ids, string AgentId, string? ConversationId, long Ordinal)
{
    internal string Id { get; } = Ids.New("run");

    internal string UserMessageId { get; } = Ids.New("msg");

    internal string MessageId { get; } = Ids.New("msg");

    internal string Status { get; init; } = "completed";

    internal string PrivacyClass { get; init; } = "standard";

    internal string Input { get; init; } = "What?";

    internal string? Output { get; init; } = "That.";

    internal string? Outcome { get; init; }

    internal long Charged { get; init; }

    internal static readonly DateTimeOffset At = new(2026, 11, 20, 9, 15, 0, TimeSpan.Zero);

    internal void Insert(DbSession session, TenantContext tenant)
    {
        var at = At.AddMinutes(Ordinal).ToUnixTimeMilliseconds();
        session.Execute("INSERT INTO runs (id, account_id, agent_id, conversation_id, ordinal, kind, mode, status, "
            + "epoch, privacy_class, charged, created_at, finished_at, key_id, request_id, user_message_id, "
            + "message_id, receipt_id, user_id, user, metadata, input, output, outcome) VALUES ($1, $2, $3, $4, $5, "
            + "'agent', 'live', $6, 1, $7, $8, $9, $10, 'key', 'req', $11, $12, 'rcpt', 'u', '{}', "
            + "'{\"secret\":1}', $13, $14, $15)", Id, tenant.AccountId, AgentId, ConversationId, Ordinal, Status,
            PrivacyClass, Charged, at, Status is "running" or "queued" ? null : at + 1_000, UserMessageId, MessageId,
            Input, Output, Outcome);
        session.Execute("INSERT INTO run_events (run_id, seq, account_id, epoch, type, at, payload, payload_sha256, "
            + "hash) VALUES ($1, 1, $2, 1, 'run.started', 1, $3, $4, $4)", Id, tenant.AccountId,
            "payload"u8.ToArray(), new byte[32]);
    }
}
