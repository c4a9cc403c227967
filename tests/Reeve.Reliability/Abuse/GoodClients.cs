using System.Collections.Concurrent;
using System.Net.Sockets;
using Reeve.Reliability.Load;

namespace Reeve.Reliability.Abuse;

/// <summary>
/// Callers who do nothing wrong, on both APIs, with JSON runs and with streams, while others abuse the server. Each of
/// their runs must end as it should, and soon.
/// </summary>
internal sealed class GoodClients : IAsyncDisposable
{
    private const int Clients = 8;
    private const int RunsPerConnection = 8;

    private static readonly TimeSpan AnswerMax = TimeSpan.FromSeconds(20);

    private readonly LoadedServer _server;
    private readonly ConcurrentQueue<string> _problems;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task[] _work;
    private volatile Latencies _latencies = new();
    private int _runs;
    private bool _isDisposed;

    internal GoodClients(LoadedServer server, ConcurrentQueue<string> problems)
    {
        (_server, _problems) = (server, problems);
        _work = [.. Enumerable.Range(0, Clients).Select(index => Task.Run(() => WorkAsync(index)))];
    }

    internal int Runs => Volatile.Read(ref _runs);

    /// <summary>Begins a measurement of its own; runs that are under way count for it when they end.</summary>
    internal Latencies Measure() => _latencies = new Latencies();

    public async ValueTask DisposeAsync()
    {
        if (_isDisposed)
        {
            return;
        }

        _isDisposed = true;
        await _stop.CancelAsync();
        await Task.WhenAll(_work);
        _stop.Dispose();
    }

    private async Task WorkAsync(int index)
    {
        var (isMesh, isStream) = (index % 2 == 0, index % 4 < 2);
        while (!_stop.IsCancellationRequested)
        {
            RawConnection? connection = null;
            try
            {
                for (var i = 0; i < RunsPerConnection && !_stop.IsCancellationRequested; i++)
                {
                    var begun = TimeProvider.System.GetTimestamp();
                    using var deadline = new CancellationTokenSource(AnswerMax);
                    connection ??= await RawConnection.OpenAsync(_server.Url, deadline.Token);
                    var answer = await connection.SendAsync(Request(isMesh, isStream), deadline.Token);
                    _latencies.Add(TimeProvider.System.GetElapsedTime(begun));
                    Interlocked.Increment(ref _runs);
                    if (!IsRight(answer, isStream))
                    {
                        _problems.Enqueue($"a good client got {answer.Head}{answer.Text}");
                    }
                }
            }
            catch (Exception error) when (error is IOException or SocketException or OperationCanceledException)
            {
                _problems.Enqueue($"a good client lost its run: {error.GetType().Name} {error.Message}");
            }
            finally
            {
                connection?.Dispose();
            }
        }
    }

    private byte[] Request(bool isMesh, bool isStream)
    {
        var stream = isStream ? "true" : "false";
        return isMesh
            ? RawConnection.Request("POST", "/v1/agents/runs",
                $$"""{"agent":"{{_server.AgentId}}","input":"Hi","stream":{{stream}}}""")
            : RawConnection.Request("POST", "/api/run", $$"""{"query":"Hi","stream":{{stream}}}""",
                $"X-Agent-Id: {_server.AgentId}\r\n");
    }

    private static bool IsRight(RawAnswer answer, bool isStream) => answer.Status == 200 && (isStream
        ? Dialect.IsEnd("\n" + answer.Text[answer.Text.LastIndexOf("id: ", StringComparison.Ordinal)..])
            && answer.Text.Contains("completed", StringComparison.Ordinal)
        : answer.Text.Contains(RawModel.Text, StringComparison.Ordinal));
}
