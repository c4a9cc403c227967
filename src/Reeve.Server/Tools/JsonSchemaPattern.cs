using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Reeve.Server.Tools;

/// <summary>
/// A pattern of a schema. It runs in linear time (no look-around, no back-references), and <c>\d</c>, <c>\w</c> and
/// <c>$</c> mean what ECMAScript means by them.
/// </summary>
internal sealed partial class JsonSchemaPattern
{
    private const int LengthMax = 512;
    private const int RepeatsMax = 1_000;
    // Of the clock, not of work: a thread that had to wait for its processor must not fail a match that is cheap.
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(1);

    private readonly Regex _regex;

    private JsonSchemaPattern(string text, Regex regex)
    {
        Text = text;
        _regex = regex;
    }

    internal string Text { get; }

    /// <summary>Null, with the reason, when the pattern cannot be used.</summary>
    internal static JsonSchemaPattern? Parse(string text, out string problem)
    {
        problem = "";
        if (text.Length > LengthMax)
        {
            problem = $"is longer than {LengthMax} characters";
            return null;
        }

        if (Repeats(text) > RepeatsMax)
        {
            problem = $"repeats more than {RepeatsMax} times in all";
            return null;
        }

        try
        {
            return new JsonSchemaPattern(text, new Regex(
                Translate(text), RegexOptions.NonBacktracking | RegexOptions.CultureInvariant, Timeout));
        }
        catch (NotSupportedException)
        {
            problem = "uses look-around, back-references or another construct that is not supported";
        }
        catch (ArgumentException)
        {
            problem = "is not a regular expression";
        }

        return null;
    }

    /// <summary>Null when the match took too long.</summary>
    internal bool? IsMatch(string value)
    {
        try
        {
            return _regex.IsMatch(value);
        }
        catch (RegexMatchTimeoutException)
        {
            return null;
        }
    }

    // Nested counts multiply, and each adds states to the automaton.
    private static double Repeats(string text)
    {
        var product = 1.0;
        foreach (Match count in Counts().Matches(text))
        {
            var max = count.Groups[2].Length > 0 ? count.Groups[2] : count.Groups[1];
            product *= Math.Max(1, double.Parse(max.ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture));
        }

        return product;
    }

    private static string Translate(string text)
    {
        var result = new StringBuilder(text.Length + 16);
        var inClass = false;
        for (var i = 0; i < text.Length; i++)
        {
            var character = text[i];
            if (character == '\\' && i + 1 < text.Length)
            {
                result.Append(Escape(text[++i], inClass));
                continue;
            }

            // .NET would read a bracket inside of a class as the beginning of a subtraction.
            result.Append(character switch
            {
                '$' when !inClass => @"\z",
                '[' when inClass => @"\[",
                _ => character.ToString(),
            });
            inClass = character == '[' || (inClass && character != ']');
        }

        return result.ToString();
    }

    private static string Escape(char escaped, bool inClass) => (escaped, inClass) switch
    {
        ('d', false) => "[0-9]",
        ('d', true) => "0-9",
        ('D', false) => "[^0-9]",
        ('w', false) => "[A-Za-z0-9_]",
        ('w', true) => "A-Za-z0-9_",
        ('W', false) => "[^A-Za-z0-9_]",
        ('/', _) => "/",
        _ => $"\\{escaped}",
    };

    [GeneratedRegex(@"\{([0-9]{1,9})(?:,([0-9]{0,9}))?\}")]
    private static partial Regex Counts();
}
