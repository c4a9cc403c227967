using System.Buffers;
using System.Diagnostics;
using System.IO.Pipelines;
using System.Runtime.InteropServices;
using System.Text;

namespace Reeve.Server.Retrieval.Parsing.Child;

/// <summary>
/// One parser, a process of its own, for one file at a time. It has none of the server's environment, no network where
/// the system lets it be taken away, and is killed when it takes too long or too much memory.
/// </summary>
internal sealed class ParserProcess : IDisposable
{
    private const int ErrorCharactersMax = 4_096;

    private static readonly TimeSpan WatchInterval = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan ExitMax = TimeSpan.FromSeconds(5);
    private static readonly Lazy<bool> CanLeaveNetwork = new(FindUnshare);

    private readonly ParserOptions _options;
    private readonly Process _process;
    private readonly PipeReader _output;
    private readonly Task<string> _errors;

    /// <exception cref="System.ComponentModel.Win32Exception">There is no such program.</exception>
    internal ParserProcess(ParserProgram program, ParserOptions options)
    {
        _options = options;
        _process = Process.Start(StartInfo(program, options))!;
        _output = PipeReader.Create(_process.StandardOutput.BaseStream, new StreamPipeReaderOptions(
            bufferSize: 65_536, leaveOpen: true));
        _errors = ReadErrorsAsync(_process.StandardError);
    }

    /// <summary>Files that it was given.</summary>
    internal int Files { get; private set; }

    /// <summary>When it became idle, by the clock of whoever keeps it.</summary>
    internal long IdleSince { get; set; }

    internal int Id => _process.Id;

    /// <summary>False: it must not get another file.</summary>
    internal bool IsUsable => Files < _options.FilesMax && !_process.HasExited
        && ResidentBytes < _options.ResidentBytesMax / 2;

    private long ResidentBytes
    {
        get
        {
            _process.Refresh();
            return _process.WorkingSet64;
        }
    }

    /// <summary>What a file says. After an exception the parser is of no more use.</summary>
    /// <exception cref="ParseException">The file has no text to give, or took too much.</exception>
    internal async Task<ExtractedText> ReadAsync(
        string mimeType, ReadOnlyMemory<byte> file, Action<ParseProgress> report, CancellationToken cancellationToken)
    {
        Files++;
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var watch = WatchAsync(over.Token);
        try
        {
            var sending = SendAsync(new ParserOrder(mimeType, file.Length, _options.SecondsMax), file, over.Token);
            var text = await ReceiveAsync(report, over.Token);
            await sending;
            return text ?? throw await WhyAsync(watch);
        }
        finally
        {
            await over.CancelAsync();
            await watch;
        }
    }

    public void Dispose()
    {
        try
        {
            _process.Kill();
        }
        catch (InvalidOperationException)
        {
            // It ended by itself.
        }

        _process.Dispose();
    }

    private async Task SendAsync(ParserOrder order, ReadOnlyMemory<byte> file, CancellationToken cancellationToken)
    {
        try
        {
            var input = _process.StandardInput.BaseStream;
            await input.WriteAsync(ParserWire.Order(order), cancellationToken);
            await input.WriteAsync(file, cancellationToken);
            await input.FlushAsync(cancellationToken);
        }
        catch (IOException)
        {
            // It ended before it had read all; its output says no more, and that is what the caller acts on.
        }
    }

    /// <summary>Null: the output ended without an answer.</summary>
    private async Task<ExtractedText?> ReceiveAsync(
        Action<ParseProgress> report, CancellationToken cancellationToken)
    {
        var seen = 0L;
        while (true)
        {
            var read = await _output.ReadAsync(cancellationToken);
            var buffer = read.Buffer;
            while (buffer.Slice(seen).PositionOf((byte)'\n') is { } end)
            {
                var text = ParserWire.Read(buffer.Slice(0, end), report);
                buffer = buffer.Slice(buffer.GetPosition(1, end));
                seen = 0;
                if (text is not null)
                {
                    _output.AdvanceTo(buffer.Start);
                    return text;
                }
            }

            if (buffer.Length > ParserWire.LineBytesMax)
            {
                throw new InvalidDataException("A parser answered more than any text has.");
            }

            seen = buffer.Length;
            _output.AdvanceTo(buffer.Start, buffer.End);
            if (read.IsCompleted)
            {
                return null;
            }
        }
    }

