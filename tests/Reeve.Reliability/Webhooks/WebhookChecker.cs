using System.Globalization;
using Reeve.Server.Tests.Webhooks;

namespace Reeve.Reliability.Webhooks;

/// <summary>A row of the outbox when all is over.</summary>
internal sealed record OutboxRow(string WebhookId, string EventId, string RunId, long Sequence, string Status);

/// <summary>
/// Holds what a receiver heard against what happened: every run that ended, at least once, always with one id and one
/// body, with a good signature, and numbered without gaps.
/// </summary>
internal static class WebhookChecker
{
    internal static List<string> Check(
        string webhook, string secret, IReadOnlyCollection<string> ended, IReadOnlyCollection<OutboxRow> outbox,
        IReadOnlyCollection<ReceivedWebhook> received)
    {
        var problems = new List<string>();
        var rows = outbox.Where(row => row.WebhookId == webhook).ToList();
        var byRun = rows.ToLookup(static row => row.RunId);
        foreach (var run in ended.Where(run => byRun[run].Count() != 1))
        {
            problems.Add($"{run} ended and has {byRun[run].Count()} deliveries to {webhook}");
        }

        problems.AddRange(rows.Where(static row => row.Status != "delivered")
            .Select(row => $"{row.EventId} is {row.Status}"));
        problems.AddRange(rows.Where(row => !ended.Contains(row.RunId))
            .Select(row => $"{row.EventId} tells of {row.RunId}, which did not end"));
        problems.AddRange(rows.OrderBy(static row => row.Sequence).Index()
            .Where(static one => one.Item.Sequence != one.Index + 1).Take(1)
            .Select(one => string.Create(CultureInfo.InvariantCulture,
                $"{webhook} has {one.Item.Sequence} as its {one.Index + 1}th number")));
        problems.AddRange(received.Where(one => !one.IsSignedBy(secret)).Select(one => $"{one.Id} is signed wrongly"));
        var byId = received.ToLookup(static one => one.Id);
        foreach (var row in rows)
        {
            var attempts = byId[row.EventId].ToList();
            if (attempts.Count == 0)
            {
                problems.Add($"{row.EventId} of {row.RunId} never arrived");
                continue;
            }

            if (attempts.Select(static one => one.Body).Distinct(StringComparer.Ordinal).Count() > 1)
            {
                problems.Add($"{row.EventId} arrived with different bodies");
            }

            var json = attempts[0].Json;
            if (json.GetProperty("id").GetString() != row.EventId
                || json.GetProperty("sequence").GetInt64() != row.Sequence
                || json.GetProperty("data").GetProperty("run_id").GetString() != row.RunId)
            {
                problems.Add($"{row.EventId} says of itself {attempts[0].Body}");
            }
        }

        var known = rows.Select(static row => row.EventId).ToHashSet(StringComparer.Ordinal);
        problems.AddRange(byId.Where(one => !known.Contains(one.Key))
            .Select(static one => $"{one.Key} arrived and never happened"));
        return problems;
    }
}
