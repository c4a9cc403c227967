using CsCheck;
using Reeve.Server.Retrieval.Parsing.Child;

namespace Reeve.Server.Tests.Retrieval.Parsing.Child;

public sealed class FairPlacesTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Take_ManyOfOneAccount_OthersComeInTurn()
    {
        var places = new FairPlaces(1);
        var first = await places.TakeAsync("a", Token);
        var waiting = new List<(string Name, Task<IDisposable> Task)>();
        foreach (var name in (string[])["a", "a", "a", "b", "b", "c"])
        {
            waiting.Add((name, places.TakeAsync(name, Token)));
        }

        // The place that is kept for who has none.
        Assert.Equal(["b"], Given());
        var order = new List<string>();
        var taken = new Queue<IDisposable>([first, await waiting[3].Task]);
        waiting.RemoveAt(3);
        while (taken.TryDequeue(out var place))
        {
            place.Dispose();
            foreach (var (name, task) in waiting.Where(static one => one.Task.IsCompleted).ToList())
            {
                order.Add(name);
                taken.Enqueue(await task);
                waiting.RemoveAll(one => one.Task == task);
            }
        }

        Assert.Equal(["a", "b", "c", "a", "a"], order);

        string[] Given() => [.. waiting.Where(static one => one.Task.IsCompleted).Select(static one => one.Name)];
    }

    [Fact]
    public async Task Take_OneAccountAlone_HasAsManyAsThereAre()
    {
        var places = new FairPlaces(2);
        var taken = Enumerable.Range(0, 4).Select(_ => places.TakeAsync("a", Token)).ToList();

        Assert.Equal([true, true, false, false], taken.Select(static one => one.IsCompleted));
        (await taken[0]).Dispose();
        (await taken[0]).Dispose(); // Twice is once.
        await taken[2];
        Assert.False(taken[3].IsCompleted);
    }

    [Fact]
    public async Task Take_AnyCourse_KeepsTheBoundAndLosesNobody() => await Gen.Select(Gen.Int[1, 3],
        Gen.Select(Gen.Int[0, 3], Gen.Int[0, 2]).List[1, 60]).SampleAsync(async (max, steps) =>
        {
            var places = new FairPlaces(max);
            var waiting = new List<(string Account, Task<IDisposable> Task, CancellationTokenSource Stop)>();
            var taken = new List<(string Account, IDisposable Place)>();
            foreach (var (account, kind) in steps)
            {
                if (kind == 0 && taken.Count > 0)
                {
                    taken[account % taken.Count].Place.Dispose();
                    taken.RemoveAt(account % taken.Count);
                }
                else if (kind == 1 && waiting.Count > 0)
                {
                    await waiting[account % waiting.Count].Stop.CancelAsync();
                }
                else
                {
                    var stop = new CancellationTokenSource();
                    waiting.Add(($"{account}", places.TakeAsync($"{account}", stop.Token), stop));
                }

                await SettleAsync(waiting, taken);
                Assert.True(taken.Count <= max + 1);
                Assert.True(taken.Count <= max || taken.CountBy(static one => one.Account).Any(one => one.Value == 1));
                Assert.True(waiting.Count == 0 || taken.Count >= max);
                Assert.True(taken.Count > max
                    || waiting.TrueForAll(one => taken.Exists(other => other.Account == one.Account)));
            }

            while (taken.Count > 0)
            {
                taken[0].Place.Dispose();
                taken.RemoveAt(0);
                await SettleAsync(waiting, taken);
            }

            Assert.Empty(waiting);
        });

    /// <summary>Takes out what was given, and what was given up.</summary>
    private static async Task SettleAsync(
        List<(string Account, Task<IDisposable> Task, CancellationTokenSource Stop)> waiting,
        List<(string Account, IDisposable Place)> taken)
    {
        foreach (var one in waiting.Where(static one => one.Task.IsCompleted).ToList())
        {
            if (one.Task.IsCompletedSuccessfully)
            {
                taken.Add((one.Account, await one.Task));
            }

            waiting.Remove(one);
        }
    }
}
