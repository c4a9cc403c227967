namespace Reeve.Reliability.Simulation;

/// <summary>
/// Where the tasks of one process wait for their turn. Whoever awaits inside them comes back here, so that the history
/// alone decides what runs next; a dead process's tasks never run again.
/// </summary>
internal sealed class SimScheduler : TaskScheduler
{
    private readonly List<Task> _ready = [];
    private readonly int _thread = Environment.CurrentManagedThreadId;

    internal int ReadyCount => IsStopped ? 0 : _ready.Count;

    internal bool IsStopped { get; set; }

    internal void RunOne(SimRandom random)
    {
        var index = random.Below(_ready.Count);
        var task = _ready[index];
        _ready[index] = _ready[^1];
        _ready.RemoveAt(_ready.Count - 1);
        TryExecuteTask(task);
    }

    internal Task Start(Func<Task> work) =>
        Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.DenyChildAttach, this).Unwrap();

    protected override void QueueTask(Task task)
    {
        if (Environment.CurrentManagedThreadId != _thread)
        {
            Environment.FailFast("A task of a history came from another thread, so that its seed would not repeat it: "
                + Environment.StackTrace);
        }

        _ready.Add(task);
    }

    protected override bool TryExecuteTaskInline(Task task, bool taskWasPreviouslyQueued) => false;

    protected override IEnumerable<Task> GetScheduledTasks() => _ready;
}
