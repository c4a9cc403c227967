using System.Globalization;

namespace Reeve.Bench.Mock;

/// <summary>
/// How one request is answered. The settings come from the command line or the environment (<c>--pace-ms 20</c>,
/// <c>MOCK_PACE_MS</c>), from the model's name (<c>mock-pace-20</c>, the way through a server that only knows
/// names) and from the query (<c>?pace_ms=20</c>); the later wins.
/// </summary>
internal sealed record Behaviour
{
    private const int TokensMax = 100_000;

    internal int Tokens { get; init; } = 64;

    /// <summary>Time between two tokens of a stream.</summary>
    internal int PaceMilliseconds { get; init; }

    /// <summary>Time before the answer begins.</summary>
    internal int DelayMilliseconds { get; init; }

    /// <summary>A stream stays silent after its first token, until it is released or closed.</summary>
    internal bool Hold { get; init; }

    internal static Behaviour From(Func<string, string?> settings)
    {
        var behaviour = new Behaviour();
        foreach (var name in (string[])["tokens", "pace", "delay"])
        {
            if ((settings($"{name}_ms") ?? settings($"{name}-ms") ?? settings(name)) is { } value)
            {
                behaviour = behaviour.With(name, value);
            }
        }

        return settings("hold") is null ? behaviour : behaviour with { Hold = true };
    }

    internal Behaviour ForModel(string model)
    {
        var behaviour = this;
        var parts = model.Split('-');
        for (var i = 1; i < parts.Length; i++)
        {
            if (parts[i] == "hold")
            {
                behaviour = behaviour with { Hold = true };
            }
            else if (i + 1 < parts.Length && parts[i] is "tokens" or "pace" or "delay")
            {
                behaviour = behaviour.With(parts[i], parts[++i]);
            }
        }

        return behaviour;
    }

    internal Behaviour ForQuery(IQueryCollection query)
    {
        var behaviour = this;
        foreach (var (name, value) in query)
        {
            behaviour = name switch
            {
                "tokens" => behaviour.With("tokens", value.ToString()),
                "pace_ms" => behaviour.With("pace", value.ToString()),
                "delay_ms" => behaviour.With("delay", value.ToString()),
                "hold" => behaviour with { Hold = true },
                _ => throw new FormatException($"Unknown query name: {name}."),
            };
        }

        return behaviour;
    }

    private Behaviour With(string name, string value)
    {
        var number = int.Parse(value, NumberStyles.None, CultureInfo.InvariantCulture);
        return name switch
        {
            "tokens" when number is > 0 and <= TokensMax => this with { Tokens = number },
            "tokens" => throw new FormatException($"tokens goes from 1 to {TokensMax}."),
            "pace" => this with { PaceMilliseconds = number },
            _ => this with { DelayMilliseconds = number },
        };
    }
}
