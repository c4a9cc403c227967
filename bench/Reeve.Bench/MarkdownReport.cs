using System.Globalization;
using System.Text;

namespace Reeve.Bench;

/// <summary>The results section, ready to stand in a document.</summary>
internal static class MarkdownReport
{
    private const string Baseline = "PT";

    internal static string Render(BenchReport report)
    {
        var text = new StringBuilder();
        WriteHead(text, report);
        WriteRuns(text, "JSON runs, mock without delay", report.Runs);
        WriteRuns(text, "JSON runs, mock that takes 20 ms", report.DelayedRuns);
        WriteStreams(text, report.Streams);
        WriteFootprints(text, report.Footprints);
        if (report.Ledger is { } ledger)
        {
            Line(text, $"Ledger after the load: {ledger.Settled:N0} runs settled, each once and at its exact price;");
            Line(text, $"{ledger.SettledUsd} USD in all, and the balance of {ledger.BalanceUsd} USD agrees.");
            text.Append('\n');
        }

        foreach (var note in report.Notes)
        {
            Line(text, $"- {note}");
        }

        return text.ToString().TrimEnd() + "\n";
    }

    private static void WriteHead(StringBuilder text, BenchReport report)
    {
        var machine = report.Machine;
        Line(text, $"## Results of {machine.Date}");
        text.Append('\n');
        Line(text, $"Commit {machine.Commit}. {machine.Cores} cores ({machine.Processor}),");
        Line(text, $"{machine.MemoryGigabytes:F0} GiB, Linux {machine.Kernel}, {machine.DotNet}.");
        var extent = report.Quick ? "Quick run" : "Full run";
        Line(text, $"{extent}: load generator, mock and servers share the cores, so only ratios mean something.");
        var verdict = report.Accepted ? "accepted" : "REJECTED";
        Line(text, $"The pass-through (PT), measured first and last, moved by {report.DriftPercent:F1} %: {verdict}.");
        text.Append('\n');
    }

    private static void WriteRuns(StringBuilder text, string title, IReadOnlyList<LoadResult> results)
    {
        if (results.Count == 0)
        {
            return;
        }

        Line(text, $"### {title}");
        text.Append('\n');
        Row(
            text,
            "server", "connections", "runs/s", "x PT", "p50 ms", "p99 ms", "CPU µs a run", "x PT", "commits/s");
        Line(text, $"|---|--:|--:|--:|--:|--:|--:|--:|--:|");
        foreach (var result in results)
        {
            var baseline = results.First(r => r.Server == Baseline && r.Connections == result.Connections);
            var commits = result.CommitsPerSecond is { } perSecond
                ? perSecond.ToString("N0", CultureInfo.InvariantCulture)
                : "n/a";
            Row(
                text,
                result.Server, $"{result.Connections}",
                $"{result.RunsPerSecond:N0}", Ratio(result.RunsPerSecond, baseline.RunsPerSecond),
                $"{result.P50Milliseconds:F2}", $"{result.P99Milliseconds:F2}",
                $"{result.CpuMicrosecondsPerRun:F0}",
                Ratio(result.CpuMicrosecondsPerRun, baseline.CpuMicrosecondsPerRun), commits);
        }

        text.Append('\n');
    }

    private static void WriteStreams(StringBuilder text, IReadOnlyList<StreamsResult> results)
    {
        Line(text, $"### Streams at 20 ms a token");
        text.Append('\n');
        Row(
            text,
            "server", "streams", "first token p50 ms", "p99 ms", "over PT, p50 ms", "CPU µs a token", "x PT");
        Line(text, $"|---|--:|--:|--:|--:|--:|--:|");
        foreach (var result in results)
        {
            var baseline = results.First(r => r.Server == Baseline && r.Streams == result.Streams);
            var over = result.FirstTokenP50Milliseconds - baseline.FirstTokenP50Milliseconds;
            Row(
                text,
                result.Server, $"{result.Streams}",
                $"{result.FirstTokenP50Milliseconds:F2}", $"{result.FirstTokenP99Milliseconds:F2}",
                $"{over:+0.00;-0.00;0}", $"{result.CpuMicrosecondsPerToken:F0}",
                Ratio(result.CpuMicrosecondsPerToken, baseline.CpuMicrosecondsPerToken));
        }

        text.Append('\n');
    }

    private static void WriteFootprints(StringBuilder text, IReadOnlyList<FootprintResult> results)
    {
        Line(text, $"### Start and memory");
        text.Append('\n');
        Row(
            text,
            "server", "cold start ms", "idle MB", "peak under load MB", "held streams",
            "MB with them", "KiB a held stream", "MB after");
        Line(text, $"|---|--:|--:|--:|--:|--:|--:|--:|");
        foreach (var result in results)
        {
            Row(
                text,
                result.Server, $"{result.ColdStartMilliseconds:F0}",
                $"{result.IdleMegabytes:F0}", $"{result.PeakMegabytes:F0}",
                $"{result.HeldStreams:N0}", $"{result.HeldMegabytes:F0}",
                $"{result.BytesPerHeldStream / 1024:F1}", $"{result.ReleasedMegabytes:F0}");
        }

        text.Append('\n');
    }

    private static string Ratio(double value, double baseline) => baseline == 0
        ? "n/a"
        : (value / baseline).ToString("F2", CultureInfo.InvariantCulture);

    private static void Row(StringBuilder text, params ReadOnlySpan<string> cells) =>
        text.Append("| ").AppendJoin(" | ", cells).Append(" |\n");

    private static void Line(StringBuilder text, FormattableString line) =>
        text.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
}
