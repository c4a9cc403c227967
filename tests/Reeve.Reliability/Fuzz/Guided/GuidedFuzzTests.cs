using Reeve.Reliability.Fuzz.ParserFuzz;

namespace Reeve.Reliability.Fuzz.Guided;

public sealed class GuidedFuzzTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("reeve-fuzz-").FullName;

    [Fact]
    public async Task Bug_BehindSeveralConditions_IsFoundByGuidanceAlone()
    {
        const int Runs = 200_000;
        var lines = new List<string>();
        var problems = new List<string>();
        var program = new InstrumentedProgram(Path.Combine(_folder, "program"), typeof(PlantedParser));

        var isClean = await GuidedFuzzCommand.RunAsync(
            program, _folder, PlantedParser.Target.Name, lines.Add, "--runs", $"{Runs}");
        FuzzHost.Run(PlantedParser.Target, Runs, 1, problems);

        TestContext.Current.TestOutputHelper!.WriteLine(string.Join('\n', lines));
        Assert.False(isClean);
        Assert.Empty(problems);
        var finding = Assert.Single(Directory.GetFiles(Path.Combine(_folder, "findings")));
        var input = await File.ReadAllBytesAsync(finding, TestContext.Current.CancellationToken);
        Assert.Contains(nameof(ArgumentOutOfRangeException), FuzzHost.Judge(PlantedParser.Target, input).Problem,
            StringComparison.Ordinal); // Not by the frame of the parser: what runs often is inlined.
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
