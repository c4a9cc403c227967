using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Reeve.Reliability.Load;
using Reeve.Reliability.Simulation;

namespace Reeve.Reliability.Streams;

/// <summary>
/// R6: streams of both APIs, cut after any number of bytes and resumed on the same server, on one that was started
/// anew, and while the run goes on. What came before the cut and after it must be the stream as it comes uncut.
/// </summary>
internal static class ResumeHarness
{
    private const int AtOnce = 8;

    private static readonly MockPrompt[] Prompts =
    [
        new() { Pieces = 5 },
        new() { Pieces = 9, Text = MockText.Unicode },
        new() { Pieces = 2, Text = MockText.Big, Size = 4_500 },
        new() { Pieces = 3, Tools = 2, Text = MockText.Unicode },
    ];

    /// <summary>Of so many streams one loses its server in the middle, so that it has a reset.</summary>
    private const int RecoveredOneIn = 4;

    internal static async Task<Score> RunAsync(Trial trial)
    {
        await using var provider = await MockProvider.StartAsync();
        await using var slot = new ServerSlot();
        provider.Configure(slot.Folder);
        await slot.StartAsync();
        var resumes = new Resumes(slot, await slot.NewAgentAsync(), new SimRandom(trial.Seed));
        var streams = await resumes.NewStreamsAsync(trial.Count(8, 24, 100));
        var trials = trial.Count(200, 5_000, 0);
        foreach (var group in streams.Chunk(trial.Count(8, 8, 4)))
        {
            await resumes.CutAndResumeAsync(group, trials * group.Length / streams.Count);
            trial.Log($"{resumes.Trials:N0} resumes, {resumes.Problems.Count} violations");
        }

        await resumes.ResumeLiveAsync(trial.Count(16, 200, 2_000));
        return new Score(resumes.Trials, string.Create(CultureInfo.InvariantCulture,
            $"{streams.Count} streams of {streams.Sum(static one => one.Bytes.Length):N0} bytes, ")
            + string.Create(CultureInfo.InvariantCulture,
                $"{resumes.WithReset} with a reset; {resumes.OnSame:N0} resumed on the same server, ")
            + string.Create(CultureInfo.InvariantCulture,
                $"{resumes.OnRestarted:N0} on a restarted one, {resumes.OnLive:N0} while the run went on"),
            resumes.Problems);
    }

    private sealed class Resumes(ServerSlot slot, string agent, SimRandom random)
    {
        private readonly ConcurrentQueue<string> _problems = new();

        internal List<string> Problems => [.. _problems];

        internal int WithReset { get; private set; }

        internal long OnSame { get; private set; }

        internal long OnRestarted { get; private set; }

        internal long OnLive { get; private set; }

        internal long Trials => OnSame + OnRestarted + OnLive;

        /// <summary>Runs of both dialects to their end, read without a cut but for those that are recovered.</summary>
        internal async Task<List<Stream>> NewStreamsAsync(int count)
        {
            var readers = new List<StreamClient>();
            var recovered = new List<(StreamClient Reader, Task Reading)>();
            for (var i = 0; i < count; i++)
            {
                var reader = new StreamClient(slot.Http, agent);
                readers.Add(reader);
                var prompt = Prompts[i % Prompts.Length];
                if (i / Prompts.Length % RecoveredOneIn == 1)
                {
                    prompt = prompt with { Pieces = 10, Pause = 60, Tools = 0 };
                    recovered.Add((reader, StartAsync(reader, i, prompt)));
                }
                else
                {
                    await StartAsync(reader, i, prompt);
                }
            }

            if (recovered.Count > 0)
            {
                while (recovered.Any(static one => !one.Reading.IsCompleted && one.Reader.LastId is null or "1" or "2"))
                {
                    await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System);
                }

                await slot.KillAsync();
                await Task.WhenAll(recovered.Select(static one => one.Reading));
                await slot.StartAsync();
            }

            Stream[] streams = [.. await Task.WhenAll(readers.Select(ReadWholeAsync))];
            if (WithReset < recovered.Count)
            {
                _problems.Enqueue(
                    $"{recovered.Count} runs lost their server in the middle, {WithReset} streams say that they did");
            }

            return [.. streams];
        }

        private Task<StreamRead> StartAsync(StreamClient reader, int index, MockPrompt prompt) => reader.StartAsync(
            slot.Process.Url, index % 8 < 4 ? Dialect.Mesh : Dialect.Auteryn,
            prompt.Input(string.Create(CultureInfo.InvariantCulture, $"stream {index}")), null);

        private async Task<Stream> ReadWholeAsync(StreamClient first)
        {
            if (!EndsWhole(first.Bytes)
                && await first.ResumeAsync(slot.Process.Url, inQuery: false) != StreamRead.Ended)
            {
                _problems.Enqueue($"{first.RunId} did not end: {first.Refusal}");
            }

            var replay = await first.ReplayAsync(slot.Process.Url);
            if (replay is null || !replay.AsSpan().SequenceEqual(first.Bytes) || first.Problem is not null)
            {
                _problems.Enqueue($"{first.RunId}: the replay differs from what the first reader saw. {first.Problem}");
            }

            var text = Encoding.UTF8.GetString(first.Bytes);
            WithReset += text.Contains("recovered", StringComparison.Ordinal) ? 1 : 0;
            return new Stream(first, first.Bytes);
        }

