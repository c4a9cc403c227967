using System.Text.RegularExpressions;
using Reeve.Server.Http;

namespace Reeve.Server.Tests.Repository;

/// <summary>
/// What the compiler cannot keep: which folder uses which, sizes, where sockets are, what documents say.
/// </summary>
public sealed partial class TidyTests
{
    private const int FileBytesMax = 250_000;
    private const int LineLengthMax = 120;

    private static readonly string Root = FindRoot();

    private static readonly string[] Ground = ["Http", "Egress", "Storage", "Telemetry"];

    /// <summary>
    /// What a folder of the server may use beside itself and the ground floor; what is missing, nothing.
    /// </summary>
    private static readonly Dictionary<string, string[]> MayUse = new()
    {
        ["Credits"] = ["Accounts"],
        ["Inference"] = ["Credits", "Accounts", "Privacy"],
        ["Tools"] = ["Credits", "Accounts", "Privacy"],
        ["Receipts"] = ["Credits", "Accounts", "Privacy"],
        ["Retrieval"] = ["Credits", "Accounts", "Privacy", "Inference", "Tools", "Receipts"],
        ["Memory"] = ["Credits", "Accounts", "Privacy", "Inference", "Tools", "Receipts"],
        ["Agents"] = ["Credits", "Accounts", "Privacy", "Inference", "Tools", "Receipts", "Retrieval", "Memory"],
        ["Conversations"] = ["Accounts", "Privacy", "Agents"],
        ["Runs"] =
        [
            "Credits", "Accounts", "Privacy", "Inference", "Tools", "Receipts", "Retrieval", "Memory", "Agents",
            "Conversations",
        ],
        ["Webhooks"] = ["Credits", "Accounts", "Privacy", "Retrieval", "Runs"],
        ["Monitoring"] = ["Credits", "Accounts"],
    };

    private static readonly string[] Upper = ["Apis", "Portal"];

    [Fact]
    public void Folder_OfTheServer_UsesOnlyWhatItMay()
    {
        var wrong = new List<string>();
        foreach (var file in SourceFiles("src/Reeve.Server"))
        {
            var parts = file.Path["src/Reeve.Server/".Length..].Split('/');
            if (parts.Length == 1)
            {
                continue; // The root puts the parts together.
            }

            wrong.AddRange(file.Lines.Select(static line => Using().Match(line))
                .Where(static match => match.Success)
                .Select(static match => match.Groups[1].Value)
                .Where(used => !Allowed(parts, used))
                .Select(used => $"{file.Path} uses {used}"));
        }

        AssertNone(wrong);
    }

    [Fact]
    public void File_Each_IsOfReadableSize()
    {
        var wrong = new List<string>();
        foreach (var file in SourceFiles("src").Concat(SourceFiles("tests")).Concat(SourceFiles("bench")))
        {
            var linesMax = file.Path.StartsWith("src/", StringComparison.Ordinal) ? 500 : 800;
            if (file.Lines.Length > linesMax)
            {
                wrong.Add($"{file.Path} has {file.Lines.Length} lines");
            }

            wrong.AddRange(file.Lines.Index()
                .Where(static line => line.Item.Length > LineLengthMax
                    && !line.Item.Contains("https://", StringComparison.Ordinal))
                .Select(line => $"{file.Path}:{line.Index + 1} has {line.Item.Length} columns"));
        }

        // But for the document that the server writes: it grows with the endpoints.
        wrong.AddRange(TrackedFiles().Where(static path => path != "spec/openapi.json"
                && new FileInfo(Path.Combine(Root, path)).Length > FileBytesMax)
            .Select(static path => $"{path} is larger than {FileBytesMax} bytes"));
        AssertNone(wrong);
    }

    [Fact]
    public void Source_Each_HasNoLeftovers() => AssertNone(SourceFiles("src").Concat(SourceFiles("tests"))
        .Where(static file => file.Path != "tests/Reeve.Server.Tests/Repository/TidyTests.cs")
        .SelectMany(static file => file.Lines.Index()
            .Where(static line => Leftover().IsMatch(line.Item))
            .Select(line => $"{file.Path}:{line.Index + 1}: {line.Item.Trim()}")));

    [Fact]
    public void Sockets_OfTheServer_AreInEgressAlone() => AssertNone(SourceFiles("src/Reeve.Server")
        .Where(static file => !file.Path.StartsWith("src/Reeve.Server/Egress/", StringComparison.Ordinal)
            && file.Path != "src/Reeve.Server/Http/KestrelSetup.cs")
        .SelectMany(static file => file.Lines.Index()
            .Where(static line => Socket().IsMatch(line.Item))
            .Select(line => $"{file.Path}:{line.Index + 1}: {line.Item.Trim()}")));

