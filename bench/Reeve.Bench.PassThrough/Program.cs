using System.Text.Json;
using Reeve.Bench.PassThrough;

// The baseline of every ratio: what is left of a server for agents when it does nothing but call the model.
var builder = WebApplication.CreateSlimBuilder(args);
builder.Logging.SetMinimumLevel(LogLevel.Warning);
builder.Services.ConfigureHttpJsonOptions(json =>
{
    json.SerializerOptions.PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower;
    json.SerializerOptions.TypeInfoResolverChain.Insert(0, PassThroughJsonContext.Default);
});

using var http = new HttpClient { BaseAddress = new Uri(builder.Configuration["upstream"]!) };
builder.Services.AddSingleton(new Upstream(http));

await using var app = builder.Build();
app.MapGet("/health/ready", () => "ready");
app.MapPost("/v1/agents/runs", RunEndpoint.HandleAsync);
await app.RunAsync();