        private static bool EndsWhole(byte[] bytes) => Dialect.IsEnd("\n" + Encoding.UTF8.GetString(bytes));

        /// <summary>
        /// Cuts at random offsets, or at each one when <paramref name="trials"/> is 0. Half of the cut ones are resumed
        /// at once, the others after the server was started anew; of each half, half with the cursor in the query.
        /// </summary>
        internal async Task CutAndResumeAsync(IReadOnlyList<Stream> streams, int trials)
        {
            var cuts = trials == 0
                ? [.. streams.SelectMany(stream =>
                    Enumerable.Range(0, stream.Bytes.Length + 1).Select(offset => new Cut(stream, offset, offset)))]
                : Enumerable.Range(0, trials).Select(index =>
                {
                    var stream = streams[index % streams.Count];
                    return new Cut(stream, random.Below(stream.Bytes.Length + 1), index / streams.Count);
                }).ToList();
            await Parallel.ForEachAsync(cuts.Where(static cut => !cut.Waits), Limit, async (cut, _) =>
            {
                await BeginAsync(cut);
                await FinishAsync(cut, "on the same server");
            });
            OnSame += cuts.Count(static cut => !cut.Waits);
            var waiting = cuts.Where(static cut => cut.Waits).ToList();
            await Parallel.ForEachAsync(waiting, Limit, async (cut, _) => await BeginAsync(cut));
            await slot.TerminateAsync();
            await slot.StartAsync();
            await Parallel.ForEachAsync(
                waiting, Limit, async (cut, _) => await FinishAsync(cut, "on a restarted server"));
            OnRestarted += waiting.Count;
        }

        private static readonly ParallelOptions Limit = new() { MaxDegreeOfParallelism = AtOnce };

        private async Task BeginAsync(Cut cut)
        {
            cut.Reader = cut.Stream.First.Again();
            await cut.Reader.ResumeAsync(slot.Process.Url, inQuery: false, bytesMax: cut.Offset);
            var whole = cut.Stream.Bytes.AsSpan(0, cut.Offset).LastIndexOf("\n\n"u8) + 2;
            if (cut.Reader.Length != (whole == 1 ? 0 : whole))
            {
                _problems.Enqueue($"{cut.Reader.RunId} read to byte {cut.Offset} gave {cut.Reader.Length} bytes of "
                    + $"whole frames: {cut.Reader.Refusal}. {cut.Reader.Problem}");
            }
        }

        private async Task FinishAsync(Cut cut, string where)
        {
            var reader = cut.Reader!;
            var read = await reader.ResumeAsync(slot.Process.Url, cut.InQuery);
            if (read != StreamRead.Ended || reader.Problem is not null
                || !reader.Bytes.AsSpan().SequenceEqual(cut.Stream.Bytes))
            {
                _problems.Enqueue($"{reader.RunId} cut after {cut.Offset} bytes and resumed {where}: {read}, "
                    + $"{reader.Refusal}, differs from byte "
                    + $"{reader.Bytes.AsSpan().CommonPrefixLength(cut.Stream.Bytes)} on. {reader.Problem}");
            }

            cut.Reader = null;
        }

        /// <summary>Cuts runs that go on, again and again, until they end.</summary>
        internal async Task ResumeLiveAsync(int count)
        {
            var plans = Enumerable.Range(0, count).Select(index => (
                Index: index, Step: 20 + random.Below(900),
                Prompt: Prompts[random.Below(Prompts.Length)] with { Pause = random.Below(15) })).ToList();
            await Parallel.ForEachAsync(plans, Limit, async (plan, cancellationToken) =>
            {
                var reader = new StreamClient(slot.Http, agent);
                var read = await reader.StartAsync(slot.Process.Url,
                    plan.Index % 2 == 0 ? Dialect.Mesh : Dialect.Auteryn,
                    plan.Prompt.Input(string.Create(CultureInfo.InvariantCulture, $"live {plan.Index}")),
                    string.Create(CultureInfo.InvariantCulture, $"live-{plan.Index}"),
                    bytesMax: 400 + plan.Step, cancellationToken);
                var step = plan.Step;
                while (read == StreamRead.Cut)
                {
                    var before = reader.Length;
                    read = await reader.ResumeAsync(
                        slot.Process.Url, plan.Index % 4 < 2, bytesMax: step, cancellationToken);
                    step = reader.Length == before ? step * 2 : plan.Step; // A frame may be longer than the step.
                    lock (_problems)
                    {
                        OnLive++;
                    }
                }

                var replay = await reader.ReplayAsync(slot.Process.Url, cancellationToken);
                if (read != StreamRead.Ended || reader.Problem is not null
                    || !reader.Bytes.AsSpan().SequenceEqual(replay))
                {
                    _problems.Enqueue($"{reader.RunId}, cut every {plan.Step} bytes while it went on: {read}, "
                        + $"{reader.Refusal}. {reader.Problem}");
                }
            });
        }
    }

    private sealed record Stream(StreamClient First, byte[] Bytes);

    private sealed class Cut(Stream stream, int offset, int number)
    {
        internal Stream Stream => stream;

        internal int Offset => offset;

        internal bool Waits { get; } = number % 2 == 1;

        internal bool InQuery { get; } = number / 2 % 2 == 1;

        internal StreamClient? Reader { get; set; }
    }
}
