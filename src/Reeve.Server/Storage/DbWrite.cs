namespace Reeve.Server.Storage;

/// <summary>
/// A piece of work for the writer: executed inside a transaction that it may share with others, and again when another
/// piece broke that transaction. It must not change anything but the database until <see cref="Committed"/>.
/// </summary>
internal abstract class DbWrite
{
    internal abstract void Execute(DbSession session);

    /// <summary>Called on the writer's thread once the work is durable; must be quick and must not throw.</summary>
    internal abstract void Committed();

    /// <summary>Called on the writer's thread when nothing of the work was kept.</summary>
    internal abstract void Failed(Exception error);
}

internal sealed class DbWrite<T>(Func<DbSession, T> work) : DbWrite
{
    private readonly TaskCompletionSource<T> _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private T _result = default!;

    internal Task<T> Task => _completion.Task;

    internal override void Execute(DbSession session) => _result = work(session);

    internal override void Committed() => _completion.SetResult(_result);

    internal override void Failed(Exception error) => _completion.SetException(error);
}
