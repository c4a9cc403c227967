namespace Reeve.Server.Egress;

/// <summary>Why nothing, or nothing whole, came back.</summary>
internal enum EgressFault
{
    /// <summary>The name stands for an address that accounts may not reach.</summary>
    Forbidden,

    /// <summary>The name stands for no address.</summary>
    Unresolved,

    Unreachable,
    Tls,
    Timeout,

    /// <summary>What came is no HTTP, or larger than is read.</summary>
    Protocol,
}

/// <summary>A call to an address that an account named did not succeed; the message is fit for that account.</summary>
internal sealed class EgressException(EgressFault fault, string message, Exception? cause = null)
    : Exception(message, cause)
{
    internal EgressFault Fault => fault;

    /// <summary>The fault as the wire names it.</summary>
    internal string Word => fault switch
    {
        EgressFault.Forbidden => "forbidden_address",
        EgressFault.Unresolved => "unresolved",
        EgressFault.Unreachable => "unreachable",
        EgressFault.Tls => "tls",
        EgressFault.Timeout => "timeout",
        _ => "protocol",
    };
}
