using Microsoft.Extensions.Logging.Console;

namespace Reeve.Server.Telemetry;

/// <summary>The log: JSON lines on standard error, for standard output belongs to the lines for people.</summary>
internal static class LoggingSetup
{
    internal static void AddReeveLogging(this WebApplicationBuilder builder)
    {
        builder.Logging.AddJsonConsole(static json =>
        {
            json.TimestampFormat = "yyyy-MM-dd'T'HH:mm:ss.fff'Z'";
            json.UseUtcTimestamp = true;
        });
        builder.Logging.AddFilter("Microsoft", LogLevel.Warning);
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.Critical); // `reeve` says it.
        builder.Services.Configure<ConsoleLoggerOptions>(static console =>
        {
            console.LogToStandardErrorThreshold = LogLevel.Trace;
            console.QueueFullMode = ConsoleLoggerQueueFullMode.DropWrite; // A full queue must not stall requests.
        });
    }
}
