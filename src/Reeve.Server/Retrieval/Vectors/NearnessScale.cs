using System.Numerics.Tensors;

namespace Reeve.Server.Retrieval.Vectors;

/// <summary>
/// What the cosines of a model mean. Some models give texts that have nothing to do with each other 0, others 0.7, and
/// most never come near 1; so a model is asked for the vectors of questions and passages of which it is known what
/// belongs together. They are the same for all, so that a score means the same whatever is searched for.
/// </summary>
/// <param name="Floor">The mean cosine of a question and a passage that does not answer it.</param>
/// <param name="Top">The mean cosine of a question and the passage that answers it.</param>
internal sealed record NearnessScale(double Floor, double Top)
{
    /// <summary>A model that tells no more apart knows none of these words; its cosines are taken as are.</summary>
    private const double SpanMin = 0.05;

    private static readonly (string Question, string Passage)[] Pairs =
    [
        ("When does the boat go back?",
            "The ferry leaves the harbour at seven in the morning and returns before dark."),
        ("How long should bread rest before baking?",
            "Knead the dough for ten minutes, then let it rise under a cloth until it has doubled."),
        ("How many roots can a polynomial of degree two have?",
            "A quadratic equation has at most two real solutions."),
        ("Why did the judges refuse to hear the case again?",
            "The court dismissed the appeal because it had been filed too late."),
        ("What must be done after changing a car's wheel?",
            "Tighten the four bolts of the rear wheel crosswise and check the pressure of the tyre."),
        ("What helps against a high temperature?",
            "Patients with a fever above thirty-nine degrees should drink plenty of water."),
        ("Which piece was played first at the concert?",
            "The string quartet opened the evening with a slow movement in a minor key."),
        ("How much time do customers have to settle a bill?",
            "Invoices are paid within thirty days of receipt unless agreed otherwise."),
        ("How does ice shape mountains?",
            "Glaciers carve valleys as they slide and leave heaps of stones where they melt."),
        ("How did the football match end?",
            "The goalkeeper stopped the penalty in the last minute of extra time."),
        ("What can I do when the internet does not work?",
            "Reset the router by holding the button until the green light blinks."),
        ("What did people there live by in former times?",
            "In the sixteenth century the town was known for its weavers and its cloth market."),
        ("How do insects find nectar?",
            "Bees tell each other by a dance where the flowers are."),
        ("What is the author's latest book about?",
            "Her second novel follows three sisters through a summer on the coast."),
        ("Will low incomes get any higher?",
            "The minimum wage will rise in two steps over the next year."),
        ("How deep do tulips go into the ground?",
            "Plant the bulbs in autumn, twice as deep as they are thick."),
    ];

    internal static IReadOnlyList<string> Questions => [.. Pairs.Select(static pair => pair.Question)];

    internal static IReadOnlyList<string> Passages => [.. Pairs.Select(static pair => pair.Passage)];

    /// <summary>From the vectors of <see cref="Questions"/> and <see cref="Passages"/>, of length 1.</summary>
    internal static NearnessScale Of(IReadOnlyList<float[]> questions, IReadOnlyList<float[]> passages)
    {
        var (apart, together) = (0.0, 0.0);
        for (var i = 0; i < questions.Count; i++)
        {
            for (var j = 0; j < passages.Count; j++)
            {
                var cosine = TensorPrimitives.Dot<float>(questions[i], passages[j]);
                (apart, together) = i == j ? (apart, together + cosine) : (apart + cosine, together);
            }
        }

        var (floor, top) = (apart / (questions.Count * (passages.Count - 1)), together / questions.Count);
        return top - floor < SpanMin ? new NearnessScale(0, 0.5) : new NearnessScale(floor, top);
    }

    /// <summary>
    /// From 0, for what is no nearer than anything, by a half, for what is as near as an answer, towards 1: bounded,
    /// and the nearer of two stays so, however near both are.
    /// </summary>
    internal double NearnessOf(double cosine)
    {
        var times = Math.Max(0, (cosine - Floor) / (Top - Floor));
        return times / (1 + times);
    }
}
