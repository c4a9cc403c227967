namespace Reeve.Server.Retrieval.Parsing.Child;

/// <summary>
/// A bounded number of places, for which accounts wait in turn: each gives its oldest and goes to the end. One place
/// more is there for an account that has none, so that nobody waits for the files of one other alone.
/// </summary>
internal sealed class FairPlaces(int placesMax)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, int> _taken = new(StringComparer.Ordinal);
    private readonly LinkedList<Turn> _turns = [];
    private int _sum;

    /// <summary>Waits for a place; the caller gives it back by disposal.</summary>
    internal Task<IDisposable> TakeAsync(string account, CancellationToken cancellationToken)
    {
        var waiter = new Waiter();
        lock (_lock)
        {
            (Find(account) ?? _turns.AddLast(new Turn(account)).Value).Waiters.AddLast(waiter);
            waiter.Cancelling = cancellationToken.Register(() => GiveUp(account, waiter, cancellationToken));
            Give();
        }

        return waiter.Task;
    }

    /// <summary>Whoever was given a place in the same moment has it.</summary>
    private void GiveUp(string account, Waiter waiter, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (Find(account) is { } turn && turn.Waiters.Remove(waiter))
            {
                waiter.SetCanceled(cancellationToken);
                if (turn.Waiters.Count == 0)
                {
                    _turns.Remove(turn);
                }
            }
        }
    }

    private void Leave(string account)
    {
        lock (_lock)
        {
            _sum--;
            if (--_taken[account] == 0)
            {
                _taken.Remove(account);
            }

            Give();
        }
    }

    private void Give()
    {
        var node = _turns.First;
        while (node is not null && _sum <= placesMax)
        {
            var own = _taken.GetValueOrDefault(node.Value.Account);
            if (_sum == placesMax && own > 0)
            {
                node = node.Next;
                continue;
            }

            (_sum, _taken[node.Value.Account]) = (_sum + 1, own + 1);
            _turns.Remove(node);
            var waiter = node.Value.Waiters.First!.Value;
            node.Value.Waiters.RemoveFirst();
            waiter.Cancelling.Unregister(); // Disposal would wait for a cancelling that waits for the lock.
            waiter.SetResult(new Place(this, node.Value.Account));
            if (node.Value.Waiters.Count > 0)
            {
                _turns.AddLast(node);
            }

            node = _turns.First;
        }
    }

    private Turn? Find(string account) => _turns.FirstOrDefault(turn => turn.Account == account);

    private sealed class Turn(string account)
    {
        internal string Account { get; } = account;

        internal LinkedList<Waiter> Waiters { get; } = [];
    }

    private sealed class Waiter()
        : TaskCompletionSource<IDisposable>(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        internal CancellationTokenRegistration Cancelling { get; set; }
    }

    private sealed class Place(FairPlaces places, string account) : IDisposable
    {
        private int _isGivenBack;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _isGivenBack, 1) == 0)
            {
                places.Leave(account);
            }
        }
    }
}
