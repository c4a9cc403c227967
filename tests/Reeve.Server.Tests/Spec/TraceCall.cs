using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace Reeve.Server.Tests.Spec;

/// <summary>A request as a trace writes it down, with placeholders.</summary>
internal sealed record TraceCall
{
    internal required string Method { get; init; }

    internal required string Path { get; init; }

    internal required IReadOnlyList<(string Name, string Value)> Headers { get; init; }

    /// <summary>The text of the body; null when there is none.</summary>
    internal string? Body { get; init; }

    /// <summary>Reads a call; a step of a setup speaks for the trace's own account unless it says otherwise.</summary>
    internal static TraceCall Read(JsonElement call, bool isStep)
    {
        var headers = call.TryGetProperty("headers", out var given)
            ? given.EnumerateObject().SelectMany(static header => header.Value.ValueKind == JsonValueKind.Array
                ? header.Value.EnumerateArray().Select(one => (header.Name, one.GetString()!))
                : [(header.Name, header.Value.GetString()!)]).ToList()
            : [];
        if (isStep && !headers.Any(static header => header.Name == "Authorization"))
        {
            headers.Add(("Authorization", "Bearer <key>"));
        }

        return new TraceCall
        {
            Method = call.GetProperty("method").GetString()!,
            Path = call.GetProperty("path").GetString()!,
            Headers = headers,
            Body = ReadBody(call),
        };
    }

    internal async Task<TraceAnswer> SendAsync(HttpClient http, Placeholders placeholders)
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        using var request = new HttpRequestMessage(new HttpMethod(Method), placeholders.Fill(Path));
        if (Body is not null)
        {
            request.Content = new StringContent(placeholders.Fill(Body), Encoding.UTF8);
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        }

        foreach (var (name, value) in Headers)
        {
            if (!request.Headers.TryAddWithoutValidation(name, placeholders.Fill(value)))
            {
                request.Content!.Headers.TryAddWithoutValidation(name, placeholders.Fill(value));
            }
        }

        using var answer = await http.SendAsync(request, cancellationToken);
        return new TraceAnswer(
            (int)answer.StatusCode,
            [.. answer.Headers.NonValidated.Concat(answer.Content.Headers.NonValidated)
                .Where(static header => !TraceAnswer.OfTheConnection.Contains(header.Key))
                .Select(static header => (Name: TraceAnswer.Lower(header.Key), string.Join(", ", header.Value)))
                .OrderBy(static header => header.Name, StringComparer.Ordinal)],
            await answer.Content.ReadAsStringAsync(cancellationToken));
    }

    // "body" is JSON; "text" is sent as it is, "repeat" times.
    private static string? ReadBody(JsonElement call)
    {
        if (call.TryGetProperty("body", out var body))
        {
            return body.GetRawText();
        }

        var times = call.TryGetProperty("repeat", out var repeat) ? repeat.GetInt32() : 1;
        return call.TryGetProperty("text", out var text)
            ? new StringBuilder().Insert(0, text.GetString(), times).ToString()
            : null;
    }
}

/// <summary>An answer that was read to its end.</summary>
internal sealed record TraceAnswer(int Status, IReadOnlyList<(string Name, string Value)> Headers, string Text)
{
    /// <summary>Headers that belong to the connection, not to the wire.</summary>
    internal static readonly HashSet<string> OfTheConnection = new(
        ["Date", "Server", "Transfer-Encoding", "Content-Length", "Connection", "Keep-Alive"],
        StringComparer.OrdinalIgnoreCase);

    /// <summary>The content type without its parameters; null when there is none.</summary>
    internal string? MediaType => Headers
        .Where(static header => header.Name == "content-type")
        .Select(static header => header.Value.Split(';')[0]).FirstOrDefault();

    /// <summary>Names of headers have no letter case; written down they have the lower one.</summary>
    internal static string Lower(string name) =>
        string.Create(name.Length, name, static (span, text) => _ = text.AsSpan().ToLowerInvariant(span));

    internal bool IsStream => MediaType == "text/event-stream";

    internal bool IsJson => MediaType == "application/json";

    /// <summary>The file <c>response.json</c>: all but the body of a stream.</summary>
    internal string Show(Placeholders placeholders)
    {
        var headers = Headers
            .Select(header => (header.Name, Value: placeholders.Hide(header.Name, header.Value))).ToList();
        return SpecFiles.Format(writer =>
        {
            writer.WriteStartObject();
            writer.WriteNumber("status", Status);
            writer.WriteStartObject("headers");
            foreach (var (name, value) in headers)
            {
                writer.WriteString(name, value);
            }

            writer.WriteEndObject();
            if (IsJson)
            {
                writer.WritePropertyName("body");
                JsonElement.Parse(placeholders.Hide(Text)).WriteTo(writer);
            }
            else if (!IsStream && Text.Length > 0)
            {
                writer.WriteString("text", placeholders.Hide(Text));
            }

            writer.WriteEndObject();
        });
    }

    /// <summary>The file <c>response.sse</c>: the bytes of a stream, heartbeats apart; null when it is none.</summary>
    internal string? ShowStream(Placeholders placeholders) => IsStream
        ? placeholders.Hide(Text.Replace(": ping\n\n", "", StringComparison.Ordinal))
        : null;

    /// <summary>The member of a JSON answer that a path such as <c>data.0.run_id</c> leads to.</summary>
    internal string? Find(string path)
    {
        if (!IsJson)
        {
            return null;
        }

        var element = JsonElement.Parse(Text);
        foreach (var part in path.Split('.'))
        {
            if (element.ValueKind == JsonValueKind.Array)
            {
                var index = int.Parse(part, CultureInfo.InvariantCulture);
                if (index >= element.GetArrayLength())
                {
                    return null;
                }

                element = element[index];
            }
            else if (element.ValueKind != JsonValueKind.Object || !element.TryGetProperty(part, out element))
            {
                return null;
            }
        }

        return element.ValueKind switch
        {
            JsonValueKind.Null => null,
            JsonValueKind.String => element.GetString(),
            _ => element.GetRawText(),
        };
    }
}
