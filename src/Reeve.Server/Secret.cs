namespace Reeve.Server;

/// <summary>
/// A credential from the operator; it prints as nothing, so that no log or message shows it by accident.
/// </summary>
internal sealed class Secret(string value)
{
    internal string Reveal() => value;

    public override string ToString() => "(secret)";
}
