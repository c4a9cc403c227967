using System.Text.Json;
using System.Text.RegularExpressions;
using CsCheck;
using Microsoft.AspNetCore.Http;
using Reeve.Server.Apis;
using Reeve.Server.Apis.Auteryn;
using Reeve.Server.Apis.Mesh;
using Reeve.Server.Http;
using Reeve.Server.Runs;

namespace Reeve.Server.Tests.Matrix;

/// <summary>
/// Any log, however it is read, gives the same bytes in each dialect, numbered without gaps, with one end.
/// </summary>
public sealed partial class RunLogPropertyTests
{
    private const string RunId = "run_06GZGF6TYJRGQV5NARXZR7KFJC";

    private static readonly string[] Dangerous =
        ["\n", "\r\n", "data: x\n\n", "event: run.completed\n", "id: 1\n", "\u2028\u2029", "\u0085", "😀", "\0"];

    /// <summary>Text that a careless writer would let out of its line, or cut in half.</summary>
    private static readonly Gen<string> Text = Gen.OneOf(
        Gen.String[1, 30].Select(text => text.Any(char.IsSurrogate) ? "x" : text),
        Gen.OneOf([.. Dangerous.Select(Gen.Const)]));

    private static readonly Gen<LogPlan> Plans = Gen.Select(
        Gen.Select(Gen.Int[0, 6], Text, (kind, text) => (kind, text)).Array[0, 30], Gen.Int[0, 2], Gen.Bool,
        (pieces, end, queued) => new LogPlan(pieces, end, queued));

    [Fact]
    public async Task Log_FoldedWholeOrInPieces_GivesTheSameBytes()
    {
        await using var server = await TestServer.StartAsync();
        foreach (var (project, isMesh) in new (Projection, bool)[]
        {
            (server.Service<MeshRunWriter>().Project, true), (server.Service<AuterynRunWriter>().Project, false),
        })
        {
            Gen.Select(Plans, Gen.Int[0, 40], Gen.Int[0, 40]).Sample(
                (plan, cut, cursor) =>
                {
                    var log = plan.Build();
                    var whole = Render(log, project, 0, int.MaxValue);
                    AssertStream(whole, isMesh, plan.End);

                    // Read back from its bytes, as after a restart.
                    var again = log.Select(
                        entry => entry with { Data = RunEventCodec.Read(entry.Type, entry.Payload) });
                    Assert.Equal(whole, Render([.. again], project, 0, int.MaxValue));

                    // Flushed at any event, and resumed after any frame.
                    Assert.Equal(whole, Render(log, project, 0, cut));
                    var frames = Frames(whole);
                    var after = Math.Min(cursor, frames.Count);
                    Assert.Equal(string.Concat(frames.Skip(after)), Render(log, project, after, cut));
                },
                iter: 1_500, threads: 1);
        }
    }

    [Fact]
    public void Log_Chain_BreaksWithAnyByte()
    {
        Gen.Select(Plans, Gen.Int[0, 1000], Gen.Int[0, 10_000]).Sample(
            (plan, which, at) =>
            {
                var log = plan.Build();
                Assert.True(IsWhole(log));
                var edited = log.ToArray();
                var entry = edited[which % edited.Length];
                var payload = entry.Payload.ToArray();
                payload[at % payload.Length] ^= 1;
                edited[which % edited.Length] = entry with { Payload = payload };
                Assert.False(IsWhole(edited));
            },
            iter: 1_000, threads: 1);
    }

    private static bool IsWhole(IEnumerable<RunEvent> log)
    {
        var hash = RunEventCodec.ChainStart;
        foreach (var entry in log)
        {
            var sum = System.Security.Cryptography.SHA256.HashData(entry.Payload);
            hash = RunEventCodec.Chain(hash, RunId, entry.Seq, entry.Epoch, entry.Type,
                entry.At.ToUnixTimeMilliseconds(), sum);
            if (!hash.AsSpan().SequenceEqual(entry.Hash))
            {
                return false;
            }
        }

        return true;
    }

    private static string Render(List<RunEvent> log, Projection project, long after, int cut)
    {
        using var body = new MemoryStream();
        var context = new DefaultHttpContext();
        context.Response.Body = body;
        using var sink = new FrameSink(new SseWriter(context, TimeProvider.System), after);
        var state = new RunState(RunId, new ReeveOptions().Credits);
        for (var i = 0; i < log.Count; i++)
        {
            state.Apply(log[i]);
            project(state, log[i], sink);
            if (i == cut)
            {
                context.Response.BodyWriter.FlushAsync().AsTask().Wait();
            }
        }

        context.Response.BodyWriter.FlushAsync().AsTask().Wait();
        return System.Text.Encoding.UTF8.GetString(body.ToArray());
    }

