using System.Text.Json;

namespace Reeve.Bench.PassThrough;

/// <summary>The model server behind the pass-through.</summary>
internal sealed class Upstream(HttpClient http)
{
    private static readonly Uri Path = new("/v1/chat/completions", UriKind.Relative);

    internal async Task<ChatCompletion> CompleteAsync(RunRequest run, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(run, stream: false, cancellationToken);
        var completion = await response.Content.ReadFromJsonAsync(
            PassThroughJsonContext.Default.ChatCompletion, cancellationToken);
        return completion ?? throw new InvalidDataException("The model server answered null.");
    }

    internal async Task<HttpResponseMessage> SendAsync(
        RunRequest run, bool stream, CancellationToken cancellationToken)
    {
        var body = new ChatRequest(run.Agent, [new ChatMessage("user", run.Input)], stream);
        var json = JsonSerializer.SerializeToUtf8Bytes(body, PassThroughJsonContext.Default.ChatRequest);

        // Bytes and not JsonContent, which sends chunks: with a known length the request is one packet.
        using var request = new HttpRequestMessage(HttpMethod.Post, Path) { Content = new ByteArrayContent(json) };
        request.Content.Headers.ContentType = new("application/json");
        var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        return response.EnsureSuccessStatusCode();
    }
}
