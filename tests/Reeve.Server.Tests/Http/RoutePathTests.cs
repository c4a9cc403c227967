using Microsoft.AspNetCore.Routing.Patterns;
using Reeve.Server.Http;

namespace Reeve.Server.Tests.Http;

public sealed class RoutePathTests
{
    [Theory]
    [InlineData("/", "/", true)]
    [InlineData("/", "/a", false)]
    [InlineData("/v1/agents", "/v1/agents", true)]
    [InlineData("/v1/agents", "/v1/agents/", true)]
    [InlineData("/v1/agents", "/v1/agents//", false)]
    [InlineData("/v1/agents", "//v1/agents", false)]
    [InlineData("/v1/agents", "/v1/Agents", false)]
    [InlineData("/v1/agents", "/v1", false)]
    [InlineData("/v1/agents/{id}", "/v1/agents/X", true)]
    [InlineData("/v1/agents/{id}", "/v1/agents/", false)]
    [InlineData("/v1/agents/{id}", "/v1/agents/X/Y", false)]
    [InlineData("/v1/agents/{id}/chat", "/v1/agents/X/chat", true)]
    [InlineData("/v1/agents/{id}/chat", "/v1/agents/X/Chat", false)]
    [InlineData("/v1/agents/{id?}", "/v1/agents", true)]
    [InlineData("/files/{**path}", "/files/a/B/c", true)]
    [InlineData("/files/{**path}", "/files", true)]
    [InlineData("/runs/{id}:cancel", "/runs/x:cancel", true)]
    [InlineData("/runs/{id}:cancel", "/runs/x:Cancel", false)]
    [InlineData("/app/{name}.js", "/app/x.js", true)]
    [InlineData("/app/{name}.js", "/app/x.JS", false)]
    public void Matches_PatternAndPath_ComparesLetterCase(string pattern, string path, bool matches) =>
        Assert.Equal(matches, RoutePath.Matches(RoutePatternFactory.Parse(pattern), path));
}