    private static void AssertStream(string stream, bool isMesh, int end)
    {
        var frames = Frames(stream);
        Assert.Equal(stream, string.Concat(frames));
        var ends = new List<int>();
        for (var i = 0; i < frames.Count; i++)
        {
            var match = (isMesh ? MeshFrame() : AuterynFrame()).Match(frames[i]);
            Assert.True(match.Success, frames[i]);
            Assert.Equal($"{i + 1}", match.Groups["id"].Value);
            var data = JsonElement.Parse(match.Groups["data"].Value);
            var name = isMesh ? match.Groups["name"].Value : data.EnumerateObject().First().Value.GetString()!;
            if (name.Replace('_', '.') is "run.completed" or "run.failed" or "run.cancelled")
            {
                ends.Add(i);
                Assert.Equal(new[] { "run.completed", "run.failed", "run.cancelled" }[end], name.Replace('_', '.'));
            }
        }

        Assert.Equal([frames.Count - 1], ends);
    }

    private static List<string> Frames(string stream) =>
        [.. stream.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(frame => frame + "\n\n")];

    [GeneratedRegex(@"\Aid: (?<id>\d+)\nevent: (?<name>[a-z.]+)\ndata: (?<data>[^\u0000-\u001F\u2028\u2029]+)\n\n\z")]
    private static partial Regex MeshFrame();

    [GeneratedRegex(@"\Aid: (?<id>\d+)\ndata: (?<data>\{""type"":[^\u0000-\u001F\u2028\u2029]+)\n\n\z")]
    private static partial Regex AuterynFrame();

    /// <summary>
    /// A plan of a run that could have happened: calls open before text, and every call is closed at the end.
    /// </summary>
    private sealed record LogPlan((int Kind, string Text)[] Pieces, int End, bool Queued)
    {
        internal List<RunEvent> Build()
        {
            var data = new List<RunEventData> { Admitted(Queued) };
            if (Queued)
            {
                data.Add(new RunBegun());
            }

            var (call, tools, open) = (0, 0, false);
            foreach (var (kind, text) in Pieces)
            {
                if (!open)
                {
                    data.Add(Started(++call));
                    open = true;
                }

                switch (kind)
                {
                    case <= 2:
                        data.Add(new MessageDelta(text) { OutsideStep = kind == 2 });
                        break;
                    case 3:
                        data.Add(new SourcesFound([new RunSource("doc_1", "chk_1", 0.5, text, null, 0, 9, text)]));
                        break;
                    case 4:
                        data.AddRange([Finished(call, "interrupted"), new OutputReset("recovered")]);
                        open = false;
                        break;
                    case 5:
                        var request = new RequestedToolCall($"call_{++tools}", "time", "now", Json(text));
                        data.AddRange(
                        [
                            Finished(call, "completed") with { ToolCalls = [request] },
                            new ToolCallStarted(request.Id, "time", "now", request.Params)
                            {
                                ParamsSha256 = "",
                                Idempotent = true,
                            },
                            new ToolCallFinished(request.Id, "time", Json(text), IsError: text.Length > 3),
                        ]);
                        open = false;
                        break;
                    default:
                        data.Add(new ContextTrimmed(2));
                        break;
                }
            }

            if (open)
            {
                data.Add(Finished(call, End == 0 ? "completed" : "failed"));
            }

            data.Add(End switch
            {
                0 => new RunCompleted(),
                1 => new RunFailed("internal_error", "It failed.\n"),
                _ => new RunCancelled(),
            });
            return Seal(data);
        }

        private static List<RunEvent> Seal(List<RunEventData> data)
        {
            var log = new List<RunEvent>();
            foreach (var one in data)
            {
                log.Add(RunEventCodec.Seal(RunId, one, log.Count + 1, 1,
                    TestServer.StartTime.AddMilliseconds(log.Count),
                    log.Count == 0 ? RunEventCodec.ChainStart : log[^1].Hash));
            }

            return log;
        }

        private static JsonElement Json(string text)
        {
            var buffer = new System.Buffers.ArrayBufferWriter<byte>();
            using (var writer = new Utf8JsonWriter(buffer))
            {
                writer.WriteStartObject();
                writer.WriteString("text", text);
                writer.WriteNumber("n", 1.50m);
                writer.WriteEndObject();
            }

            return JsonElement.Parse(buffer.WrittenSpan);
        }

        private static RunAdmitted Admitted(bool queued) => new()
        {
            AgentId = "agt_06F7557C5CM18FNXB2V5D4V72R",
            AgentVersion = 1,
            ConversationId = "conv_06GZGF6TXGHJZ2QJ44FSXS4HRM",
            UserMessageId = "msg_1",
            MessageId = "msg_06GZGF6TYS3DS3PMPZ17CK9AB8",
            ReceiptId = "rcpt_06GZGF6TYX6QCXR6Z1ERD40298",
            Kind = "agent",
            Tier = "auto",
            Mode = "live",
            PrivacyClass = "standard",
            Input = "Hi",
            User = null,
            Metadata = null,
            Options = new RunOptions(),
            Queued = queued,
        };

        private static ModelCallStarted Started(int call) => new()
        {
            Call = call,
            Model = "mesh/house-1",
            Provider = "house",
            Reason = "It was asked for.",
            Hold = 100,
            PromptTokens = 10,
            OutputTokensMax = 4,
            CutByCredits = false,
        };

        private static ModelCallFinished Finished(int call, string outcome) => new()
        {
            Call = call,
            Outcome = outcome,
            InputTokens = 3,
            OutputTokens = 2,
            Estimated = false,
            Upstream = 1.25m,
            Charged = 2,
            Lost = 0,
        };
    }
}
