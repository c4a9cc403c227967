namespace Reeve.Server;

/// <summary>The server cannot start; the message is the one sentence that the operator reads.</summary>
internal sealed class StartException(string message, Exception? inner = null) : Exception(message, inner);