    /// <summary>Kills the process when it takes too much, and then says what of.</summary>
    private async Task<ParseException?> WatchAsync(CancellationToken cancellationToken)
    {
        // By the clock of the system, whatever the server's is: a process takes real time.
        var started = Stopwatch.GetTimestamp();
        using var timer = new PeriodicTimer(WatchInterval);
        try
        {
            while (!_process.HasExited && await timer.WaitForNextTickAsync(cancellationToken))
            {
                var fault = Stopwatch.GetElapsedTime(started).TotalSeconds > _options.SecondsMax
                    ? ParserFaults.TimedOut(_options.SecondsMax)
                    : ResidentBytes > _options.ResidentBytesMax ? ParserFaults.OutOfMemory() : null;
                if (fault is not null)
                {
                    _process.Kill();
                    return fault;
                }
            }
        }
        catch (Exception error) when (error is OperationCanceledException or InvalidOperationException)
        {
            // Its answer is here, or it ended by itself.
        }

        return null;
    }

    /// <summary>The output ended: the process was killed, or died of the file.</summary>
    private async Task<ParseException> WhyAsync(Task<ParseException?> watch)
    {
        await _process.WaitForExitAsync(CancellationToken.None).WaitAsync(ExitMax);
        if (await watch is { } fault)
        {
            return fault;
        }

        var errors = await _errors.WaitAsync(ExitMax);
        return errors.Contains("tack overflow", StringComparison.Ordinal) ? ParserFaults.TooDeep()
            : errors.Contains("ut of memory", StringComparison.Ordinal) ? ParserFaults.OutOfMemory()
            : ParserFaults.Died();
    }

    /// <summary>The beginning; all is read, or the process would wait for room.</summary>
    private static async Task<string> ReadErrorsAsync(StreamReader errors)
    {
        var kept = new StringBuilder();
        var buffer = new char[ErrorCharactersMax];
        try
        {
            for (int read; (read = await errors.ReadAsync(buffer)) > 0;)
            {
                kept.Append(buffer, 0, Math.Min(read, ErrorCharactersMax - kept.Length));
            }
        }
        catch (Exception error) when (error is IOException or ObjectDisposedException or InvalidOperationException)
        {
            // It was killed.
        }

        return kept.ToString();
    }

    private static ProcessStartInfo StartInfo(ParserProgram program, ParserOptions options)
    {
        var leavesNetwork = CanLeaveNetwork.Value;
        var info = new ProcessStartInfo(leavesNetwork ? "unshare" : program.FileName)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Path.GetPathRoot(program.FileName) is { Length: > 0 } root ? root : "/",
        };
        foreach (var argument in (string[])[.. leavesNetwork ? Unshare(program.FileName) : [], .. program.Arguments])
        {
            info.ArgumentList.Add(argument);
        }

        // Nothing of the server's environment: that is where keys are.
        var path = info.Environment.TryGetValue("PATH", out var value) ? value : null;
        info.Environment.Clear();
        info.Environment["PATH"] = path;
        info.Environment["DOTNET_ROOT"] =
            Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "../../.."));
        info.Environment["DOTNET_GCHeapHardLimit"] = options.HeapBytesMax.ToString("x", null);
        info.Environment["DOTNET_gcConcurrent"] = "0";
        info.Environment["DOTNET_EnableDiagnostics"] = "0";
        info.Environment["DOTNET_TieredPGO"] = "0";
        return info;
    }

    private static string[] Unshare(string program) => ["--user", "--net", "--", program];

    /// <summary>Whether the system lets a process of this user leave its networks.</summary>
    private static bool FindUnshare()
    {
        if (!OperatingSystem.IsLinux())
        {
            return false;
        }

        try
        {
            using var trial = Process.Start(new ProcessStartInfo("unshare", Unshare("true"))
            {
                RedirectStandardError = true,
            });
            return trial!.WaitForExit(ExitMax) && trial.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }
}
