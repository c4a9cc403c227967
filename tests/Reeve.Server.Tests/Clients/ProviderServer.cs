using Reeve.Server.Inference;
using Reeve.Server.Tests.Runs;

namespace Reeve.Server.Tests.Clients;

/// <summary>A server whose only models are those of the stand-in, one for each protocol, with their agents.</summary>
public sealed class ProviderServer : IAsyncLifetime
{
    internal static readonly string[] Kinds = ["openai", "responses", "anthropic", "gemini", "ollama"];

    private readonly Dictionary<string, string> _agents = [];
    private Aimock _aimock = null!;

    internal TestServer Server { get; private set; } = null!;

    internal Uri ProviderUrl => _aimock.Url;

    public async ValueTask InitializeAsync()
    {
        _aimock = await Aimock.StartAsync();
        Server = await TestServer.StartAsync(
            options => options with
            {
                Inference = new InferenceOptions { Providers = [.. Kinds.Select(kind => Provider(kind, _aimock.Url))] },
            },
            realTime: true);
        foreach (var kind in Kinds)
        {
            // They fail again and again here, and are to be asked each time.
            Server.Service<ProviderHealth>().Of(kind).Settings = new ProviderSettings { ErrorRate = 1 };
            _agents[kind] = await Server.NewAgentAsync(
                $"\"model\":\"mesh/{kind}\",\"tools\":[{{\"name\":\"time\",\"type\":\"builtin\"}}]");
            _agents[kind + " alone"] = await Server.NewAgentAsync($"\"model\":\"mesh/{kind}\"");
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Server is not null)
        {
            await Server.DisposeAsync();
        }

        if (_aimock is not null)
        {
            await _aimock.DisposeAsync();
        }
    }

    internal async Task<RunOutcome> RunAsync(
        string kind, string input, bool streamed, string members = "", bool withTools = true)
    {
        var agent = _agents[withTools ? kind : kind + " alone"];
        var body = RunTestExtensions.Body(
            agent, $"\"input\":\"{input}\"" + (members.Length > 0 ? "," + members : ""));
        string text;
        TestAnswer? answer = null;
        if (streamed)
        {
            using var stream = await Server.OpenAsync("POST", "/v1/agents/runs?stream=true", body);
            text = await stream.ReadToEndAsync(RunTestExtensions.Cancellation);
        }
        else
        {
            answer = await Server.Client.PostAsync("/v1/agents/runs", body);
            text = answer.Text;
        }

        var run = text[text.IndexOf("run_0", StringComparison.Ordinal)..][..30];
        return new RunOutcome(Server, run, text, answer);
    }

    /// <summary>Of the other protocols the stand-in has another shape than their documentation.</summary>
    private static Model Embeddings { get; } = new()
    {
        Id = "mesh/embeddings",
        Provider = "openai",
        Upstream = "openai-e",
        ContextTokens = 8_191,
        OutputTokensMax = 0,
        InputUsdPerMillion = 20,
        OutputUsdPerMillion = 0,
        Capabilities = new HashSet<string>(Capabilities.EmbeddingWords),
    };

    private static ProviderOptions Provider(string kind, Uri url) => new()
    {
        Name = kind,
        Kind = kind == "responses" ? ProviderKinds.OpenAI : kind,
        UsesResponses = kind == "responses",
        BaseUrl = kind is "openai" or "responses" ? new Uri(url, "/v1") : url,
        ApiKey = new Secret("key-123"),
        Models =
        [
            .. kind == "openai" ? (Model[])[Embeddings] : [],
            new Model
            {
                Id = $"mesh/{kind}",
                Provider = kind,
                Upstream = $"{kind}-1",
                ContextTokens = 32_000,
                OutputTokensMax = 1_000,
                InputUsdPerMillion = 3,
                OutputUsdPerMillion = 15,
                Capabilities = new HashSet<string>(Capabilities.Words),
            },
        ],
    };
}
