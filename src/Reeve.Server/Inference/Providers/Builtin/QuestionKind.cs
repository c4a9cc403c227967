using System.Buffers;

namespace Reeve.Server.Inference.Providers.Builtin;

/// <summary>What kind of thing a question asks for, and how well a sentence offers it.</summary>
internal sealed class QuestionKind(Func<Sentence, Dictionary<string, double>, double> bonus)
{
    internal double Bonus(Sentence sentence, Dictionary<string, double> wanted) => bonus(sentence, wanted);
}

internal static class QuestionKinds
{
    private static readonly SearchValues<string> Reasons = SearchValues.Create(
        ["because", "so that", "since ", "therefore", "in order to", "due to", "so a ", "so the "],
        StringComparison.OrdinalIgnoreCase);

    private static readonly SearchValues<string> Months = SearchValues.Create(
        [
            "January", "February", "March", "April", "June", "July", "August", "September", "October", "November",
            "December", "century", "second", "minute", "hour", " day", "week", "month", "year",
        ], StringComparison.Ordinal);

    private static readonly SearchValues<string> Numbers = SearchValues.Create(
        [
            " two ", " three ", " four ", " five ", " six ", " seven ", " eight ", " nine ", " ten ", "hundred",
            "thousand", "million", "billion", "half", "twice", "dozen", "percent",
        ], StringComparison.OrdinalIgnoreCase);

    private static readonly SearchValues<string> Amounts = SearchValues.Create(
        [
            "€", "$", "£", "¥", " euro", " dollar", " pound", " franc", " yen", " rupee", " cent ", " cents", " pence",
            "EUR", "USD", "GBP", "CHF", " free of charge", " for free",
        ], StringComparison.Ordinal);

    private static readonly QuestionKind Number = new(static (sentence, _) =>
        HasDigit(sentence.Text) || sentence.Text.AsSpan().ContainsAny(Numbers) ? 0.1 : -0.05);

    private static readonly QuestionKind Money = new(static (sentence, wanted) =>
        sentence.Text.AsSpan().ContainsAny(Amounts) ? 0.3 : Number.Bonus(sentence, wanted));

    private static readonly QuestionKind Time = new(static (sentence, _) =>
        HasDigit(sentence.Text) || sentence.Text.AsSpan().ContainsAny(Months) ? 0.1 : -0.05);

    private static readonly QuestionKind Person = new(static (sentence, _) => HasName(sentence.Text) ? 0.08 : -0.03);

    private static readonly QuestionKind Place = new(static (sentence, _) => HasName(sentence.Text)
        || sentence.Text.Contains(" in ", StringComparison.Ordinal) ? 0.05 : -0.03);

    private static readonly QuestionKind Reason = new(static (sentence, _) =>
        sentence.Text.AsSpan().ContainsAny(Reasons) ? 0.1 : 0);

    private static readonly QuestionKind Definition =
        new(static (sentence, wanted) => Defines(sentence, wanted) ? 0.2 : 0);

    internal static readonly QuestionKind Other = new(static (_, _) => 0);

    internal static QuestionKind Of(string question)
    {
        var text = $" {question.Trim().ToLowerInvariant()} ";
        return Has(text, " cost ", " cost?", " costs ", " price ", " price?", " fee ", " fee?", " how much is ",
                " how much are ", " how much does ", " how much do ") ? Money
            : Has(text, " how many ", " how much ", " how large ", " how big ", " what number ", " how old ",
                " what percentage ") ? Number
            : Has(text, " when ", " what year ", " which year ", " what date ", " how long ", " how often ",
                " what century ") ? Time
            : Has(text, " who ", " whose ", " whom ") ? Person
            : Has(text, " where ", " which country ", " what country ", " what city ") ? Place
            : Has(text, " why ", " what for ") ? Reason
            : Has(text, " what is ", " what are ", " what's ", " define ", " what does ") ? Definition
            : Other;
    }

    /// <summary>One step alone does not answer it.</summary>
    internal static bool AsksForSteps(string question) =>
        Has($" {question.Trim().ToLowerInvariant()} ", " how do ", " how can ", " how to ", " how should ", " steps ");

    private static bool Has(string text, params ReadOnlySpan<string> phrases)
    {
        foreach (var phrase in phrases)
        {
            if (text.Contains(phrase, StringComparison.Ordinal))
            {
                return true;
            }
        }

        return false;
    }

    private static bool HasDigit(string text) => text.AsSpan().ContainsAnyInRange('0', '9');

    /// <summary>A capital inside the sentence: a name, in most European languages.</summary>
    private static bool HasName(string text)
    {
        for (var i = 1; i < text.Length; i++)
        {
            if (char.IsUpper(text[i]) && text[i - 1] == ' ')
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>The sentence opens with what is asked for and goes on to say what it is or does.</summary>
    private static bool Defines(Sentence sentence, Dictionary<string, double> wanted)
    {
        var opening = sentence.Text.AsSpan(0, Math.Min(60, sentence.Text.Length));
        var verb = opening.IndexOf(" is ", StringComparison.Ordinal);
        verb = verb >= 0 ? verb : opening.IndexOf(" are ", StringComparison.Ordinal);
        return verb > 0 && TermReader.TermsOf(opening[..verb]).Exists(wanted.ContainsKey);
    }
}
