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
    /// Sends bytes and reads until the server closes, or has given so many answers, or the time is over. It reads while
    /// it sends, for a server may answer before it has everything.
    /// </summary>
    internal static async Task<RawExchange> SendAsync(
        Uri url, ReadOnlyMemory<byte> bytes, TimeSpan timeMax, int answersMax = int.MaxValue)
    {
        var begun = TimeProvider.System.GetTimestamp();
        using var deadline = new CancellationTokenSource(timeMax);
        using var connection = await RawConnection.OpenAsync(url, deadline.Token);
        var writing = WriteAsync(connection, bytes, deadline.Token);
        var exchange = await ReadAsync(connection, begun, answersMax, deadline.Token);
        if (exchange.IsClosed)
        {
            await deadline.CancelAsync();
        }

        await writing;
        return exchange;
    }

    /// <summary>
    /// As <see cref="SendAsync"/>, and asks for <paramref name="last"/> once so many answers are there: its answer must
    /// be the next one, and the last.
    /// </summary>
    internal static async Task<RawExchange> SendThenAsync(
        Uri url, ReadOnlyMemory<byte> bytes, TimeSpan timeMax, int answersMax, string last)
    {
        var begun = TimeProvider.System.GetTimestamp();
        using var deadline = new CancellationTokenSource(timeMax);
        using var connection = await RawConnection.OpenAsync(url, deadline.Token);
        var writing = WriteAsync(connection, bytes, deadline.Token);
        var exchange = await ReadAsync(connection, begun, answersMax, deadline.Token);
        if (!exchange.IsClosed && exchange.Answers.Count == answersMax)
        {
            await writing;
            await WriteAsync(connection, Encoding.Latin1.GetBytes(last), deadline.Token);
            var rest = await ReadAsync(connection, begun, int.MaxValue, deadline.Token);
            exchange = rest with { Answers = [.. exchange.Answers, .. rest.Answers] };
        }

        await deadline.CancelAsync();
        await writing;
        return exchange;
    }

    private static async Task WriteAsync(
        RawConnection connection, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        try
        {
            await connection.WriteAsync(bytes, cancellationToken);
        }
        catch (Exception error) when (error is IOException or OperationCanceledException)
        {
            // The server heard enough.
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
