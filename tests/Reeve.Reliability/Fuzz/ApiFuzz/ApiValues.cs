using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using CsCheck;

namespace Reeve.Reliability.Fuzz.ApiFuzz;

/// <summary>Values that fit a schema of the document, and values of every kind that need not fit anything.</summary>
internal sealed class ApiValues(ApiSpec spec, ApiIds ids)
{
    private const int LongTextMax = 9_000;

    private static readonly string[] Letters =
    [
        "a", "b", "Z", "7", " ", "-", "_", ".", "é", "東", "😀", "\"", "\\", "/", "<", "&", "'", "{{user.name}}", "%",
        "\n", "\t", "\u0001", "\u007f", "\u2028", "\u200b", "\ufeff", "$", "@", "--", ";", "\u0301",
    ];

    private static readonly Gen<string> Word = Gen.String[Gen.Char["abcdefghijklmnopqrstuvwxyz"], 3, 10];

    private static readonly Gen<string> AnyText = Gen.Int[0, Letters.Length - 1].Array[1, 24]
        .Select(static indexes => string.Concat(indexes.Select(static index => Letters[index])));

    private static readonly Gen<JsonNode?> Leaf = Gen.OneOf<JsonNode?>(
        Gen.OneOf("", "0", "null", "true", "[]", "1e400", "\u0301").Select(static text => (JsonNode?)text),
        AnyText.Select(static text => (JsonNode?)text),
        Gen.OneOf(
            0L, -1, 1, 255, 65_536, int.MaxValue, int.MinValue, 1L << 53, long.MaxValue, long.MinValue)
            .Select(static number => (JsonNode?)number),
        Gen.OneOf(0.1, -0.0, 1.5, 1e-7, 1e300, double.MaxValue, double.Epsilon)
            .Select(static number => (JsonNode?)number),
        Gen.Bool.Select(static value => (JsonNode?)value), Gen.Const((JsonNode?)null));

    /// <summary>Any JSON value, a few levels deep.</summary>
    internal static readonly Gen<JsonNode?> Anything = Gen.Frequency<JsonNode?>(
        (6, Leaf),
        (1, Leaf.Array[0, 3].Select(static items => (JsonNode?)new JsonArray(items))),
        (1, Gen.Select(Word, Leaf).Select(static (name, value) => (JsonNode?)new JsonObject { [name] = value })),
        (1, Gen.Const(0).Select(static _ => (JsonNode?)new JsonArray(new JsonArray(new JsonObject())))));

    /// <summary>A value that fits; <paramref name="name"/> says what it should name where it names something.</summary>
    internal Gen<JsonNode?> Of(JsonElement schema, string name)
    {
        schema = spec.Resolve(schema);
        if (schema.TryGetProperty("anyOf", out var choices))
        {
            return Gen.OneOf<JsonNode?>([.. choices.EnumerateArray().Select(one => Of(one, name))]);
        }

        if (schema.TryGetProperty("enum", out var words))
        {
            var all = words.EnumerateArray().Select(static one => one.GetRawText()).ToArray();
            return Gen.OneOf(all).Select(static one => JsonNode.Parse(one));
        }

        var types = SchemaCheck.Types(schema);
        if (types is ["null"])
        {
            return Gen.Const((JsonNode?)null);
        }

        var main = types.FirstOrDefault(static type => type != "null") ?? "object";
        var value = ids.Hint(name, schema) ?? main switch
        {
            "string" => Text(schema).Select(static text => (JsonNode?)text),
            "integer" => Integer(schema),
            "number" => Number(schema),
            "boolean" => Gen.Bool.Select(static flag => (JsonNode?)flag),
            "array" => new Items(Of(schema.GetProperty("items"), name), schema),
            _ when schema.TryGetProperty("properties", out var properties) => new Members(this, schema, properties),
            _ => Free(),
        };
        return types.Contains("null") ? Gen.Frequency<JsonNode?>((5, value), (1, Gen.Const((JsonNode?)null))) : value;
    }

