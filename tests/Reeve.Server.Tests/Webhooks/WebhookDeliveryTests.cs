using System.Globalization;
using Reeve.Server.Egress;
using Reeve.Server.Inference;
using Reeve.Server.Tests.Retrieval;
using Reeve.Server.Tests.Retrieval.Parsing;
using Reeve.Server.Tests.Runs;

namespace Reeve.Server.Tests.Webhooks;

public sealed class WebhookDeliveryTests
{
    private static readonly int[] Schedule =
        [5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600];

    [Fact]
    public async Task Run_ThatEnds_IsDeliveredAsTheRunObjectWithAGoodSignature()
    {
        await using var world = await WebhookWorld.StartAsync();
        var (id, secret) = await world.NewWebhookAsync("\"run.completed\"");
        var agent = await world.NewAgentAsync();

        var run = await world.RunAsync(agent);
        await world.Receiver.ReceivedAsync(1);
        var received = world.Receiver.Received[0];
        var shown = await world.Client.GetAsync($"/v1/runs/{run.Json.GetProperty("run_id").GetString()}");
        var delivery = await world.DeliveryAsync(
            id, static one => one.GetProperty("status").GetString() == "delivered");

        Assert.True(received.IsSignedBy(secret));
        Assert.Equal(received.Id, received.Json.GetProperty("id").GetString());
        Assert.Equal(
            ["id", "type", "created_at", "sequence", "data"], received.Json.EnumerateObject().Select(one => one.Name));
        Assert.Equal(("run.completed", 1), (received.Type, received.Json.GetProperty("sequence").GetInt32()));
        Assert.Equal(shown.Text, received.Data.GetRawText());
        Assert.Equal(TestServer.StartTime.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture),
            received.Timestamp);
        Assert.Equal("application/json", received.Headers["Content-Type"]);
        Assert.Equal($"{received.Id} 200 1", string.Create(CultureInfo.InvariantCulture,
            $"{delivery.Json.GetProperty("data")[0].GetProperty("id").GetString()} ")
            + $"{delivery.Json.GetProperty("data")[0].GetProperty("response_status").GetInt32()} "
            + $"{delivery.Json.GetProperty("data")[0].GetProperty("attempts").GetInt32()}");
    }

    [Fact]
    public async Task Webhook_HearsOfItsEventsAlone()
    {
        await using var world = await WebhookWorld.StartAsync();
        world.Model.Reply("One.").Reply(new ProviderException(ProviderFault.Refused, "no"));
        await world.NewWebhookAsync("\"run.failed\",\"run.cancelled\"");
        var agent = await world.NewAgentAsync();

        await world.RunAsync(agent);
        var failed = await world.RunAsync(agent);
        var waiting = new TaskCompletionSource();
        world.Model.Reply(waiting.Task);
        var running = await world.RunAsync(agent, ",\"background\":true");
        await world.Client.PostAsync($"/v1/runs/{running.Json.GetProperty("run_id").GetString()}/cancel", "{}");
        await world.Receiver.ReceivedAsync(2);

        Assert.True(failed.Status >= 500, failed.Text);
        var byOrder = world.Receiver.Received.OrderBy(static one => one.Json.GetProperty("sequence").GetInt32());
        Assert.Equal(["run.failed 1", "run.cancelled 2"], byOrder.Select(static one =>
            string.Create(CultureInfo.InvariantCulture, $"{one.Type} {one.Json.GetProperty("sequence").GetInt32()}")));
        Assert.NotEqual("null", world.Receiver.Received.First(static one => one.Type == "run.failed")
            .Data.GetProperty("error").GetRawText());
    }

    [Fact]
    public async Task Delivery_ThatFails_IsTriedAgainBySchedule_WithTheSameIdAndBody_AndThenGivenUp()
    {
        await using var world = await WebhookWorld.StartAsync();
        world.Receiver.Answer = static (_, _) => Task.FromResult(500);
        var (id, secret) = await world.NewWebhookAsync("\"run.completed\"");
        await world.RunAsync(await world.NewAgentAsync());

        for (var attempt = 1; attempt <= Schedule.Length; attempt++)
        {
            await world.Receiver.ReceivedAsync(attempt);
            var pending = await world.DeliveryAsync(
                id, one => one.GetProperty("attempts").GetInt32() == attempt);
            var next = pending.Json.GetProperty("data")[0].GetProperty("next_attempt_at").GetDateTimeOffset();
            Assert.Equal(world.Server.Time.GetUtcNow().AddSeconds(Schedule[attempt - 1]), next);
            world.Server.Time.Advance(TimeSpan.FromSeconds(Schedule[attempt - 1]) - TimeSpan.FromMilliseconds(1));
            await Task.Yield();
            Assert.Equal(attempt, world.Receiver.Received.Count);
            world.Server.Time.Advance(TimeSpan.FromMilliseconds(1));
        }

        await world.Receiver.ReceivedAsync(Schedule.Length + 1);
        var over = await world.DeliveryAsync(id, static one => one.GetProperty("status").GetString() == "failed");
        world.Server.Time.Advance(TimeSpan.FromDays(1));

        Assert.Equal(Schedule.Length + 1, over.Json.GetProperty("data")[0].GetProperty("attempts").GetInt32());
        Assert.Equal("null", over.Json.GetProperty("data")[0].GetProperty("next_attempt_at").GetRawText());
        Assert.Single(world.Receiver.Received.Select(static one => one.Id).Distinct());
        Assert.Single(world.Receiver.Received.Select(static one => one.Body).Distinct());
        Assert.Equal(
            Schedule.Length + 1, world.Receiver.Received.Select(static one => one.Timestamp).Distinct().Count());
        Assert.All(world.Receiver.Received, one => Assert.True(one.IsSignedBy(secret)));
        Assert.Equal(Schedule.Length + 1, world.Receiver.Received.Count);
    }

    [Fact]
    public async Task Redirect_IsAFailure_AndNotFollowed()
    {
        await using var world = await WebhookWorld.StartAsync();
        world.Receiver.Answer = (_, context) =>
        {
            context.Response.Headers.Location = "/elsewhere";
            return Task.FromResult(307);
        };
        var (id, _) = await world.NewWebhookAsync("\"run.completed\"");

        await world.Client.PostAsync($"/v1/webhooks/{id}/test", "{}");
        var over = await world.DeliveryAsync(id, static one => one.GetProperty("status").GetString() == "failed");

        Assert.Equal(307, over.Json.GetProperty("data")[0].GetProperty("response_status").GetInt32());
        Assert.Equal(["/hook"], world.Receiver.Received.Select(static one => one.Path));
    }

    [Fact]
    public async Task Receiver_ThatDoesNotAnswer_IsGivenFifteenSeconds()
    {
        await using var world = await WebhookWorld.StartAsync();
        var never = new TaskCompletionSource<int>();
        world.Receiver.Answer = (_, _) => never.Task;
        var (id, _) = await world.NewWebhookAsync("\"run.completed\"");
        await world.Client.PostAsync($"/v1/webhooks/{id}/test", "{}");
        await world.Receiver.ReceivedAsync(1);

        world.Server.Time.Advance(TimeSpan.FromSeconds(14));
        var waiting = await world.Client.GetAsync($"/v1/webhooks/{id}/deliveries");
        world.Server.Time.Advance(TimeSpan.FromSeconds(1));
        var over = await world.DeliveryAsync(id, static one => one.GetProperty("status").GetString() == "failed");
        never.SetResult(200);

        Assert.Equal("pending", waiting.Json.GetProperty("data")[0].GetProperty("status").GetString());
        Assert.Equal("timeout", over.Json.GetProperty("data")[0].GetProperty("error").GetString());
    }

    [Fact]
    public async Task DeadEndpoint_HoldsUpNobodyElse()
    {
        await using var world = await WebhookWorld.StartAsync();
        var never = new TaskCompletionSource<int>();
        await using var dead = await WebhookReceiver.StartAsync();
        dead.Answer = (_, _) => never.Task;
        await using var both = await TestServer.StartAsync(options => options with
        {
            Egress = new() { Allow = [.. dead.Allowed.Allow, .. world.Receiver.Allowed.Allow] },
        });
        var ids = new List<string>();
        foreach (var url in (Uri[])[dead.Url, world.Receiver.Url])
        {
            var made = await both.Client.PostAsync(
                "/v1/webhooks", $$"""{"url":"{{url}}","events":["run.completed"]}""");
            ids.Add(made.Json.GetProperty("id").GetString()!);
        }

        for (var i = 0; i < 30; i++)
        {
            await both.Client.PostAsync($"/v1/webhooks/{ids[0]}/test", "{}");
        }

        await dead.ReceivedAsync(4);
        await both.Client.PostAsync($"/v1/webhooks/{ids[1]}/test", "{}");
        await world.Receiver.ReceivedAsync(1);

        Assert.Equal(4, dead.Received.Count); // The bound of one origin; its clock stands still.
        never.SetResult(200);
    }

    [Fact]
    public async Task Rotation_SignsWithBothSecretsForADay()
    {
        await using var world = await WebhookWorld.StartAsync();
        var (id, old) = await world.NewWebhookAsync("\"run.completed\"");
        var rotated = await world.Client.PostAsync($"/v1/webhooks/{id}/rotate", "");
        var secret = rotated.Json.GetProperty("secret").GetString()!;

        await world.Client.PostAsync($"/v1/webhooks/{id}/test", "");
        await world.Receiver.ReceivedAsync(1);
        world.Server.Time.Advance(TimeSpan.FromHours(24));
        await world.Client.PostAsync($"/v1/webhooks/{id}/test", "");
        await world.Receiver.ReceivedAsync(2);

        var (first, second) = (world.Receiver.Received[0], world.Receiver.Received[1]);
        Assert.NotEqual(old, secret);
        Assert.Equal((true, true), (first.IsSignedBy(secret), first.IsSignedBy(old)));
        Assert.Equal((true, false), (second.IsSignedBy(secret), second.IsSignedBy(old)));
    }

    [Fact]
    public async Task Rotation_Again_LeavesTheReceiverTheSecretThatItHas_AndSignsWithFiveAtMost()
    {
        await using var world = await WebhookWorld.StartAsync();
        var (id, first) = await world.NewWebhookAsync("\"run.completed\"");
        var secrets = new List<string> { first };
        for (var i = 0; i < 5; i++)
        {
            var rotated = await world.Client.PostAsync($"/v1/webhooks/{id}/rotate", "");
            secrets.Add(rotated.Json.GetProperty("secret").GetString()!);
            await world.Client.PostAsync($"/v1/webhooks/{id}/test", "");
            await world.Receiver.ReceivedAsync(i + 1);
        }

        world.Server.Time.Advance(TimeSpan.FromHours(24));
        await world.Client.PostAsync($"/v1/webhooks/{id}/test", "");
        await world.Receiver.ReceivedAsync(6);

        var signs = world.Receiver.Received.OrderBy(static one => one.Json.GetProperty("sequence").GetInt32())
            .Select(one => string.Concat(secrets.Select(secret => one.IsSignedBy(secret) ? '1' : '0')));
        Assert.Equal(["110000", "111000", "111100", "111110", "011111", "000001"], signs);
    }

    [Fact]
    public async Task Confidential_OrLargeOrErased_SendsIdsAndStatusOnly()
    {
        await using var world = await WebhookWorld.StartAsync();
        world.Model.Reply(new string('x', 30_000)).Reply("Small secret.");
        world.Receiver.Answer = (one, _) => Task.FromResult(one.Body.Contains("Small secret", StringComparison.Ordinal)
            ? 500 : 200);
        await world.NewWebhookAsync("\"run.completed\"");
        var agent = await world.NewAgentAsync();
        var quoting = await world.Client.PostAsync("/v1/agents",
            """{"name":"Quote","model":"reeve/quote","privacy_class":"confidential"}""");

        var large = await world.RunAsync(agent);
        await world.Receiver.ReceivedAsync(1);
        await world.RunAsync(quoting.Json.GetProperty("id").GetString()!);
        await world.Receiver.ReceivedAsync(2);
        var erased = await world.RunAsync(agent);
        await world.Receiver.ReceivedAsync(3);
        await world.Client.DeleteAsync(
            $"/v1/conversations/{erased.Json.GetProperty("conversation_id").GetString()}");
        world.Server.Time.Advance(TimeSpan.FromSeconds(5));
        await world.Receiver.ReceivedAsync(4);

        var received = world.Receiver.Received;
        Assert.True(large.Text.Length > 20_000);
        foreach (var one in new[] { received[0], received[1] })
        {
            Assert.Equal(["id", "agent_id", "conversation_id", "run_id", "status", "receipt_id"],
                one.Data.EnumerateObject().Select(static member => member.Name));
        }

        Assert.Equal(received[2].Id, received[3].Id);
        Assert.Equal($$"""{"run_id":"{{erased.Json.GetProperty("run_id").GetString()}}","status":"completed"}""",
            received[3].Data.GetRawText());
    }

    [Fact]
    public async Task Deletion_StopsWhatIsOnItsWay()
    {
        await using var world = await WebhookWorld.StartAsync();
        world.Receiver.Answer = static (_, _) => Task.FromResult(500);
        var (id, _) = await world.NewWebhookAsync("\"run.completed\"");
        await world.RunAsync(await world.NewAgentAsync());
        await world.DeliveryAsync(id, static one => one.GetProperty("attempts").GetInt32() == 1);

        var deleted = await world.Client.DeleteAsync($"/v1/webhooks/{id}");
        world.Server.Time.Advance(TimeSpan.FromMinutes(10));
        var (other, _) = await world.NewWebhookAsync("\"run.failed\"");
        await world.Client.PostAsync($"/v1/webhooks/{other}/test", "{}");
        await world.Receiver.ReceivedAsync(2);

        Assert.Equal(204, deleted.Status);
        Assert.Equal("webhook.test", world.Receiver.Received[1].Type);
        Assert.Equal(1, world.Server.Database.Read(
            static session => session.Count("SELECT count(*) FROM webhook_deliveries")));
    }

    [Fact]
    public async Task TurningOff_EndsWhatIsOnItsWay_AndNothingNewComes()
    {
        await using var world = await WebhookWorld.StartAsync();
        world.Receiver.Answer = static (_, _) => Task.FromResult(500);
        var (id, _) = await world.NewWebhookAsync("\"run.completed\"");
        var agent = await world.NewAgentAsync();
        await world.RunAsync(agent);
        await world.DeliveryAsync(id, static one => one.GetProperty("attempts").GetInt32() == 1);

        await world.Client.PatchAsync($"/v1/webhooks/{id}", """{"enabled":false}""");
        await world.RunAsync(agent);
        var deliveries = await world.Client.GetAsync($"/v1/webhooks/{id}/deliveries");

        var only = Assert.Single(deliveries.Json.GetProperty("data").EnumerateArray());
        Assert.Equal(("failed", "disabled"),
            (only.GetProperty("status").GetString(), only.GetProperty("error").GetString()));
    }

    [Fact]
    public async Task Endpoint_ThatTakesNothingForFiveDays_IsTurnedOff()
    {
        await using var world = await WebhookWorld.StartAsync();
        world.Receiver.Answer = static (_, _) => Task.FromResult(503);
        var (id, _) = await world.NewWebhookAsync("\"run.completed\"");
        var agent = await world.NewAgentAsync();
        await world.RunAsync(agent);
        await world.DeliveryAsync(id, static one => one.GetProperty("attempts").GetInt32() == 1);

        world.Server.Time.Advance(TimeSpan.FromDays(5) + TimeSpan.FromSeconds(1));
        await world.RunAsync(agent);
        await Eventually.TrueAsync(() => world.Server.Database.Read(session => session.Count(
            "SELECT enabled FROM webhooks WHERE id = $1", id)) == 0);
        var shown = await world.Client.GetAsync($"/v1/webhooks/{id}");
        await world.DeliveryAsync(id, static one => one.GetProperty("status").GetString() == "failed");

        Assert.False(shown.Json.GetProperty("enabled").GetBoolean());
    }

    [Fact]
    public async Task Outbox_SurvivesAStop_AndGoesOnWithTheNextStart()
    {
        var folder = TestServer.NewFolder();
        try
        {
            string run;
            await using (var world = await WebhookWorld.StartAsync(folder: folder))
            {
                world.Receiver.Answer = static (_, _) => Task.FromResult(500);
                await world.NewWebhookAsync("\"run.completed\"");
                run = (await world.RunAsync(await world.NewAgentAsync())).Json.GetProperty("run_id").GetString()!;
                await world.Receiver.ReceivedAsync(1);
            }

            await using var receiver = await WebhookReceiver.StartAsync();
            await using var next = await TestServer.StartAsync(
                options => options with { Egress = receiver.Allowed }, folder: folder,
                startTime: TestServer.StartTime.AddMinutes(1));
            await next.Database.WriteAsync(session => session.Execute(
                "UPDATE webhooks SET url = $1", receiver.Url.ToString()));
            next.Time.Advance(TimeSpan.FromMinutes(6));
            await receiver.ReceivedAsync(1);

            Assert.Equal(run, receiver.Received[0].Data.GetProperty("run_id").GetString());
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task Document_ThatIsReady_IsTold()
    {
        await using var world = await WebhookWorld.StartAsync();
        await world.NewWebhookAsync("\"document.ready\"");
        var agent = await world.NewAgentAsync();

        var made = await world.Client.PostAsync(
            $"/v1/agents/{agent}/documents", """{"name":"a.txt","text":"The bird sings."}""");
        await world.Client.PostAsync($"/v1/agents/{agent}/documents", """{"name":"b.txt","text":"The bird sings."}""");
        await world.Client.PostAsync($"/v1/agents/{agent}/documents",
            """{"name":"c.txt","text":"Another bird sings.","privacy_class":"confidential"}""");
        await world.Receiver.ReceivedAsync(2);

        var bySequence = world.Receiver.Received.OrderBy(static one => one.Json.GetProperty("sequence").GetInt32())
            .ToList();
        Assert.Equal(201, made.Status);
        Assert.Equal(made.Text, bySequence[0].Data.GetRawText());
        Assert.Equal(["id", "status"], bySequence[1].Data.EnumerateObject().Select(static one => one.Name));
    }

    [Fact]
    public async Task Document_ThatCannotBeRead_IsToldAsFailed_EachTimeThatItWasTried()
    {
        await using var world = await WebhookWorld.StartAsync();
        await world.NewWebhookAsync("\"document.failed\"");
        var agent = await world.NewAgentAsync();
        var broken = "%PDF-1.7 and no more"u8.ToArray();

        var made = await world.Client.UploadAsync(agent, broken, "broken.pdf");
        var path = $"/v1/documents/{made.Json.GetProperty("id").GetString()}";
        await world.Receiver.ReceivedAsync(1);
        var shown = await world.Client.GetAsync(path);
        var read = await world.Client.UploadAsync(agent, SampleFiles.Pdf([(11, 700, "The bird sings.")]), "good.pdf");
        var again = await world.Client.PostAsync(path + "/retry", "");
        await world.Receiver.ReceivedAsync(2);
        await world.Client.UploadAsync(
            agent, [.. broken, 1], "secret.pdf", """{"privacy_class":"confidential"}""");
        await world.Receiver.ReceivedAsync(3);

        Assert.Equal((201, "failed"), (made.Status, made.Json.GetProperty("status").GetString()));
        Assert.Equal((202, "ready"), (again.Status, read.Json.GetProperty("status").GetString()));
        var told = world.Receiver.Received.OrderBy(static one => one.Json.GetProperty("sequence").GetInt32()).ToList();
        Assert.All(told, static one => Assert.Equal("document.failed", one.Type));
        Assert.Equal(shown.Text, told[0].Data.GetRawText());
        Assert.Equal("damaged", told[0].Data.GetProperty("error").GetProperty("code").GetString());
        Assert.Equal("damaged", told[1].Data.GetProperty("error").GetProperty("code").GetString());
        Assert.NotEqual(told[0].Id, told[1].Id);
        Assert.Equal(["id", "status"], told[2].Data.EnumerateObject().Select(static one => one.Name));
        Assert.Equal("failed", told[2].Data.GetProperty("status").GetString());
    }

    [Fact]
    public async Task Webhooks_ThatDoNotAnswer_HoldUpNoOtherOfTheirAccount()
    {
        const int Dead = 8;
        const int Events = 12;
        var receivers = new List<WebhookReceiver>();
        try
        {
            for (var i = 0; i <= Dead; i++)
            {
                receivers.Add(await WebhookReceiver.StartAsync());
            }

            var good = receivers[^1];
            var fault = 200;
            await using var server = await TestServer.StartAsync(
                options => options with
                {
                    Egress = new EgressOptions { Allow = [.. receivers.SelectMany(static one => one.Allowed.Allow)] },
                },
                static builder => new ScriptedChatClient().AddTo(builder));
            foreach (var receiver in receivers)
            {
                receiver.Answer = async (_, context) =>
                {
                    if (receiver == good)
                    {
                        return Interlocked.Exchange(ref fault, 200);
                    }

                    await Task.WhenAny(
                        Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted));
                    return 200;
                };
                var made = await server.Client.PostAsync(
                    "/v1/webhooks", $$"""{"url":"{{receiver.Url}}hook","events":["run.completed"]}""");
                Assert.Equal(201, made.Status);
            }

            var agent = await server.NewAgentAsync();
            for (var i = 0; i < Events; i++)
            {
                await server.RunAsync(agent);
            }

            // All places are taken by those of whom nobody knows yet that they do not answer.
            await Eventually.TrueAsync(() => receivers.SkipLast(1).Sum(static one => one.Received.Count) >= 20);
            Assert.True(good.Received.Count < Events);
            server.Time.Advance(TimeSpan.FromSeconds(15));
            await good.ReceivedAsync(Events);

            // One that fails once is not among the dead for it.
            fault = 500;
            await server.RunAsync(agent);
            await good.ReceivedAsync(Events + 1);
            for (var i = 0; i < Events; i++)
            {
                await server.RunAsync(agent);
            }

            await good.ReceivedAsync((2 * Events) + 1);
        }
        finally
        {
            await Task.WhenAll(receivers.Select(static one => one.DisposeAsync().AsTask()));
        }
    }

    [Fact]
    public async Task Deliveries_ThatPileUp_AreBounded_AndTheOldestAreGivenUp()
    {
        await using var world = await WebhookWorld.StartAsync(static options => options with
        {
            Webhooks = new WebhookOptions { PendingMax = 100 },
        });
        var gate = new TaskCompletionSource();
        world.Receiver.Answer = async (_, _) =>
        {
            await gate.Task;
            return 200;
        };
        var (webhook, _) = await world.NewWebhookAsync("\"run.completed\"");
        for (var i = 0; i < 250; i++)
        {
            Assert.Equal(202, (await world.Client.PostAsync($"/v1/webhooks/{webhook}/test", "{}")).Status);
        }

        Assert.Equal("1-100 failed overflow, 101-250 pending", await world.SequencesAsync(webhook));
        for (var i = 0; i < 50; i++)
        {
            await world.Client.PostAsync($"/v1/webhooks/{webhook}/test", "{}");
        }

        Assert.Equal("1-200 failed overflow, 201-300 pending", await world.SequencesAsync(webhook));
        gate.SetResult();
        await Eventually.TrueAsync(async () =>
            await world.SequencesAsync(webhook) == "1-200 failed overflow, 201-300 delivered");
        await world.Server.AssertSoundAsync();
    }

    [Fact]
    public async Task LowBalance_IsToldOnce_UntilATopUpLiftsIt()
    {
        await using var world = await WebhookWorld.StartAsync(options => options with
        {
            Credits = options.Credits with { StartingBalanceUsd = 2, LowBalanceUsd = 1 },
        });
        world.Model.Reply("Dear.", ScriptedChatClient.Usage(100_000, 10_000)); // 0.45 USD
        var (id, _) = await world.NewWebhookAsync("\"balance.low\"");
        var agent = await world.NewAgentAsync(",\"max_output_tokens\":4096");
        var account = (await world.Client.GetAsync("/v1/accounts/me")).Json.GetProperty("id").GetString()!;
        var credits = $"/v1/accounts/{account}/credits";

        await world.Client.PostAsync(credits, """{"amount_usd":-0.9}""");
        var none = await world.Client.GetAsync($"/v1/webhooks/{id}/deliveries");
        await world.Client.PostAsync(credits, """{"amount_usd":-0.15}""");
        await world.Client.PostAsync(credits, """{"amount_usd":-0.1}""");
        await world.RunAsync(agent);
        await world.Client.PostAsync(credits, """{"amount_usd":0.01}""");
        await world.Client.PostAsync(credits, """{"amount_usd":-0.02}""");
        await world.Client.PostAsync(credits, """{"amount_usd":3}""");
        await world.Client.PostAsync(credits, """{"amount_usd":-3}""");
        await world.Receiver.ReceivedAsync(1);
        var told = await world.DeliveryAsync(id, static one => one.GetProperty("sequence").GetInt32() == 2);
        await world.Receiver.ReceivedAsync(2);

        Assert.Equal("[]", none.Json.GetProperty("data").GetRawText());
        Assert.Equal(2, told.Json.GetProperty("data").GetArrayLength());
        var first = world.Receiver.Received.Single(static one => one.Json.GetProperty("sequence").GetInt32() == 1);
        Assert.Equal($$"""{"account_id":"{{account}}","balanceUsd":0.95,"low_balance_usd":1}""",
            first.Data.GetRawText());
    }
}
