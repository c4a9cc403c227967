using System.Runtime.CompilerServices;
using Reeve.Server.Egress;

namespace Reeve.Server.Inference.Providers;

/// <summary>
/// One request to a provider and its answer's bytes. Whatever goes wrong on the way becomes a
/// <see cref="ProviderException"/>; only the caller's own cancellation stays what it is.
/// </summary>
internal sealed class ProviderCall : IDisposable
{
    /// <summary>A whole answer may have so many bytes.</summary>
    internal const int BodyBytesMax = 16 * 1024 * 1024;

    private readonly ProviderEndpoint _endpoint;
    private readonly SilenceDeadline _deadline;
    private readonly CancellationToken _cancellationToken;
    private HttpResponseMessage? _response;
    private Stream? _stream;

    private ProviderCall(ProviderEndpoint endpoint, SilenceDeadline deadline, CancellationToken cancellationToken)
    {
        _endpoint = endpoint;
        _deadline = deadline;
        _cancellationToken = cancellationToken;
    }

    public void Dispose()
    {
        _stream?.Dispose();
        _response?.Dispose();
        _deadline.Dispose();
    }

    /// <summary>Posts the body, which it owns from then on, and waits for a good status.</summary>
    internal static async Task<ProviderCall> SendAsync(
        ProviderHttp http, ProviderEndpoint endpoint, PooledBytes body, TimeProvider time,
        CancellationToken cancellationToken, bool streamed = false)
    {
        var call = new ProviderCall(
            endpoint, new SilenceDeadline(endpoint.SilenceMax(), time, cancellationToken), cancellationToken);
        try
        {
            await call.OpenAsync(http, streamed ? endpoint.StreamUri ?? endpoint.Uri : endpoint.Uri, body, time);
            return call;
        }
        catch
        {
            call.Dispose();
            throw;
        }
    }

    /// <summary>The next bytes of the answer; 0 at its end.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    internal async ValueTask<int> ReadAsync(Memory<byte> buffer)
    {
        try
        {
            var read = _stream!.ReadAsync(buffer, _deadline.Token);
            if (read.IsCompletedSuccessfully)
            {
                return read.Result;
            }

            _deadline.BeginWait();
            var count = await read;
            _deadline.EndWait();
            return count;
        }
        catch (Exception error) when (error is IOException or HttpRequestException or OperationCanceledException)
        {
            throw Explain(error);
        }
    }

    internal async Task<PooledBytes> ReadWholeAsync(int bytesMax = BodyBytesMax)
    {
        var announced = _response!.Content.Headers.ContentLength ?? 4096;
        var body = new PooledBytes((int)Math.Clamp(announced + 1, 256, 1024 * 1024));
        try
        {
            while (await ReadAsync(body.GetMemory()) is > 0 and var count)
            {
                body.Advance(count);
                if (body.Length > bytesMax)
                {
                    throw new ProviderException(
                        ProviderFault.Malformed, $"{_endpoint.Provider} sent an answer of more than {bytesMax} bytes.");
                }
            }

            return body;
        }
        catch
        {
            body.Dispose();
            throw;
        }
    }

    private async Task OpenAsync(ProviderHttp http, Uri uri, PooledBytes body, TimeProvider time)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, uri)
        {
            Content = new PooledContent(body),
        };
        foreach (var (name, value) in _endpoint.Headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        try
        {
            _deadline.BeginWait();
            _response = await http.SendAsync(request, _deadline.Token);
            _stream = await _response.Content.ReadAsStreamAsync(_deadline.Token);
            _deadline.EndWait();
        }
        catch (Exception error) when (error is IOException or HttpRequestException or OperationCanceledException)
        {
            throw Explain(error);
        }

        if (!_response.IsSuccessStatusCode)
        {
            throw await ProviderRefusal.ReadAsync(_endpoint.Provider, _response, this, time);
        }
    }

    private Exception Explain(Exception error)
    {
        if (_cancellationToken.IsCancellationRequested)
        {
            return error as OperationCanceledException ?? new OperationCanceledException(_cancellationToken);
        }

        var provider = _endpoint.Provider;
        if (_deadline.Expired)
        {
            var seconds = _deadline.SilenceMax.TotalSeconds;
            return new ProviderException(ProviderFault.Timeout, $"{provider} was silent for {seconds} seconds.", error);
        }

        var kind = error switch
        {
            HttpRequestException request => request.HttpRequestError,
            HttpIOException read => read.HttpRequestError,
            _ => HttpRequestError.Unknown,
        };
        return kind is HttpRequestError.InvalidResponse or HttpRequestError.ConfigurationLimitExceeded
            ? new ProviderException(ProviderFault.Malformed, $"{provider} sent what is not HTTP ({kind}).", error)
            : new ProviderException(ProviderFault.Unreachable, $"The connection to {provider} failed ({kind}).", error);
    }
}
