using System.Globalization;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Reeve.Mutation;

/// <summary>What may stand instead of an expression. Not everything compiles; what does not is left out.</summary>
internal static class Changes
{
    internal const string Default = "default!";

    private static readonly Dictionary<SyntaxKind, string[]> Operators = new()
    {
        [SyntaxKind.AddExpression] = ["-"],
        [SyntaxKind.SubtractExpression] = ["+"],
        [SyntaxKind.MultiplyExpression] = ["/"],
        [SyntaxKind.DivideExpression] = ["*"],
        [SyntaxKind.ModuloExpression] = ["*"],
        [SyntaxKind.LessThanExpression] = ["<=", ">="],
        [SyntaxKind.LessThanOrEqualExpression] = ["<", ">"],
        [SyntaxKind.GreaterThanExpression] = [">=", "<="],
        [SyntaxKind.GreaterThanOrEqualExpression] = [">", "<"],
        [SyntaxKind.EqualsExpression] = ["!="],
        [SyntaxKind.NotEqualsExpression] = ["=="],
        [SyntaxKind.LogicalAndExpression] = ["||"],
        [SyntaxKind.LogicalOrExpression] = ["&&"],
        [SyntaxKind.RightShiftExpression] = ["<<"],
        [SyntaxKind.ExclusiveOrExpression] = ["&"],
        [SyntaxKind.BitwiseAndExpression] = ["|"],
    };

    private static readonly Dictionary<string, string> Calls = new(StringComparer.Ordinal)
    {
        ["Min"] = "Max",
        ["Max"] = "Min",
        ["Ceiling"] = "Floor",
        ["Floor"] = "Ceiling",
        ["Any"] = "All",
        ["All"] = "Any",
    };

    internal static bool Declares(SyntaxNode node) => node.DescendantNodesAndSelf(static inner =>
            inner is not LambdaExpressionSyntax)
        .Any(static inner => inner is SingleVariableDesignationSyntax);

    /// <summary>What follows an exit may need a variable that is only there when the condition does not hold.</summary>
    internal static bool IsLeavable(BlockSyntax block) => block.Parent is IfStatementSyntax { Condition: var condition }
        && !(Declares(condition) && condition.ToString().Contains("is not", StringComparison.Ordinal));

    /// <summary>A line of the log, or a place where a fault can be put; neither does anything by itself.</summary>
    internal static bool IsForPeople(StatementSyntax node) =>
        node.ToString() is ['L', 'o', 'g', >= 'A' and <= 'Z', ..]
        || node.ToString().StartsWith("failpoints.Hit(", StringComparison.Ordinal);

    internal static bool SetsVariable(StatementSyntax node) => node is ExpressionStatementSyntax
    {
        Expression: AssignmentExpressionSyntax
        {
            RawKind: (int)SyntaxKind.SimpleAssignmentExpression,
            Left: IdentifierNameSyntax { Identifier.Text: [>= 'a' and <= 'z', ..] },
        },
    };

    internal static string Not(ExpressionSyntax node) => $"!({node.WithoutTrivia()})";

    internal static IEnumerable<string> OfBinary(BinaryExpressionSyntax node)
    {
        if (node.IsKind(SyntaxKind.CoalesceExpression))
        {
            return node.Right is ThrowExpressionSyntax ? [] : [node.Right.WithoutTrivia().ToString()];
        }

        return !Operators.TryGetValue(node.Kind(), out var others) || IsText(node)
            ? []
            : others.Select(other => $"{node.Left} {other} {node.Right}");
    }

    internal static IEnumerable<string> OfPrefix(PrefixUnaryExpressionSyntax node) =>
        node.Kind() is SyntaxKind.LogicalNotExpression or SyntaxKind.UnaryMinusExpression
            or SyntaxKind.BitwiseNotExpression
            ? [node.Operand.ToString()]
            : [];

    internal static IEnumerable<string> OfLiteral(LiteralExpressionSyntax node) => node.Kind() switch
    {
        SyntaxKind.TrueLiteralExpression => ["false"],
        SyntaxKind.FalseLiteralExpression => ["true"],
        SyntaxKind.NumericLiteralExpression when int.TryParse(
            node.Token.Text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) => [$"{number + 1}"],
        SyntaxKind.StringLiteralExpression when SqlChanges.IsSql(node.Token.ValueText) =>
            SqlChanges.Of(node.Token.Text),
        SyntaxKind.StringLiteralExpression when node.Token.ValueText is { Length: > 0 } text
            && !text.Contains(' ', StringComparison.Ordinal) => ["\"\""], // A sentence is for people.
        _ => [],
    };

    internal static IEnumerable<string> OfCall(InvocationExpressionSyntax node) =>
        node.Expression is MemberAccessExpressionSyntax member
        && Calls.TryGetValue(member.Name.Identifier.Text, out var other)
            ? [$"{member.Expression}.{other}{node.ArgumentList}"]
            : [];

    internal static IEnumerable<string> OfMember(MemberAccessExpressionSyntax node) => node.ToString() switch
    {
        "StringComparison.OrdinalIgnoreCase" => ["StringComparison.Ordinal"],
        _ => [],
    };

    internal static bool IsConstantText(BinaryExpressionSyntax node) => IsText(node)
        && node.DescendantNodes().All(static inner => inner is IdentifierNameSyntax
            || inner.IsKind(SyntaxKind.StringLiteralExpression) || inner.IsKind(SyntaxKind.AddExpression));

    // A sum of strings.
    private static bool IsText(BinaryExpressionSyntax node) => node.IsKind(SyntaxKind.AddExpression)
        && node.DescendantNodes().Any(static inner => inner.IsKind(SyntaxKind.StringLiteralExpression)
            || inner is InterpolatedStringExpressionSyntax);
}
