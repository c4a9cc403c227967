using System.Text;
using System.Text.Json;

namespace Reeve.Bench;

/// <summary>The ways in which the mock answers; the model's name carries them through every server.</summary>
internal static class MockModels
{
    internal const string Plain = "mock";
    internal const string Paced = "mock-pace-20";
    internal const string Delayed = "mock-delay-20";
    internal const string Held = "mock-hold";
    internal static readonly string[] All = [Plain, Paced, Delayed, Held];

    /// <summary>Tokens of each answer, and what the mock says of each prompt (Reeve.Bench.Mock).</summary>
    internal const int AnswerTokens = 64;
    internal const int PromptTokens = 24;

    /// <summary>Words of every answer.</summary>
    internal const string Expected = "answers for every coin";
}

/// <summary>One server under load: where and how it is asked, and what its streams look like.</summary>
internal sealed record Target
{
    private const string Question = "Who keeps the accounts of the estate, and for what does the steward answer?";

    internal required string Name { get; init; }

    internal required ServerProcess Server { get; init; }

    internal required string Path { get; init; }

    internal required Func<string, bool, string> Body { get; init; }

    /// <summary>A frame that holds this carries one token.</summary>
    internal required byte[] TokenMark { get; init; }

    /// <summary>A stream without a frame that holds this was cut off.</summary>
    internal required byte[] EndMark { get; init; }

    internal string? Key { get; init; }

    internal bool StreamByQuery { get; init; }

    internal Uri Url(bool stream) => new(Server.Command.Url, stream && StreamByQuery ? $"{Path}?stream=true" : Path);

    internal static Target Mock(ServerProcess server) => new()
    {
        Name = "direct",
        Server = server,
        Path = "/v1/chat/completions",
        Body = (model, stream) =>
            $$"""{"model":{{Quote(model)}},"messages":[{"role":"user","content":{{Quote(Question)}}}],"stream":"""
            + (stream ? "true}" : "false}"),
        TokenMark = "\"content\":\""u8.ToArray(),
        EndMark = "data: [DONE]"u8.ToArray(),
    };

    internal static Target PassThrough(ServerProcess server) => Mock(server) with
    {
        Name = "PT",
        Path = "/v1/agents/runs",
        StreamByQuery = true,
        Body = (model, _) => Run(model),
    };

    internal static Target Reeve(ServerProcess server, string key, IReadOnlyDictionary<string, string> agents) => new()
    {
        Name = "Reeve",
        Server = server,
        Path = "/v1/agents/runs",
        StreamByQuery = true,
        Key = key,
        Body = (model, _) => Run(agents[model]),
        TokenMark = "event: message.delta"u8.ToArray(),
        EndMark = "event: run.completed"u8.ToArray(),
    };

    internal HttpRequestMessage Request(string model, bool stream)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, Url(stream))
        {
            Content = new StringContent(Body(model, stream), Encoding.UTF8, "application/json"),
        };
        if (Key is not null)
        {
            request.Headers.Authorization = new("Bearer", Key);
        }

        return request;
    }

    private static string Run(string agent) => $$"""{"agent":{{Quote(agent)}},"input":{{Quote(Question)}}}""";

    private static string Quote(string text) => $"\"{JsonEncodedText.Encode(text)}\"";
}
