using System.Net.Sockets;
using System.Text;
using Reeve.Reliability.Load;

namespace Reeve.Reliability.Abuse;

/// <summary>What a server made of bytes: its answers, whether it closed behind them, and how long that took.</summary>
internal sealed record RawExchange(IReadOnlyList<RawAnswer> Answers, bool IsClosed, TimeSpan Time)
{
    internal string Shown => string.Join(" | ", Answers.Select(static answer =>
        $"{answer.Status} {answer.Text[..Math.Min(answer.Text.Length, 80)]}"))
        + (IsClosed ? " [closed]" : " [open]");

    /// <summary>
    /// Sends bytes and reads until the server closes, has given so many answers, or the time is over. It reads while it
    /// sends, for a server may answer before it has everything. With so many answers it sends <paramref name="last"/>
    /// behind them and reads until the end.
    /// </summary>
    internal static async Task<RawExchange> SendAsync(
        Uri url, ReadOnlyMemory<byte> bytes, TimeSpan timeMax, int answersMax = int.MaxValue, string? last = null)
    {
        var begun = TimeProvider.System.GetTimestamp();
        using var deadline = new CancellationTokenSource(timeMax);
        using var connection = await RawConnection.OpenAsync(url, deadline.Token);
        var writing = WriteAsync(bytes);
        try
        {
            var exchange = await ReadAsync(connection, begun, answersMax, deadline.Token);
            if (last is null || exchange.IsClosed || exchange.Answers.Count < answersMax)
            {
                return exchange;
            }

            await writing;
            await WriteAsync(Encoding.Latin1.GetBytes(last));
            var rest = await ReadAsync(connection, begun, int.MaxValue, deadline.Token);
            return rest with { Answers = [.. exchange.Answers, .. rest.Answers] };
        }
        finally
        {
            await deadline.CancelAsync();
            await writing;
        }

        async Task WriteAsync(ReadOnlyMemory<byte> part)
        {
            try
            {
                await connection.WriteAsync(part, deadline.Token);
            }
            catch (Exception error) when (error is IOException or OperationCanceledException)
            {
                // The server heard enough.
            }
        }
    }

    private static async Task<RawExchange> ReadAsync(
        RawConnection connection, long begun, int answersMax, CancellationToken cancellationToken)
    {
        var answers = new List<RawAnswer>();
        var isClosed = false;
        try
        {
            while (answers.Count < answersMax)
            {
                if (await connection.ReadAnswerAsync(cancellationToken) is not { } answer)
                {
                    isClosed = true;
                    break;
                }

                answers.Add(answer);
            }
        }
        catch (IOException error) when (error.InnerException is SocketException)
        {
            isClosed = true; // A reset.
        }
        catch (OperationCanceledException)
        {
            // The time is over.
        }

        return new RawExchange(answers, isClosed, TimeProvider.System.GetElapsedTime(begun));
    }
}
