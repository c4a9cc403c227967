using System.Text;
using Reeve.Reliability.Load;

namespace Reeve.Reliability.Fuzz.ApiFuzz;

/// <summary>Answers that break a promise each, one by one: what the fuzz looks for has to be seen.</summary>
public sealed class AnswerJudgeTests
{
    private const string Me = """
        {"id":"acct_06EY539WF2JMVJGR4MRBP7BD2C","name":"Default","plan":"enterprise","status":"active","balanceUsd":1,
         "balance_credits":1000,"held_usd":0,"test_balance_usd":10,"limits":{"requestsPerMinute":null,
         "monthlyRequestLimit":null,"monthlyTokenLimit":null,"monthlyUsdLimit":500},"metadata":{},
         "created_at":"2026-05-01T08:00:00.120Z"}
        """;

    private const string Refusal = """
        {"error":{"code":"invalid_request","message":"No.","type":"invalid_request","param":"name",
         "request_id":"req_06GZGF6TWVBBV8T03FMWHJYCS4"}}
        """;

    private const string Event = """
        id: 1
        data: {"type":"run_cancelled","run_id":"run_06GZGF6TYJRGQV5NARXZR7KFJC"}


        """;

    private static readonly ApiSpec Spec = ApiSpec.Load();

    [Fact]
    public void Judge_AnswerThatTheDocumentDescribes_HasNothingToSay()
    {
        Assert.Empty(Judge("getOwnAccount", 200, Me));
        Assert.Empty(Judge("auterynStreamRun", 200, Event, type: "text/event-stream"));
        Assert.Empty(Judge("getOwnAccount", 400, Refusal, fault: "something", expected: 400));
        Assert.Empty(Judge("isLive", 200, """{"status":"live"}"""));
    }

    [Theory]
    [InlineData("plan\":\"enterprise", "plan\":\"gold", "$.plan breaks enum")]
    [InlineData("\"held_usd\":0,", "", "$ lacks held_usd")]
    [InlineData("\"held_usd\":0", "\"held_usd\":-1", "$.held_usd breaks minimum")]
    [InlineData("\"held_usd\":0", "\"held_usd\":\"0\"", "$.held_usd breaks type")]
    [InlineData("\"held_usd\":0", "\"held_usd\":0,\"is_operator\":true", "member is_operator that is not described")]
    [InlineData("acct_06EY539WF2JMVJGR4MRBP7BD2C", "acct_1", "$.id breaks pattern")]
    [InlineData("120Z\"", "120Z\\n\"", "$.created_at breaks pattern")]
    [InlineData("\"monthlyUsdLimit\":500", "\"monthlyUsdLimit\":{}", "$.limits.monthlyUsdLimit breaks type")]
    public void Judge_BodyThatDoesNotFit_IsAProblem(string from, string to, string problem) => Assert.Contains(
        Judge("getOwnAccount", 200, Me.Replace(from, to, StringComparison.Ordinal)),
        one => one.Contains(problem, StringComparison.Ordinal));

    [Theory]
    [InlineData("getOwnAccount", 500, Refusal, "a fault")]
    [InlineData("getOwnAccount", 404, Refusal, "does not say that it answers so")]
    [InlineData("getOwnAccount", 200, "", "it has no body")]
    [InlineData("getOwnAccount", 200, "<html>", "its body is not JSON")]
    [InlineData("getOwnAccount", 401, Refusal, "a 401 without WWW-Authenticate")]
    [InlineData("getOwnAccount", 400, Refusal, "it fits the document and is refused")]
    [InlineData("deleteAgent", 204, "{}", "does not say that it answers application/json")]
    public void Judge_AnswerThatBreaksAPromise_IsAProblem(string operation, int status, string body, string problem) =>
        Assert.Contains(Judge(operation, status, body), one => one.Contains(problem, StringComparison.Ordinal));

    [Fact]
    public void Judge_OtherThanExpected_IsAProblem()
    {
        Assert.Contains("expected 404", Judge("getOwnAccount", 200, Me, fault: "deleted", expected: 404));
        Assert.Contains("it has no x-request-id", Judge("getOwnAccount", 200, Me, more: ""));
        Assert.Contains("the document does not describe its header Server",
            Judge("getOwnAccount", 200, Me, more: "x-request-id: req_1\r\nServer: x\r\n"));
        Assert.Contains("the document does not say that it answers text/html",
            Judge("getOwnAccount", 200, Me, type: "text/html"));
    }

    [Theory]
    [InlineData("id: 1", "id: 0", "breaks oneOf")]
    [InlineData("run_cancelled", "run_stopped", "breaks oneOf")]
    [InlineData("\n\n", "\n", "ends inside of a frame")]
    public void Judge_StreamThatDoesNotFit_IsAProblem(string from, string to, string problem) => Assert.Contains(
        Judge("auterynStreamRun", 200, Event.Replace(from, to, StringComparison.Ordinal), type: "text/event-stream"),
        one => one.Contains(problem, StringComparison.Ordinal));

    private static List<string> Judge(
        string operation, int status, string body, string? fault = null, int? expected = null,
        string type = "application/json", string more = "x-request-id: req_06GZGF6TWVBBV8T03FMWHJYCS4\r\n")
    {
        var caller = new ApiCaller("operator", "key", ["admin"], true, new ApiIds())
        {
            AccountId = "acct_06EY539WF2JMVJGR4MRBP7BD2C",
        };
        var request = new ApiRequest(Spec.Find(operation), caller)
        {
            Fault = fault,
            Expected = expected is { } one ? [one] : null,
        };
        var head = $"HTTP/1.1 {status} X\r\nContent-Type: {type}\r\n{more}";
        return [.. new AnswerJudge(Spec, new SchemaCheck(Spec)).Judge(
            request, new RawAnswer(status, head, Encoding.UTF8.GetBytes(body)))];
    }
}
