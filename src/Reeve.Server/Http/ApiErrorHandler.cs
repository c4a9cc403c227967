using System.Buffers;
using System.Globalization;
using System.Text.Json;
using Reeve.Server.Storage;

namespace Reeve.Server.Http;

/// <summary>
/// The outermost step: names the request and turns whatever is thrown into the documented error body.
/// </summary>
internal sealed partial class ApiErrorHandler(RequestDelegate next, IdGenerator ids, ILogger<ApiErrorHandler> logger)
{
    public async Task InvokeAsync(HttpContext context)
    {
        context.TraceIdentifier = ids.New(Id.Request);
        context.Response.Headers["x-request-id"] = context.TraceIdentifier;
        try
        {
            RequestFraming.Check(context);
            await next(context);
        }
        catch (Exception error) when (error is OperationCanceledException or IOException
            && context.RequestAborted.IsCancellationRequested)
        {
            context.Abort(); // The caller left; there is nobody to answer.
        }
#pragma warning disable CA1031 // The last line of defence: whatever it is, the caller gets a well-formed error.
        catch (Exception error)
#pragma warning restore CA1031
        {
            await AnswerAsync(context, Explain(error, context.TraceIdentifier));
        }
    }

    /// <summary>Writes an error as the endpoint's wire shows it.</summary>
    internal static Task AnswerAsync(HttpContext context, ApiException error)
    {
        context.NoteError(error);
        // What was written and not sent yet cannot be taken back, and an error behind it would be no answer either.
        if (context.Response.HasStarted
            || context.Response.BodyWriter is { CanGetUnflushedBytes: true, UnflushedBytes: > 0 })
        {
            context.Abort();
            return Task.CompletedTask;
        }

        var dialect = context.GetEndpoint()?.Metadata.GetMetadata<ErrorDialect>() ?? ErrorDialect.Mesh;
        var shown = dialect.Show(error);
        if (error.RetryAfterSeconds is { } seconds)
        {
            context.Response.Headers.RetryAfter = Math.Max(1, seconds).ToString(CultureInfo.InvariantCulture);
        }

        if (error.Code == ApiErrorCodes.ConversationLimitExceeded || (error.IsFinal && shown.Status >= 500))
        {
            context.Response.Headers["x-should-retry"] = "false";
        }

        if (shown.Status == 401)
        {
            context.Response.Headers.WWWAuthenticate = "Bearer";
        }

        return ApiJson.WriteAsync(context, shown.Status, Body(context, error, shown));
    }

    private static ReadOnlyMemory<byte> Body(HttpContext context, ApiException error, ShownError shown)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using var writer = new Utf8JsonWriter(buffer, ApiJson.Writer);
        writer.WriteStartObject();
        writer.WriteStartObject("error"u8);
        writer.WriteString("code"u8, shown.Code);
        writer.WriteString("message"u8, shown.Message);
        writer.WriteString("type"u8, shown.Type);
        writer.WriteString("param"u8, shown.Param);
        writer.WriteString("request_id"u8, error.RequestId ?? context.TraceIdentifier);
        foreach (var (name, value) in shown.Members)
        {
            writer.WriteString(name, value);
        }

        writer.WriteEndObject();
        writer.WriteEndObject();
        writer.Flush();
        return buffer.WrittenMemory;
    }

    private ApiException Explain(Exception error, string requestId)
    {
        switch (error)
        {
            case ApiException known:
                return known;
            case StorageException { Fault: StorageFault.Full }:
                return new ApiException(ApiErrorCodes.StorageFull, "There is no room on the disk; nothing was kept.");
            case StorageException { Fault: StorageFault.Damaged }:
                LogFault(error, requestId);
                return new ApiException(ApiErrorCodes.InternalError, StorageException.DamagedMessage);
            case StorageException:
                return new ApiException(ApiErrorCodes.Unavailable, "The database does not take writes now.")
                {
                    RetryAfterSeconds = 1,
                };
            case BadHttpRequestException { StatusCode: 413 }:
                return new ApiException(ApiErrorCodes.PayloadTooLarge, "The body is larger than is accepted here.");
            case BadHttpRequestException { StatusCode: 408 }:
                return ApiException.Invalid("The body came too slowly.", null);
            case BadHttpRequestException:
                return ApiException.Invalid("The request is not well-formed HTTP.", null);
            default:
                LogFault(error, requestId);
                return new ApiException(ApiErrorCodes.InternalError,
                    "The server failed; the request_id names the case.");
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "{RequestId} failed through a fault of the server.")]
    private partial void LogFault(Exception error, string requestId);
}
