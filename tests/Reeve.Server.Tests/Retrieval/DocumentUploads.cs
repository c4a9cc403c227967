using System.Net.Http.Headers;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Reeve.Server.Retrieval.Parsing.Child;

namespace Reeve.Server.Tests.Retrieval;

/// <summary>Uploads of files to a server whose parser may be a script.</summary>
internal static class DocumentUploads
{
    internal static ParserProgram Shell(string script) => new("/bin/sh", ["-c", script]);

    /// <summary>
    /// A parser that does as the script says with PDFs, and reads <c>Oolong tea.</c> in all other files.
    /// </summary>
    internal static ParserProgram ShellForPdfs(string script) => Shell($$"""
        while read -r order; do
          case "$order" in *pdf*) {{script}};; esac
          bytes=${order##*\"bytes\":}
          head -c "${bytes%%,*}" > /dev/null
          echo '{"text":"Oolong tea.","blocks":[0,11,1,0,0]}'
        done
        """);

    internal static Task<TestServer> StartAsync(string? folder, ParserProgram program, ParserOptions? options = null,
        Func<ReeveOptions, ReeveOptions>? limits = null) =>
        TestServer.StartAsync(limits, folder: folder, configure: builder => builder.Services
            .AddSingleton(program).AddSingleton(options ?? new ParserOptions()));

    internal static Task<TestAnswer> UploadAsync(
        this TestClient client, string agent, byte[] file, string name, string? fields = null) =>
        client.SendFileAsync(HttpMethod.Post, $"/v1/agents/{agent}/documents", file, name, fields);

    internal static async Task<TestAnswer> SendFileAsync(
        this TestClient client, HttpMethod method, string path, byte[] file, string name, string? fields = null)
    {
        using var content = new ByteArrayContent(file);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
        using var form = new MultipartFormDataContent { { content, "file", name } };
        foreach (var field in fields is null ? [] : JsonElement.Parse(fields).EnumerateObject().ToList())
        {
            form.Add(new StringContent(field.Value.GetString()!), field.Name);
        }

        using var request = new HttpRequestMessage(method, path) { Content = form };
        return await client.SendAsync(request);
    }

    /// <summary>How many documents of the agent are in this status.</summary>
    internal static async Task<int> CountAsync(this TestClient client, string agent, string status) =>
        (await client.GetAsync($"/v1/agents/{agent}/documents?limit=100&status={status}")).Json.GetProperty("data")
            .GetArrayLength();
}
