namespace Reeve.Server.Tests;

public sealed class FailpointsTests
{
    [Theory]
    [InlineData("loop.nowhere=crash", "there is no point loop.nowhere; the points are admit.looked, ")]
    [InlineData("LOOP.DELTA=crash", "there is no point LOOP.DELTA")]
    [InlineData("=crash", "there is no point ;")]
    [InlineData("loop.delta", "must be loop.delta=crash, throw, delay:MILLISECONDS or stop, then @HIT or nothing.")]
    [InlineData("loop.delta=", "must be loop.delta=crash")]
    [InlineData("loop.delta=explode", "must be loop.delta=crash")]
    [InlineData("loop.delta=throw@0", "must be loop.delta=crash")]
    [InlineData("loop.delta=throw@-1", "must be loop.delta=crash")]
    [InlineData("loop.delta=throw@first", "must be loop.delta=crash")]
    [InlineData("loop.delta=delay", "must be loop.delta=crash")]
    [InlineData("loop.delta=delay:-1", "must be loop.delta=crash")]
    [InlineData("loop.delta=delay:600001", "must be loop.delta=crash")]
    [InlineData("loop.asked=throw; loop.delta=nothing", "loop.delta=nothing must be loop.delta=crash")]
    public void Parse_OfAnythingElse_SaysWhatIsAllowed(string text, string message)
    {
        var error = Assert.Throws<ReeveOptionsException>(() => Failpoints.Parse(text));

        Assert.StartsWith(Failpoints.Variable, error.Message, StringComparison.Ordinal);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData(" ; ")]
    public void Parse_OfNothing_ArmsNothing(string? text)
    {
        var points = Failpoints.Parse(text);

        Assert.All(Failpoints.All, points.Hit);
    }

    [Fact]
    public void Hit_WithANumber_ActsAtThatOneAlone()
    {
        var points = Failpoints.Parse(" loop.delta=throw@2 ;loop.asked=throw");

        points.Hit(Failpoints.LoopDelta);
        Assert.Throws<FailpointException>(() => points.Hit(Failpoints.LoopDelta));
        points.Hit(Failpoints.LoopDelta);
        Assert.Throws<FailpointException>(() => points.Hit(Failpoints.LoopAsked));
        Assert.Throws<FailpointException>(() => points.Hit(Failpoints.LoopAsked));
        points.Hit(Failpoints.LoopHeld);
    }

    [Fact]
    public void Hit_WithADelay_Waits()
    {
        var points = Failpoints.Parse("loop.delta=delay:30@1");
        var start = TimeProvider.System.GetTimestamp();

        points.Hit(Failpoints.LoopDelta);

        // A sleeping thread may wake a little early by this clock.
        Assert.True(TimeProvider.System.GetElapsedTime(start) >= TimeSpan.FromMilliseconds(25));
    }

    [Fact]
    public void All_HasEachPointOnce()
    {
        var constants = typeof(Failpoints)
            .GetFields(System.Reflection.BindingFlags.Static | System.Reflection.BindingFlags.NonPublic)
            .Where(static field => field.IsLiteral && field.FieldType == typeof(string))
            .Select(static field => (string)field.GetRawConstantValue()!)
            .Where(static value => value != Failpoints.Variable);

        Assert.Equal(constants.Order(StringComparer.Ordinal), Failpoints.All.Order(StringComparer.Ordinal));
    }
}
