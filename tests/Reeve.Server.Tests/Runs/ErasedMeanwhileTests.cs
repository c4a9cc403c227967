namespace Reeve.Server.Tests.Runs;

/// <summary>A conversation that is deleted while somebody reads its runs.</summary>
public sealed class ErasedMeanwhileTests
{
    private const int Rounds = 60;
    private const int Readers = 6;

    [Fact]
    public async Task Run_ReadWhileItsConversationIsDeleted_IsThereOrNotFound()
    {
        var model = new ScriptedChatClient();
        await using var server = await TestServer.StartAsync(
            configure: builder => model.AddTo(builder), realTime: true);
        var agent = await server.NewAgentAsync();
        for (var round = 0; round < Rounds; round++)
        {
            model.Reply("Done.");
            var run = (await server.RunAsync(agent)).Json;
            var path = $"/v1/runs/{run.GetProperty("run_id").GetString()}";
            string[] paths = [path, path + "/events"];
            var reading = Enumerable.Range(0, Readers).Select(async reader =>
            {
                TestAnswer answer;
                do
                {
                    answer = await server.Client.GetAsync(paths[reader % paths.Length]);
                    Assert.True(answer.Status is 200 or 404, $"round {round}: {answer.Status} {answer.Text}");
                }
                while (answer.Status == 200);
            }).ToList();

            var conversation = run.GetProperty("conversation_id").GetString();
            Assert.Equal(204, (await server.Client.DeleteAsync($"/v1/conversations/{conversation}")).Status);
            await Task.WhenAll(reading);
        }
    }
}
