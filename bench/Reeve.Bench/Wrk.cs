using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Reeve.Bench;

internal readonly record struct WrkResult(
    long Requests, double Seconds, double P50Milliseconds, double P99Milliseconds);

/// <summary>Runs wrk with our script, which looks at every answer; one wrong answer and there is no result.</summary>
internal sealed class Wrk(string root)
{
    internal async Task<WrkResult> RunAsync(
        Target target, string model, int connections, TimeSpan duration, CancellationToken cancellationToken)
    {
        var seconds = duration.TotalSeconds.ToString("F0", CultureInfo.InvariantCulture);
        string[] arguments =
        [
            $"-t{(connections >= 16 ? 2 : 1)}", $"-c{connections}", $"-d{seconds}s", "--timeout", "10s",
            "-s", Path.Combine(root, "bench", "wrk.lua"), target.Url(stream: false).ToString(),
        ];
        var start = new ProcessStartInfo("wrk", arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["BENCH_BODY"] = target.Body(model, false);
        start.Environment["BENCH_EXPECT"] = MockModels.Expected;
        start.Environment["BENCH_KEY"] = target.Key;
        var output = await OutputOfAsync(start, cancellationToken);
        return Read(target, output);
    }

    private static async Task<string> OutputOfAsync(ProcessStartInfo start, CancellationToken cancellationToken)
    {
        using var process = Process.Start(start) ?? throw new BenchException("wrk did not start.");
        try
        {
            var error = process.StandardError.ReadToEndAsync(cancellationToken);
            var output = await process.StandardOutput.ReadToEndAsync(cancellationToken);
            await process.WaitForExitAsync(cancellationToken);
            return process.ExitCode == 0
                ? output
                : throw new BenchException($"wrk ended with {process.ExitCode}: {output}{await error}");
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill();
            }
        }
    }

    private static WrkResult Read(Target target, string output)
    {
        var line = output.TrimEnd().Split('\n')[^1];
        using var document = JsonDocument.Parse(line);
        var json = document.RootElement;
        var requests = json.GetProperty("requests").GetInt64();
        var wrong = json.GetProperty("wrong").GetInt64();
        var errors = json.GetProperty("socket_errors").GetInt64();
        if (wrong > 0 || errors > 0 || requests == 0)
        {
            throw new BenchException(
                $"{target.Name}: {wrong} wrong answers and {errors} socket errors in {requests} requests. "
                + $"First wrong answer: {json.GetProperty("example").GetString()}\n{target.Server.LastWords()}");
        }

        return new WrkResult(
            requests,
            json.GetProperty("duration_us").GetInt64() / 1e6,
            json.GetProperty("p50_us").GetInt64() / 1e3,
            json.GetProperty("p99_us").GetInt64() / 1e3);
    }
}
