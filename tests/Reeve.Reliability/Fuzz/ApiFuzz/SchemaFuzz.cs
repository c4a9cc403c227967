using System.Globalization;
using System.Text.Json;
using CsCheck;
using Reeve.Reliability.Load;
using Reeve.Server;

namespace Reeve.Reliability.Fuzz.ApiFuzz;

/// <summary>
/// R15: requests made from the OpenAPI document, one after the other, at a real server. What is answered must be what
/// the document says; what is refused must have changed nothing; what was made must be there, and what was deleted not.
/// </summary>
internal static class SchemaFuzz
{
    /// <summary>After so many requests a new server begins, so that a seed leads to any of them soon.</summary>
    private const int RoundRequests = 2_500;

    private const int ProblemsMax = 100;

    /// <summary>Takes a document that failed, which no upload of a line or two does.</summary>
    private const string OutOfReach = "retryDocument";

    internal static async Task<Score> RunAsync(Trial trial)
    {
        var requests = trial.Count(test: 1_000, ci: 20_000, bench: 1_000_000);
        var spec = ApiSpec.Load();
        var totals = new Totals();
        for (var round = 0; totals.Requests < requests && totals.Problems.Count < ProblemsMax; round++)
        {
            await using var world = await ApiWorld.StartAsync();
            var seed = trial.Seed + (ulong)round;
            await new Round(spec, world, seed, totals).RunAsync(Math.Min(RoundRequests, requests - totals.Requests));
            trial.Log(string.Create(CultureInfo.InvariantCulture,
                $"{totals.Requests} requests, {totals.Problems.Count} problems"));
        }

        // Enough requests must also have got everywhere: a refusal of everything would break no rule.
        if (trial.Scale != Scale.Test)
        {
            totals.Problems.AddRange(spec.Operations
                .Where(one => one.Id != OutOfReach && !totals.Succeeded.Contains(one.Id))
                .Select(static one => $"{one.Name} never succeeded"));
        }

        var statuses = string.Join(", ", totals.ByStatus.OrderBy(static one => one.Key)
            .Select(static one => $"{one.Value} × {one.Key}"));
        return new Score(totals.Requests, string.Create(CultureInfo.InvariantCulture,
            $"{spec.Operations.Count} operations, {totals.Succeeded.Count} with success; {statuses}; "
            + $"{totals.Unchanged} refusals compared with the database before; {totals.Deleted} deletions"),
            totals.Problems);
    }

    private sealed class Totals
    {
        internal int Requests { get; set; }

        internal int Unchanged { get; set; }

        internal int Deleted { get; set; }

        internal Dictionary<int, int> ByStatus { get; } = [];

        internal HashSet<string> Succeeded { get; } = [];

        internal List<string> Problems { get; } = [];
    }

    private sealed class Round(ApiSpec spec, ApiWorld world, ulong seed, Totals totals)
    {
        private static readonly TimeSpan AnswerMax = TimeSpan.FromSeconds(30);

        private readonly SchemaCheck _check = new(spec);
        private RawConnection? _connection;
        private string? _refusal;
        private int _number;

        internal async Task RunAsync(int count)
        {
            var (requests, judge) = (new ApiRequests(spec, _check, world), new AnswerJudge(spec, _check));
            var (before, version) = ("", -1L);
            try
            {
                for (_number = 0; _number < count && totals.Problems.Count < ProblemsMax; _number++)
                {
                    // Each request has its own generator, so that the log of a violation names it alone.
                    var request = requests.Make(new PCG((uint)_number, seed));
                    if (version < 0)
                    {
                        await world.SettleAsync();
                        (version, before) = (world.Version(), world.Fingerprint());
                    }

                    totals.Requests++;
                    if (await TrySendAsync(request) is not { } answer)
                    {
                        return; // Whatever it still does would blur what the next requests change.
                    }

                    totals.ByStatus[answer.Status] = totals.ByStatus.GetValueOrDefault(answer.Status) + 1;
                    foreach (var problem in judge.Judge(request, answer))
                    {
                        Add(problem, request, answer);
                    }

                    if (answer.Status >= 400)
                    {
                        Compare(request, answer, before, ref version);
                    }
                    else if (answer.Status < 300)
                    {
                        totals.Succeeded.Add(request.Operation.Id);
                        version = request.Operation.Method == "GET" ? version : -1;
                        await LearnAsync(request, answer);
                    }
                }

                await world.SettleAsync();
                if (await world.VerifyAsync() is { } complaint)
                {
                    totals.Problems.Add($"seed {seed}: {complaint}");
                }

                if (world.Errors.Length > 0)
                {
                    totals.Problems.Add($"seed {seed}: the server says {world.Errors}");
                }
            }
            finally
            {
                _connection?.Dispose();
            }
        }

