using System.Text.Json;

namespace Reeve.Server.Tools;

/// <summary>Equality of values as JSON Schema means it: 1 equals 1.0, the order of members is free.</summary>
internal sealed class JsonValueComparer : IEqualityComparer<JsonElement>
{
    internal static readonly JsonValueComparer Instance = new();

    public bool Equals(JsonElement x, JsonElement y)
    {
        if (x.ValueKind != y.ValueKind)
        {
            return false;
        }

        switch (x.ValueKind)
        {
            case JsonValueKind.Number:
                return JsonNumber.Compare(x, y) == 0;
            case JsonValueKind.String:
                return x.ValueEquals(y.GetString());
            case JsonValueKind.Array:
                return x.GetArrayLength() == y.GetArrayLength()
                    && x.EnumerateArray().Zip(y.EnumerateArray()).All(pair => Equals(pair.First, pair.Second));
            case JsonValueKind.Object:
                var members = Members(x);
                var others = Members(y);
                return members.Count == others.Count && members.All(member =>
                    others.TryGetValue(member.Key, out var other) && Equals(member.Value, other));
            default:
                return true;
        }
    }

    public int GetHashCode(JsonElement obj)
    {
        var hash = new HashCode();
        hash.Add(obj.ValueKind);
        switch (obj.ValueKind)
        {
            case JsonValueKind.Number:
                hash.Add(JsonNumber.HashOf(obj));
                break;
            case JsonValueKind.String:
                hash.Add(obj.GetString(), StringComparer.Ordinal);
                break;
            case JsonValueKind.Array:
                foreach (var item in obj.EnumerateArray())
                {
                    hash.Add(GetHashCode(item));
                }

                break;
            case JsonValueKind.Object:
                // Added up, so that the order does not matter.
                hash.Add(obj.EnumerateObject().Aggregate(0, (sum, member) =>
                    unchecked(sum + HashCode.Combine(member.Name, GetHashCode(member.Value)))));
                break;
            default:
                break;
        }

        return hash.ToHashCode();
    }

    private static Dictionary<string, JsonElement> Members(JsonElement value)
    {
        var members = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        foreach (var member in value.EnumerateObject())
        {
            members[member.Name] = member.Value;
        }

        return members;
    }
}
