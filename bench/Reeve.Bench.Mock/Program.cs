using Reeve.Bench.Mock;

var builder = WebApplication.CreateSlimBuilder(args);
builder.Logging.ClearProviders();
builder.WebHost.ConfigureKestrel(kestrel => kestrel.AddServerHeader = false);
builder.Configuration.AddEnvironmentVariables("MOCK_").AddCommandLine(args);

await using var app = builder.Build();
var server = new MockServer(Behaviour.From(name => builder.Configuration[name]), TimeProvider.System);
app.Run(server.HandleAsync);
await app.RunAsync();