        /// <summary>Nothing may differ after a refusal; that nobody wrote at all is seen at once.</summary>
        private void Compare(ApiRequest request, RawAnswer answer, string before, ref long version)
        {
            totals.Unchanged++;
            if (answer.Status == 401)
            {
                // Nothing of a 401 tells why.
                var body = answer.Text.Split("\"request_id\"")[0];
                if ((_refusal ??= body) != body)
                {
                    Add("a 401 that differs from another", request, answer);
                }
            }

            var now = world.Version();
            if (now == version)
            {
                return;
            }

            version = now;
            var after = world.Fingerprint();
            if (after != before)
            {
                // A failed run is one that was admitted: it is kept, and says so.
                if (!answer.Text.Contains("\"run_id\":\"run_", StringComparison.Ordinal))
                {
                    var tables = before.Split('\n').Zip(after.Split('\n')).Where(static one => one.First != one.Second)
                        .Select(static one => $"{one.First} became {one.Second}");
                    Add($"it was refused and changed {string.Join("; ", tables)}", request, answer);
                }

                version = -1;
            }
        }

        private async Task LearnAsync(ApiRequest request, RawAnswer answer)
        {
            var ids = request.Caller.Ids;
            if (request.Target is { } gone && answer.Status == 204)
            {
                totals.Deleted++;
                ids.Bury(gone);
                await ExpectAsync(request, gone, 404);
                return;
            }

            if (answer.Header("Content-Type")?.StartsWith("application/json", StringComparison.Ordinal) is not true
                || request.Operation.IsPublic)
            {
                return;
            }

            var body = JsonElement.Parse(answer.Body);
            ids.Learn(body);
            if (answer.Status == 201 && body.TryGetProperty("id", out var id)
                && spec.Operations.Any(one => one.Method == "GET" && one.Path == ItemPath(id.GetString()!)))
            {
                await ExpectAsync(request, id.GetString()!, 200);
            }
        }

        /// <summary>What was made can be read at once, and what was deleted cannot.</summary>
        private async Task ExpectAsync(ApiRequest cause, string id, int status)
        {
            var path = ItemPath(id).Replace("{id}", id, StringComparison.Ordinal);
            var key = cause.Caller.IsOperator ? world.Operator.Key
                : cause.Caller.IsTest ? cause.Caller.Key : world.Tenant.Key;
            var answer = await SendAsync(System.Text.Encoding.ASCII.GetBytes(
                $"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n"));
            if (answer.Status != status)
            {
                Add($"GET {path} afterwards answers {answer.Status}", cause, answer);
            }
        }

        private async Task<RawAnswer?> TrySendAsync(ApiRequest request)
        {
            try
            {
                return await SendAsync(request.ToBytes());
            }
            catch (Exception error) when (error is IOException or OperationCanceledException)
            {
                var what = error is IOException ? error.Message : $"no end within {AnswerMax.TotalSeconds} s";
                Add(what, request, new RawAnswer(0, "", []));
                return null;
            }
        }

        private static string ItemPath(string id) => id[..id.IndexOf('_', StringComparison.Ordinal)] switch
        {
            Id.Agent => "/v1/agents/{id}",
            Id.Conversation => "/v1/conversations/{id}",
            Id.Document => "/v1/documents/{id}",
            Id.Account => "/v1/accounts/{id}",
            Id.Webhook => "/v1/webhooks/{id}",
            _ => "",
        };

        private async Task<RawAnswer> SendAsync(byte[] request)
        {
            using var deadline = new CancellationTokenSource(AnswerMax);
            _connection ??= await RawConnection.OpenAsync(world.Url, deadline.Token);
            var answer = await _connection.SendAsync(request, deadline.Token);
            if (!answer.IsKept)
            {
                _connection.Dispose();
                _connection = null;
            }

            return answer;
        }

        private void Add(string problem, ApiRequest request, RawAnswer answer)
        {
            var text = answer.Text;
            totals.Problems.Add($"seed {seed}, request {_number}: {problem}\n    {request}\n    "
                + $"{answer.Status} {(text.Length > 400 ? text[..400] : text)}");
        }
    }
}
