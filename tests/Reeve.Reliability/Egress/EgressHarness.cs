using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Reeve.Reliability.Simulation;
using Reeve.Server.Egress;
using Reeve.Server.Tests;
using Reeve.Server.Tests.Webhooks;

namespace Reeve.Reliability.Egress;

/// <summary>
/// R13: forbidden addresses in every spelling, as the address of a webhook that is then tested, straight through the
/// guard without the check of the text before it, and as where a redirect points. A trap listens on all addresses of
/// this machine; whatever is dialled is looked at as well, so that addresses of other machines count too.
/// </summary>
internal sealed partial class EgressHarness : IAsyncDisposable
{
    private const int ProblemsMax = 100;
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    private readonly TrapServer _trap = new();
    private readonly ConcurrentDictionary<string, Queue<IReadOnlyList<IPAddress>>> _names =
        new(StringComparer.OrdinalIgnoreCase);

    private readonly ConcurrentQueue<IPEndPoint> _dialled = new();
    private readonly List<string> _problems = [];
    private readonly Dictionary<string, int> _outcomes = new(StringComparer.Ordinal);
    private TestServer _server = null!;
    private WebhookReceiver _receiver = null!;
    private SafeHttp _direct = null!;
    private string _webhook = "";
    private string _redirected = "";

    internal static async Task<Score> RunAsync(Trial trial)
    {
        var count = trial.Count(test: 1_000, ci: 10_000, bench: 1_000_000);
        await using var harness = new EgressHarness();
        await harness.StartAsync(Allowed);
        return await harness.TryAsync(count, trial);
    }

    /// <summary>As <see cref="RunAsync"/>, with a hole in the guard: the operator allows what must be found.</summary>
    internal static async Task<Score> RunWithAHoleAsync(Trial trial)
    {
        await using var harness = new EgressHarness();
        await harness.StartAsync(Allowed with
        {
            Allow = [new EgressTarget("127.0.0.1", harness._trap.Port), new EgressTarget("::1", harness._trap.Port)],
        });
        return await harness.TryAsync(trial.Count(test: 300, ci: 300, bench: 300), trial);
    }

    public async ValueTask DisposeAsync()
    {
        _direct?.Dispose();
        if (_server is not null)
        {
            await _server.DisposeAsync();
        }

        if (_receiver is not null)
        {
            await _receiver.DisposeAsync();
        }

        _trap.Dispose();
    }

    // http too: else the scheme alone would refuse most of them.
    private static EgressOptions Allowed => new() { AllowHttp = true };

    private async Task StartAsync(EgressOptions options)
    {
        _receiver = await WebhookReceiver.StartAsync();
        options = options with { Allow = [.. options.Allow, .. _receiver.Allowed.Allow] };
        _direct = new SafeHttp(options, ResolveAsync, TimeProvider.System, DialAsync);
        _server = await TestServer.StartAsync(known => known with
        {
            Egress = options,
            Limits = known.Limits with { EnterpriseRequestsPerMinute = 10_000_000 },
        }, builder =>
        {
            builder.Logging.ClearProviders();
            builder.Services.AddSingleton<ResolveName>(ResolveAsync);
            builder.Services.AddSingleton<DialAddress>(DialAsync);
        }, realTime: true);
        _webhook = await NewWebhookAsync("https://hooks.example/");
        _redirected = await NewWebhookAsync($"{_receiver.Url}redirect");
    }

    private async Task<string> NewWebhookAsync(string url)
    {
        var made = await _server.Client.PostAsync("/v1/webhooks", Body(("url", url), ("events", "run.completed")));
        Assert.True(made.Status == 201, made.Text);
        return made.Json.GetProperty("id").GetString()!;
    }

    private async Task<Score> TryAsync(int count, Trial trial)
    {
        var spellings = new AddressSpellings(new SimRandom(trial.Seed), _trap.Port);
        for (var i = 0; i < count && _problems.Count < ProblemsMax; i++)
        {
            var spelling = spellings.Next();
            await TryAsync(spelling, "through the guard", DirectAsync);
            await TryAsync(spelling, "as a webhook", WebhookAsync);
            if (i % 20 == 0)
            {
                await TryAsync(spelling, "as a redirect", RedirectAsync);
            }

            if (i % 5_000 == 4_999)
            {
                trial.Log($"{i + 1} spellings, {_trap.Accepted} reached the trap");
            }
        }

        if (!_outcomes.ContainsKey("forbidden_address") || !_outcomes.ContainsKey("400"))
        {
            _problems.Add("nothing was refused by the address or by the text: there was no test");
        }

        return new Score(count, string.Create(CultureInfo.InvariantCulture,
            $"{_trap.Accepted} connections reached the trap; ")
            + string.Join(", ", _outcomes.OrderByDescending(static one => one.Value).Select(static one =>
                string.Create(CultureInfo.InvariantCulture, $"{one.Value:N0} {one.Key}"))), _problems);
    }

