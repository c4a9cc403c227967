using Reeve.Server;

await using var app = ReeveServer.Build(args);
await app.RunAsync();
