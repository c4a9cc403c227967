using Microsoft.Extensions.Time.Testing;
using Reeve.Server.Inference;

namespace Reeve.Server.Tests.Inference;

public sealed class ProviderStateTests
{
    private readonly FakeTimeProvider _time = new(TestServer.StartTime);
    private readonly ProviderState _state;

    public ProviderStateTests() => _state = new ProviderState("house", _time);

    [Fact]
    public void Circuit_OpensAtItsErrorRateAndNotBeforeFiveFailures()
    {
        End(ok: false, 4);
        Assert.NotEqual(ProviderStanding.Open, _state.Look().Standing);
        End(ok: false);
        Assert.Equal((ProviderStanding.Open, TimeSpan.FromSeconds(60)), _state.Look());
        Assert.Null(_state.TryEnter());
    }

    [Fact]
    public void Circuit_StaysClosedBelowItsErrorRate()
    {
        End(ok: true, 40);
        End(ok: false, 10); // 10 of 50
        Assert.Equal(ProviderStanding.Degraded, _state.Look().Standing);
        End(ok: false); // 11 of 51
        Assert.Equal(ProviderStanding.Open, _state.Look().Standing);
    }

    [Fact]
    public void Failures_OlderThanTheWindow_AreForgotten()
    {
        End(ok: false, 4);
        _time.Advance(ProviderState.Window);
        End(ok: false, 4);
        Assert.NotEqual(ProviderStanding.Open, _state.Look().Standing);
        Assert.Equal(1, _state.Report().ErrorRate);
        _time.Advance(ProviderState.Window);
        Assert.Equal((ProviderStanding.Healthy, 0.0), (_state.Look().Standing, _state.Report().ErrorRate));
    }

    [Fact]
    public void CooledCircuit_IsTriedByOneCallAndClosesWithIt()
    {
        End(ok: false, 5);
        _time.Advance(TimeSpan.FromSeconds(59));
        Assert.Null(_state.TryEnter());
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(ProviderStanding.Healthy, _state.Look().Standing);
        using (var probe = _state.TryEnter())
        {
            Assert.True(probe!.IsProbe);
            Assert.Equal(ProviderStanding.Open, _state.Look().Standing);
            Assert.Null(_state.TryEnter());
            probe.Succeed();
        }

        Assert.Equal(ProviderStanding.Healthy, _state.Look().Standing);
        End(ok: false, 4);
        Assert.NotEqual(ProviderStanding.Open, _state.Look().Standing);
    }

    [Fact]
    public void Probe_ThatFails_OpensAgainAndOneThatIsBrokenOffLeavesTheNext()
    {
        End(ok: false, 5);
        _time.Advance(TimeSpan.FromSeconds(60));
        _state.TryEnter()!.Dispose();
        End(ok: false);
        Assert.Equal((ProviderStanding.Open, TimeSpan.FromSeconds(60)), _state.Look());
    }

    [Theory]
    [InlineData(-3600)]
    [InlineData(3600)]
    public void Clock_ThatJumps_NeitherProlongsNorShortensAnOpenCircuit(int seconds)
    {
        var clock = new JumpingClock(_time);
        var state = new ProviderState("house", clock);
        End(state, ok: false, 5);
        clock.Jump = TimeSpan.FromSeconds(seconds);

        Assert.Equal((ProviderStanding.Open, TimeSpan.FromSeconds(60)), state.Look());
        _time.Advance(TimeSpan.FromSeconds(60));
        Assert.Equal(ProviderStanding.Healthy, state.Look().Standing);
    }

    [Fact]
    public void BadRequest_IsNoFaultOfTheProvider()
    {
        for (var i = 0; i < 20; i++)
        {
            using var visit = _state.TryEnter();
            visit!.Fail(ProviderFault.BadRequest);
        }

        Assert.Equal((ProviderStanding.Healthy, 0.0), (_state.Look().Standing, _state.Report().ErrorRate));
    }

    [Fact]
    public void Concurrency_IsBounded()
    {
        _state.Settings = new ProviderSettings { MaxConcurrency = 2 };
        using var first = _state.TryEnter();
        using (var second = _state.TryEnter())
        {
            Assert.Equal(ProviderStanding.Busy, _state.Look().Standing);
            Assert.Null(_state.TryEnter());
            Assert.Equal(2, _state.Report().InFlight);
        }

        Assert.Equal(ProviderStanding.Healthy, _state.Look().Standing);
    }

    [Fact]
    public void Report_SaysWhatHappened()
    {
        for (var milliseconds = 100; milliseconds <= 2_000; milliseconds += 100)
        {
            using var visit = _state.TryEnter();
            _time.Advance(TimeSpan.FromMilliseconds(milliseconds));
            visit!.Succeed();
        }

        var at = _time.GetUtcNow();
        End(ok: false);
        var report = _state.Report();
        Assert.Equal((1_000.0, 1_900.0, at), (report.LatencyP50, report.LatencyP95, report.LastSuccessAt));
        Assert.Equal(("overloaded", at), report.LastError);
    }

    private void End(bool ok, int times = 1) => End(_state, ok, times);

    private static void End(ProviderState state, bool ok, int times)
    {
        for (var i = 0; i < times; i++)
        {
            using var visit = state.TryEnter();
            if (ok)
            {
                visit!.Succeed();
            }
            else
            {
                visit!.Fail(ProviderFault.Overloaded);
            }
        }
    }

    /// <summary>A wall clock that somebody sets, beside time that goes on as it does.</summary>
    private sealed class JumpingClock(TimeProvider time) : TimeProvider
    {
        internal TimeSpan Jump { get; set; }

        public override long TimestampFrequency => time.TimestampFrequency;

        public override DateTimeOffset GetUtcNow() => time.GetUtcNow() + Jump;

        public override long GetTimestamp() => time.GetTimestamp();
    }
}