    private async Task TryAsync(Spelling spelling, string how, Func<Spelling, Task<string>> attempt)
    {
        var before = _trap.Accepted;
        _dialled.Clear();
        if (spelling.Name.Length > 0)
        {
            _names[spelling.Name] = new Queue<IReadOnlyList<IPAddress>>([spelling.First, spelling.Then]);
        }

        var outcome = await attempt(spelling);
        _outcomes[outcome] = _outcomes.GetValueOrDefault(outcome) + 1;
        var reached = _dialled.Where(one => ForbiddenAddresses.Contains(one.Address)
            && one.Port != _receiver.Url.Port).ToList();
        if (_trap.Accepted != before || reached.Count > 0 || outcome is "200" or "delivered")
        {
            _problems.Add($"{JsonEncodedText.Encode(spelling.Url)} {how} "
                + $"reached {string.Join(", ", reached)}: {outcome}");
        }
    }

    /// <summary>Twice, so that a name may change its mind in between.</summary>
    private async Task<string> DirectAsync(Spelling spelling)
    {
        if (!Uri.TryCreate(spelling.Url, UriKind.Absolute, out var url))
        {
            return "no URL";
        }

        var outcome = "";
        for (var i = 0; i < 2; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, url);
            try
            {
                outcome = (await _direct.SendAsync(request, Deadline, 0, CancellationToken.None)).Status
                    .ToString(CultureInfo.InvariantCulture);
            }
            catch (EgressException error)
            {
                outcome = error.Word;
            }
            catch (Exception error) when (error is UriFormatException or ArgumentException or InvalidOperationException
                or NotSupportedException)
            {
                outcome = "no request"; // The client's own refusal of what is no address.
            }
        }

        return outcome;
    }

    private async Task<string> WebhookAsync(Spelling spelling)
    {
        var changed = await _server.Client.PatchAsync($"/v1/webhooks/{_webhook}", Body(("url", spelling.Url)));
        if (changed.Status == 400 && changed.ErrorParam == "url")
        {
            return "400";
        }

        return changed.Status == 200 ? await TestAsync(_webhook) : $"PATCH {changed.Status} {changed.Text}";
    }

    private async Task<string> RedirectAsync(Spelling spelling)
    {
        _receiver.Answer = (_, context) =>
        {
            context.Response.Headers.Location = Ascii().Replace(spelling.Url, "");
            return Task.FromResult(302);
        };
        return await TestAsync(_redirected) == "http 302" ? "redirect not followed" : "redirect lost";
    }

    private async Task<string> TestAsync(string webhook)
    {
        var outcome = "";
        for (var i = 0; i < 2 && outcome is not "delivered"; i++)
        {
            var test = await _server.Client.PostAsync($"/v1/webhooks/{webhook}/test", "{}");
            Assert.True(test.Status == 202, test.Text);
            var id = test.Json.GetProperty("id").GetString();
            JsonElement delivery;
            do
            {
                var listed = await _server.Client.GetAsync($"/v1/webhooks/{webhook}/deliveries?limit=1");
                delivery = listed.Json.GetProperty("data")[0];
                Assert.Equal(id, delivery.GetProperty("id").GetString());
            }
            while (delivery.GetProperty("status").GetString() == "pending");
            outcome = delivery.GetProperty("status").GetString() == "delivered" ? "delivered"
                : delivery.GetProperty("error").GetString()
                    ?? string.Create(CultureInfo.InvariantCulture,
                        $"http {delivery.GetProperty("response_status").GetInt32()}");
        }

        return outcome;
    }

    /// <summary>Names of the trials say what they are told to; others what this machine knows by itself.</summary>
    private async Task<IPAddress[]> ResolveAsync(string host, CancellationToken cancellationToken)
    {
        if (_names.TryGetValue(host.TrimEnd('.'), out var answers))
        {
            lock (answers)
            {
                return [.. answers.Count > 1 ? answers.Dequeue() : answers.Peek()];
            }
        }

        return Local().IsMatch(host)
            ? await SafeHttp.SystemResolver(host, cancellationToken)
            : throw new SocketException((int)SocketError.HostNotFound);
    }

    /// <summary>Forbidden addresses are really dialled, for the trap; nobody else's machine is.</summary>
    private async Task<Stream> DialAsync(IPEndPoint address, CancellationToken cancellationToken)
    {
        _dialled.Enqueue(address);
        if (!ForbiddenAddresses.Contains(address.Address))
        {
            throw new SocketException((int)SocketError.ConnectionRefused);
        }

        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            using var soon = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            soon.CancelAfter(TimeSpan.FromSeconds(1));
            await socket.ConnectAsync(address, soon.Token);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static string Body(params (string Name, string Value)[] members)
    {
        var body = new JsonObject();
        foreach (var (name, value) in members)
        {
            body[name] = name == "events" ? new JsonArray(value) : value;
        }

        return body.ToJsonString();
    }

    [GeneratedRegex(@"^[0-9a-fA-FxX.]+$|localhost|loopback|broadcasthost", RegexOptions.IgnoreCase)]
    private static partial Regex Local();

    [GeneratedRegex("[^!-~]")]
    private static partial Regex Ascii();
}
