using System.ComponentModel;

namespace Reeve.Server.Retrieval.Parsing.Child;

/// <summary>
/// Reads files in processes that are not the server's: what a file does to its parser ends with that parser. Some are
/// kept warm; one that failed is not used again.
/// </summary>
internal sealed partial class Parser : IDisposable
{
    private readonly ParserProgram _program;
    private readonly ParserOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger<Parser> _logger;
    private readonly FairPlaces _places;
    private readonly Lock _lock = new();
    private readonly List<ParserProcess> _idle = [];
    private ITimer? _sweep;
    private bool _isDisposed;

    public Parser(ParserProgram program, ParserOptions options, TimeProvider time, ILogger<Parser> logger)
    {
        (_program, _options, _time, _logger) = (program, options, time, logger);
        _places = new FairPlaces(options.WorkersMax);
    }

    /// <summary>The processes that wait for a file.</summary>
    internal IReadOnlyList<int> IdleIds
    {
        get
        {
            lock (_lock)
            {
                return [.. _idle.Select(static one => one.Id)];
            }
        }
    }

    /// <summary>
    /// What a file of an account says. It is fetched when its turn has come, so that no memory is held by those that
    /// wait.
    /// </summary>
    /// <exception cref="ParseException">Why it says nothing, for whoever sent it.</exception>
    internal async Task<ExtractedText> ReadAsync(string account, string mimeType,
        Func<ReadOnlyMemory<byte>> fetch, Action<ParseProgress> report, CancellationToken cancellationToken)
    {
        using var place = await _places.TakeAsync(account, cancellationToken);
        return await ReadInTurnAsync(mimeType, fetch(), report, cancellationToken);
    }

    public void Dispose()
    {
        _sweep?.Dispose();
        lock (_lock)
        {
            _isDisposed = true;
        }

        EndIdle(TimeSpan.Zero);
    }

    private async Task<ExtractedText> ReadInTurnAsync(string mimeType, ReadOnlyMemory<byte> file,
        Action<ParseProgress> report, CancellationToken cancellationToken)
    {
        var process = Take();
        try
        {
            var text = await process.ReadAsync(mimeType, file, report, cancellationToken);
            process = Keep(process) ? null : process;
            return text;
        }
        catch (ParseException error) when (error.Code is ParseErrors.TimedOut or ParseErrors.OutOfMemory
            or ParseErrors.ParserDied)
        {
            LogFault(process!.Id, error.Message);
            throw;
        }
        catch (InvalidDataException error)
        {
            LogFault(process!.Id, error.Message);
            throw ParserFaults.Died();
        }
        finally
        {
            process?.Dispose();
        }
    }

    private ParserProcess Take()
    {
        lock (_lock)
        {
            while (_idle.Count > 0)
            {
                var process = _idle[^1];
                _idle.RemoveAt(_idle.Count - 1);
                if (process.IsUsable)
                {
                    return process;
                }

                process.Dispose();
            }
        }

        try
        {
            return new ParserProcess(_program, _options);
        }
        catch (Win32Exception error)
        {
            LogMissing(_program.FileName, error.Message);
            throw ParserFaults.Unavailable();
        }
    }

    private bool Keep(ParserProcess process)
    {
        lock (_lock)
        {
            if (_isDisposed || !process.IsUsable)
            {
                return false;
            }

            process.IdleSince = _time.GetTimestamp();
            _idle.Add(process);
            _sweep ??= _time.CreateTimer(_ => EndIdle(_options.IdleMax), null, _options.IdleMax, _options.IdleMax);
            return true;
        }
    }

    private void EndIdle(TimeSpan after)
    {
        List<ParserProcess> ended;
        lock (_lock)
        {
            ended = _idle.FindAll(one => _time.GetElapsedTime(one.IdleSince) >= after);
            _idle.RemoveAll(ended.Contains);
        }

        ended.ForEach(static one => one.Dispose());
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The parser {ProcessId} ended with its file: {Reason}")]
    private partial void LogFault(int processId, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "The parser {Program} could not be started: {Reason}")]
    private partial void LogMissing(string program, string reason);
}