    /// <summary>Into SQL goes nothing but parameters and the constants of the same file.</summary>
    [Fact]
    public void Sql_Each_IsAConstant() => AssertNone(SourceFiles("src/Reeve.Server")
        .SelectMany(static file => file.Lines.Index()
            .Where(static line => Sql().IsMatch(line.Item))
            .Where(line => Hole().Matches(line.Item)
                .Select(static hole => $"const string {hole.Groups[1].Value} ")
                .Any(constant => !file.Lines.Any(one => one.Contains(constant, StringComparison.Ordinal))))
            .Select(line => $"{file.Path}:{line.Index + 1}: {line.Item.Trim()}")));

    [Fact]
    public void ErrorCodes_Each_HaveARowInTheDocument()
    {
        var documented = File.ReadLines(Path.Combine(Root, "docs/errors.md"))
            .Select(static line => ErrorRow().Match(line)).Where(static match => match.Success)
            .Select(static match => $"{match.Groups[1].Value} {match.Groups[2].Value}");

        Assert.Equal(ApiErrorCodes.All.Select(static code => $"{code.Code} {code.Status}"), documented);
    }

    private static bool Allowed(string[] parts, string used)
    {
        var (folder, target) = (parts[0], used.Split('.')[0]);
        if (target == folder)
        {
            // One dialect never uses another.
            return folder != "Apis" || used.Split('.') is ["Apis"] || used.Split('.')[1] == parts[1];
        }

        if (Upper.Contains(folder))
        {
            return !Upper.Contains(target);
        }

        if (target == "Audit")
        {
            return !Ground.Contains(folder); // Below every feature: each writes what it did into it.
        }

        if (Ground.Contains(target))
        {
            return !Ground.Contains(folder) || (target == "Telemetry" && folder is "Egress" or "Http")
                || (target == "Storage" && folder == "Http"); // For the exception that it answers.
        }

        return MayUse.TryGetValue(folder, out var allowed) && allowed.Contains(target);
    }

    private static IEnumerable<(string Path, string[] Lines)> SourceFiles(string folder) => TrackedFiles()
        .Where(path => path.StartsWith(folder + "/", StringComparison.Ordinal)
            && path.EndsWith(".cs", StringComparison.Ordinal))
        .Select(static path => (path, File.ReadAllLines(Path.Combine(Root, path))));

    private static IEnumerable<string> TrackedFiles()
    {
        var options = new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = 0 };
        return Directory.EnumerateFiles(Root, "*", options)
            .Select(static path => Path.GetRelativePath(Root, path).Replace('\\', '/'))
            .Where(static path => !Generated().IsMatch(path));
    }

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Reeve.slnx")))
        {
            folder = folder.Parent ?? throw new InvalidOperationException("The tests run inside the repository alone.");
        }

        return folder.FullName;
    }

    private static void AssertNone(IEnumerable<string> found)
    {
        var wrong = found.ToList();
        Assert.True(wrong.Count == 0, string.Join(Environment.NewLine, wrong));
    }

    [GeneratedRegex(@"^using (?:static )?Reeve\.Server\.([A-Za-z.]+)")]
    private static partial Regex Using();

    [GeneratedRegex(@"#region|\bTODO\b|\bFIXME\b|\bHACK\b|\bXXX\b")]
    private static partial Regex Leftover();

    [GeneratedRegex(@"\b(HttpClient|SocketsHttpHandler|TcpClient|UdpClient|NetworkStream|ClientWebSocket|Dns\.)|"
        + @"new Socket\b|System\.Net\.Sockets")]
    private static partial Regex Socket();

    [GeneratedRegex("""\$+"+.*\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|FROM|WHERE|SET|VALUES|PRAGMA)\b""")]
    private static partial Regex Sql();

    [GeneratedRegex(@"\{([^}]*)\}")]
    private static partial Regex Hole();

    [GeneratedRegex(@"^\| `([a-z_]+)` \| (\d{3}) \|")]
    private static partial Regex ErrorRow();

    [GeneratedRegex(@"(^|/)(artifacts|bin|obj|node_modules|\.git|\.venv|data|dist)(/|$)|^\.git$|\.received\.")]
    private static partial Regex Generated();
}
