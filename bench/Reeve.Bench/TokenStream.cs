namespace Reeve.Bench;

/// <summary>One open stream of a target, read by frames; it counts tokens and insists on a proper end.</summary>
internal sealed class TokenStream : IDisposable
{
    private readonly Target _target;
    private readonly HttpResponseMessage _response;
    private readonly Stream _body;
    private byte[] _buffer = new byte[4096];
    private int _filled;
    private bool _ended;

    private TokenStream(Target target, HttpResponseMessage response, Stream body)
    {
        _target = target;
        _response = response;
        _body = body;
    }

    internal int Tokens { get; private set; }

    internal static async Task<TokenStream> OpenAsync(
        HttpClient http, Target target, string model, CancellationToken cancellationToken)
    {
        using var request = target.Request(model, stream: true);
        var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        if (response.StatusCode != System.Net.HttpStatusCode.OK)
        {
            var text = await response.Content.ReadAsStringAsync(cancellationToken);
            response.Dispose();
            throw new BenchException($"{target.Name}: a stream answered {(int)response.StatusCode}: {text}");
        }

        var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        return new TokenStream(target, response, body);
    }

    internal async Task ReadFirstTokenAsync(CancellationToken cancellationToken)
    {
        while (Tokens == 0)
        {
            await ReadMoreAsync(cancellationToken);
        }
    }

    internal async Task ReadToEndAsync(CancellationToken cancellationToken)
    {
        while (!_ended)
        {
            await ReadMoreAsync(cancellationToken);
        }

        if (Tokens != MockModels.AnswerTokens)
        {
            throw new BenchException(
                $"{_target.Name}: a stream had {Tokens} frames with text instead of {MockModels.AnswerTokens}.");
        }
    }

    public void Dispose()
    {
        _body.Dispose();
        _response.Dispose();
    }

    private async Task ReadMoreAsync(CancellationToken cancellationToken)
    {
        if (_filled == _buffer.Length)
        {
            Array.Resize(ref _buffer, _buffer.Length * 2);
        }

        var read = await _body.ReadAsync(_buffer.AsMemory(_filled), cancellationToken);
        if (read == 0)
        {
            throw new BenchException($"{_target.Name}: a stream broke off after {Tokens} tokens.");
        }

        _filled += read;
        TakeFrames();
    }

    private void TakeFrames()
    {
        var rest = _buffer.AsSpan(0, _filled);
        for (var end = rest.IndexOf("\n\n"u8); end >= 0; end = rest.IndexOf("\n\n"u8))
        {
            var frame = rest[..end];
            if (frame.IndexOf(_target.EndMark) >= 0)
            {
                _ended = true;
            }
            else if (frame.IndexOf(_target.TokenMark) >= 0)
            {
                Tokens++;
            }

            rest = rest[(end + 2)..];
        }

        rest.CopyTo(_buffer);
        _filled = rest.Length;
    }
}
