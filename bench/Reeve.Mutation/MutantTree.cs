using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Reeve.Mutation;

/// <summary>
/// A copy of the sources and tests under <c>artifacts/mutation</c> that holds the mutants; the checkout stays as it is.
/// </summary>
internal sealed partial class MutantTree(string root, IReadOnlyDictionary<string, string> equivalents)
{
    internal const string ActiveVariable = "REEVE_MUTANT";
    internal const string SeenVariable = "REEVE_MUTANTS_SEEN";

    private const string Server = "src/Reeve.Server";
    private const string Tests = "tests/Reeve.Server.Tests";

    private const string Switch = """
        namespace Reeve.Server;

        internal static class MutantSwitch
        {
            private static readonly int Active = int.Parse(
                System.Environment.GetEnvironmentVariable("REEVE_MUTANT") ?? "0");
            private static readonly string? Report = System.Environment.GetEnvironmentVariable("REEVE_MUTANTS_SEEN");
            private static readonly bool[] Seen = new bool[100_000];

            static MutantSwitch() => System.AppDomain.CurrentDomain.ProcessExit += static (_, _) =>
            {
                if (Report is not null)
                {
                    System.IO.File.WriteAllLines(Report, System.Linq.Enumerable.Range(0, Seen.Length)
                        .Where(static number => Seen[number]).Select(static number => $"{number}"));
                }
            };

            internal static bool Is(int number)
            {
                if (Report is not null)
                {
                    Seen[number] = true;
                }

                return number == Active;
            }
        }
        """;

    private const string NoAnalyzers = """
        <Project>
          <PropertyGroup>
            <RunAnalyzers>false</RunAnalyzers>
            <EnforceCodeStyleInBuild>false</EnforceCodeStyleInBuild>
            <TreatWarningsAsErrors>false</TreatWarningsAsErrors>
          </PropertyGroup>
        </Project>
        """;

    private readonly string _copy = Path.Combine(root, "artifacts/mutation/tree");
    private readonly HashSet<int> _left = [];

    internal string TestAssembly => Path.Combine(Published, "Reeve.Server.Tests.dll");

    private string Published => Path.Combine(_copy, "artifacts/mutants");

    /// <summary>Writes and builds the mutants of a module; those that do not compile are marked and left out.</summary>
    internal List<Mutant> Build(Module module)
    {
        Copy();
        while (true)
        {
            var (mutants, texts) = Write(module);
            var errors = Compile();
            if (errors.Count == 0)
            {
                foreach (var mutant in mutants.Where(mutant => _left.Contains(mutant.Number)))
                {
                    mutant.Verdict = Verdict.DoesNotCompile;
                }

                return mutants;
            }

            var leftBefore = _left.Count;
            foreach (var (file, line, column, _) in errors)
            {
                _left.UnionWith(texts.TryGetValue(file, out var tree) ? FindAt(tree, line, column) : []);
            }

            if (_left.Count == leftBefore)
            {
                throw new InvalidOperationException("These do not compile, and no mutant is to blame:\n"
                    + string.Join('\n', errors));
            }
        }
    }

    private void Copy()
    {
        _left.Clear();
        foreach (var folder in new[] { "src", Tests })
        {
            if (Directory.Exists(Path.Combine(_copy, folder)))
            {
                Directory.Delete(Path.Combine(_copy, folder), recursive: true);
            }
        }

        var files = new[] { "src", Tests, "spec" }
            .SelectMany(folder => Directory.EnumerateFiles(
                Path.Combine(root, folder), "*", SearchOption.AllDirectories))
            .Concat(Directory.EnumerateFiles(root).Where(static file =>
                Path.GetExtension(file) is ".props" or ".txt" or ".json" or ".slnx"));
        foreach (var file in files)
        {
            var target = Path.Combine(_copy, Path.GetRelativePath(root, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target, overwrite: true);
        }

        File.WriteAllText(Path.Combine(_copy, "Directory.Build.targets"), NoAnalyzers);
        File.WriteAllText(Path.Combine(_copy, Server, "MutantSwitch.cs"), Switch);
    }

    private (List<Mutant> Mutants, Dictionary<string, SyntaxNode> Texts) Write(Module module)
    {
        var mutants = new List<Mutant>();
        var texts = new Dictionary<string, SyntaxNode>(StringComparer.Ordinal);
        foreach (var file in module.Files)
        {
            var text = CSharpSyntaxTree.ParseText(File.ReadAllText(Path.Combine(root, Server, file))).GetRoot();
            var writer = new MutantWriter(file, mutants.Count, _left);
            var mutated = writer.Visit(text);
            mutants.AddRange(writer.Mutants.Select(mutant => mutant with
            {
                Equivalent = equivalents.GetValueOrDefault($"{mutant.File} | {mutant.Before} => {mutant.After}"),
            }));
            var target = Path.Combine(_copy, Server, file);
            File.WriteAllText(target, mutated.ToFullString());
            texts[target] = mutated;
        }

        return (mutants, texts);
    }

    /// <summary>To machine code, for what is started hundreds of times and lives for seconds.</summary>
    private List<(string File, int Line, int Column, string Message)> Compile()
    {
        var info = new ProcessStartInfo("dotnet", [
            "publish", Path.Combine(_copy, Tests), "-c", "Release", "-o", Published, "--use-current-runtime",
            "--no-self-contained", "-p:PublishReadyToRun=true", "--nologo", "-v", "quiet", "-clp:NoSummary",
        ])
        {
            RedirectStandardOutput = true,
        };
        using var build = Process.Start(info)!;
        var output = build.StandardOutput.ReadToEnd();
        build.WaitForExit();
        var errors = Error().Matches(output).Select(static match => (match.Groups[1].Value.Trim(),
            int.Parse(match.Groups[2].Value, CultureInfo.InvariantCulture),
            int.Parse(match.Groups[3].Value, CultureInfo.InvariantCulture), match.Groups[4].Value)).Distinct().ToList();
        return build.ExitCode == 0 || errors.Count > 0
            ? errors
            : throw new InvalidOperationException($"The build failed:\n{output}");
    }

    /// <summary>The mutant at a place, or all those of the statement or member there.</summary>
    private static List<int> FindAt(SyntaxNode text, int line, int column)
    {
        var position = text.GetText().Lines[line - 1].Start + column - 1;
        var around = text.GetAnnotatedNodes(MutantWriter.Mark)
            .Where(node => node.FullSpan.Contains(position))
            .OrderBy(static node => node.FullSpan.Length)
            .Take(1).ToList();
        var at = text.FindToken(position).Parent!.AncestorsAndSelf()
            .First(static node => node is StatementSyntax or MemberDeclarationSyntax);
        var blamed = around.Count > 0 ? around : at.GetAnnotatedNodes(MutantWriter.Mark);
        return [.. blamed.Select(static node => int.Parse(
            node.GetAnnotations(MutantWriter.Mark).Single().Data!, CultureInfo.InvariantCulture))];
    }

    [GeneratedRegex(@"^(.+?)\((\d+),(\d+)\): error (CS\d+: .+?)(?: \[|$)", RegexOptions.Multiline)]
    private static partial Regex Error();
}