    /// <summary>Text of a length that the schema allows, often exactly the least or the most.</summary>
    private static Gen<string> Text(JsonElement schema)
    {
        var min = schema.TryGetProperty("minLength", out var least) ? least.GetInt32() : 0;
        var max = schema.TryGetProperty("maxLength", out var most) ? most.GetInt32() : 40;
        var pattern = schema.TryGetProperty("pattern", out var one) ? one.GetString() : null;
        if (pattern is "^[a-z0-9][a-z0-9-]{0,62}$" or "^[a-z][a-z0-9_]{0,47}$")
        {
            return Gen.Select(Word, Gen.Int[0, 9_999]).Select(static (word, number) => word + number);
        }

        if (pattern is not (null or "\\S"))
        {
            throw new InvalidOperationException($"No text is made for the pattern {pattern} yet.");
        }

        var length = Gen.Frequency<int>(
            (8, Gen.Int[Math.Max(min, 1), Math.Min(max, 24)]), (1, Gen.Const(min)),
            (1, Gen.Const(max <= LongTextMax ? max : Math.Max(min, 1))));
        return Gen.Select(length, AnyText).Select((count, text) => Exactly(count, pattern is null ? text : "x" + text));
    }

    internal static string Exactly(int length, string text)
    {
        var runes = text.EnumerateRunes().ToList();
        var built = new StringBuilder();
        for (var i = 0; i < length; i++)
        {
            built.Append(runes[i % runes.Count]);
        }

        return built.ToString();
    }

    private static Gen<JsonNode?> Integer(JsonElement schema)
    {
        var min = schema.TryGetProperty("minimum", out var least) ? least.GetInt64() : -1_000;
        var max = schema.TryGetProperty("maximum", out var most) ? most.GetInt64() : 100_000;
        return Gen.Frequency<long>((3, Gen.Long[min, max]), (1, Gen.Const(min)), (1, Gen.Const(max)))
            .Select(static number => (JsonNode?)number);
    }

    private static Gen<JsonNode?> Number(JsonElement schema)
    {
        var min = schema.TryGetProperty("minimum", out var least) ? least.GetDecimal() : -1_000;
        var max = schema.TryGetProperty("maximum", out var most) ? most.GetDecimal() : 100_000;
        // Two decimals do everywhere; the ends of the range are numbers of their own.
        return Gen.Frequency<decimal>(
            (3, Gen.Decimal[min, Math.Min(max, 1_000)].Select(number => Math.Clamp(Math.Round(number, 2), min, max))),
            (1, Gen.Const(min)), (1, Gen.Const(max))).Select(static number => (JsonNode?)number);
    }

    private static Gen<JsonNode?> Free() => Gen.Select(Word, Leaf).Array[0, 4].Select(static members =>
    {
        var made = new JsonObject();
        foreach (var (name, value) in members)
        {
            made[name] = value?.DeepClone();
        }

        return (JsonNode?)made;
    });

    internal static string Plain(JsonNode? value) => value switch
    {
        null => "null",
        JsonValue one when one.TryGetValue<string>(out var text) => text,
        _ => value.ToJsonString(),
    };

    internal static string Seed(uint stream, ulong seed) =>
        string.Create(CultureInfo.InvariantCulture, $"{stream}/{seed}");

    private sealed class Members(ApiValues values, JsonElement schema, JsonElement properties) : Gen<JsonNode?>
    {
        private readonly HashSet<string> _required = [.. schema.GetProperty("required").EnumerateArray()
            .Select(static one => one.GetString()!)];

        private readonly List<(string Name, Gen<JsonNode?> Value)> _members = [.. properties.EnumerateObject()
            .Select(one => (one.Name, values.Of(one.Value, one.Name)))];

        public override JsonNode? Generate(PCG pcg, Size? min, out Size size)
        {
            var made = new JsonObject();
            var sparse = pcg.Next(3) == 0;
            foreach (var (name, value) in _members)
            {
                if (_required.Contains(name) || (!sparse && pcg.Next(3) == 0))
                {
                    made[name] = value.Generate(pcg, null, out _);
                }
            }

            size = new Size(0);
            return made;
        }
    }

    private sealed class Items(Gen<JsonNode?> item, JsonElement schema) : Gen<JsonNode?>
    {
        private readonly uint _min = schema.TryGetProperty("minItems", out var least) ? least.GetUInt32() : 0;

        public override JsonNode? Generate(PCG pcg, Size? min, out Size size)
        {
            var made = new JsonArray();
            for (var count = _min + pcg.Next(3); count > 0; count--)
            {
                made.Add(item.Generate(pcg, null, out _));
            }

            size = new Size(0);
            return made;
        }
    }
}
