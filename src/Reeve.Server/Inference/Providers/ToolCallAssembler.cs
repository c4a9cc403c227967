using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Reeve.Server.Inference.Providers;

/// <summary>Puts the pieces of an answer's tool calls together; a call is given out once, whole.</summary>
internal sealed class ToolCallAssembler
{
    internal const int CallsMax = 128;
    internal const int ArgumentCharactersMax = 1024 * 1024;

    private readonly List<Pending> _calls = [];
    private int _characters;

    internal int Count => _calls.Count;

    /// <summary>A piece of a call. Servers differ in what they repeat, so both index and id are looked at.</summary>
    internal void Add(long? index, string? id, string? name, string? arguments)
    {
        var call = Find(index, id, name);
        call.Id ??= id is { Length: > 0 } ? id : null;
        call.Name ??= name is { Length: > 0 } ? name : null;
        if (arguments is { Length: > 0 })
        {
            _characters += arguments.Length;
            if (_characters > ArgumentCharactersMax)
            {
                throw new ProviderException(
                    ProviderFault.Malformed, $"Tool calls have over {ArgumentCharactersMax} characters of arguments.");
            }

            call.Arguments.Append(arguments);
        }
    }

    /// <summary>Adds the calls to the contents of an answer.</summary>
    internal void MoveTo(IList<AIContent> contents, IdGenerator ids)
    {
        foreach (var call in _calls)
        {
            if (call.Name is null)
            {
                throw new ProviderException(ProviderFault.Malformed, "The provider sent a tool call without a name.");
            }

            contents.Add(Complete(call.Id ?? ids.New("call"), call.Name, call.Arguments.ToString()));
        }

        _calls.Clear();
    }

    /// <summary>
    /// Arguments that are no JSON object are the model's mistake, not the provider's: the content then carries the
    /// exception, beside the text as it was written.
    /// </summary>
    private static FunctionCallContent Complete(string id, string name, string written)
    {
        try
        {
            var root = JsonElement.Parse(written.Length == 0 ? "{}" : written);
            if (root.ValueKind == JsonValueKind.Object)
            {
                var arguments = new Dictionary<string, object?>(StringComparer.Ordinal);
                foreach (var member in root.EnumerateObject())
                {
                    arguments[member.Name] = member.Value;
                }

                return new FunctionCallContent(id, name, arguments) { RawRepresentation = root };
            }
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or ArgumentException)
        {
            // Said below; half a surrogate pair is an ArgumentException.
        }

        return new FunctionCallContent(id, name)
        {
            RawRepresentation = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(written)), // Half a pair becomes U+FFFD.
            Exception = new JsonException("The arguments are not a JSON object."),
        };
    }

    private Pending Find(long? index, string? id, string? name)
    {
        var anonymous = index is null && id is not { Length: > 0 };
        for (var i = _calls.Count - 1; i >= 0; i--)
        {
            var known = _calls[i];
            if (anonymous)
            {
                if (name is { Length: > 0 } && known.Name is not null)
                {
                    break;
                }

                return known;
            }

            var sameId = id is not { Length: > 0 } || known.Id is null || known.Id == id;
            if (sameId && (index is null || known.Index == index))
            {
                return known;
            }
        }

        if (_calls.Count == CallsMax)
        {
            throw new ProviderException(
                ProviderFault.Malformed, $"The provider sent more than {CallsMax} tool calls in one answer.");
        }

        var call = new Pending { Index = index };
        _calls.Add(call);
        return call;
    }

    private sealed class Pending
    {
        internal required long? Index { get; init; }

        internal string? Id { get; set; }

        internal string? Name { get; set; }

        internal StringBuilder Arguments { get; } = new();
    }
}
