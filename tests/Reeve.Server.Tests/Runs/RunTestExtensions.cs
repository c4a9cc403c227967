using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Reeve.Server.Runs;

namespace Reeve.Server.Tests.Runs;

/// <summary>What tests of runs do again and again.</summary>
internal static class RunTestExtensions
{
    internal static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>Makes an agent over the wire; the model is named unless the members do.</summary>
    internal static async Task<string> NewAgentAsync(this TestServer server, string members = "")
    {
        var model = members.Contains("\"model\"", StringComparison.Ordinal) ? "" : ",\"model\":\"mesh/house-1\"";
        var answer = await server.Client.PostAsync(
            "/v1/agents", $$"""{"name":"Desk"{{model}}{{(members.Length > 0 ? "," + members : "")}}}""");
        Assert.True(answer.Status == 201, answer.Text);
        return answer.Json.GetProperty("id").GetString()!;
    }

    internal static Task<TestAnswer> RunAsync(this TestServer server, string agent, string members = "") =>
        server.Client.PostAsync("/v1/agents/runs", Body(agent, members));

    internal static string Body(string agent, string members = "")
    {
        var input = members.Contains("\"input\"", StringComparison.Ordinal) ? "" : ",\"input\":\"Hi\"";
        return $$"""{"agent":"{{agent}}"{{input}}{{(members.Length > 0 ? "," + members : "")}}}""";
    }

    /// <summary>Opens a stream and reads it as it comes; headers are those of the wire.</summary>
    internal static async Task<StreamReader> OpenAsync(
        this TestServer server, string method, string path, string? body, params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(new HttpMethod(method), path);
        request.Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json");
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        var answer = await server.Client.Http.SendAsync(
            request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
        Assert.Equal(200, (int)answer.StatusCode);
        Assert.Equal(
            MediaTypeHeaderValue.Parse("text/event-stream; charset=utf-8"), answer.Content.Headers.ContentType);
        return new StreamReader(await answer.Content.ReadAsStreamAsync(Cancellation), Encoding.UTF8);
    }

    /// <summary>Reads frames until one whose text holds <paramref name="mark"/>; answers everything read.</summary>
    internal static async Task<string> ReadToAsync(this StreamReader stream, string mark)
    {
        var text = new StringBuilder();
        while (await stream.ReadLineAsync(Cancellation) is { } line)
        {
            text.Append(line).Append('\n');
            if (line.Length == 0 && text.ToString().Contains(mark, StringComparison.Ordinal))
            {
                break;
            }
        }

        return text.ToString();
    }

    /// <summary>Lets the time of the server pass in steps until what was started is done.</summary>
    internal static async Task<T> PassTimeUntilAsync<T>(this TestServer server, TimeSpan step, Func<Task<T>> start)
    {
        var started = TimeProvider.System.GetTimestamp();
        var task = start();
        while (!task.IsCompleted)
        {
            Assert.True(
                TimeProvider.System.GetElapsedTime(started) < TestServer.Timeout, "It did not happen in time.");
            server.Time.Advance(step);
            await Task.WhenAny(
                task, Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, Cancellation));
        }

        return await task;
    }

    internal static async Task<JsonElement> LedgerAsync(this TestServer server, string query = "limit=100")
    {
        var answer = await server.Client.GetAsync("/v1/ledger?" + query);
        Assert.Equal(200, answer.Status);
        return answer.Json.GetProperty("data");
    }

    internal static async Task<JsonElement> AccountAsync(this TestServer server) =>
        (await server.Client.GetAsync("/v1/accounts/me")).Json;

    /// <summary>Nothing that the checker knows is wrong, and no money is held.</summary>
    internal static async Task AssertSoundAsync(this TestServer server)
    {
        var violations = server.Database.Read(new Verifier().Check);
        Assert.True(violations.Count == 0, string.Join(Environment.NewLine, violations));
        Assert.Equal(0, (await server.AccountAsync()).GetProperty("held_usd").GetDecimal());
    }
}
