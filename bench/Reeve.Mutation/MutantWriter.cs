using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using static Microsoft.CodeAnalysis.CSharp.SyntaxFactory;

namespace Reeve.Mutation;

/// <summary>
/// Writes all mutants of a file into the file itself, each behind a switch: <c>a &lt; b</c> becomes
/// <c>(Is(7) ? (a &lt;= b) : a &lt; b)</c>. So one build holds them all, and the environment says which one is on.
/// </summary>
/// <remarks>
/// What declares a variable cannot stand twice; such a condition is forced instead:
/// <c>(!Is(7) &amp;&amp; x is { } y)</c>. Lines stay where they were.
/// </remarks>
internal sealed class MutantWriter(string file, int lastNumber, IReadOnlySet<int> left) : CSharpSyntaxRewriter
{
    internal const string Mark = "mutant";

    private int _number = lastNumber;

    internal List<Mutant> Mutants { get; } = [];

    public override SyntaxNode? VisitAttributeList(AttributeListSyntax node) => node;

    // What endpoints say of themselves is compared with the API's description by tests of its own.
    public override SyntaxNode? VisitMethodDeclaration(MethodDeclarationSyntax node) =>
        node.Identifier.Text.StartsWith("Map", StringComparison.Ordinal)
        && node.ParameterList.Parameters is [{ Type: IdentifierNameSyntax type }]
        && type.Identifier.Text == "IEndpointRouteBuilder"
            ? node
            : base.VisitMethodDeclaration(node);

    public override SyntaxNode? VisitParameter(ParameterSyntax node) => node;

    public override SyntaxNode? VisitEnumMemberDeclaration(EnumMemberDeclarationSyntax node) => node;

    public override SyntaxNode? VisitCaseSwitchLabel(CaseSwitchLabelSyntax node) => node;

    public override SyntaxNode? VisitConstantPattern(ConstantPatternSyntax node) => node;

    public override SyntaxNode? VisitRelationalPattern(RelationalPatternSyntax node) => node;

    public override SyntaxNode? VisitFieldDeclaration(FieldDeclarationSyntax node) =>
        node.Modifiers.Any(SyntaxKind.ConstKeyword) ? node : base.VisitFieldDeclaration(node);

    public override SyntaxNode? VisitLocalDeclarationStatement(LocalDeclarationStatementSyntax node) =>
        node.IsConst ? node : base.VisitLocalDeclarationStatement(node);

    public override SyntaxNode? VisitBinaryExpression(BinaryExpressionSyntax node)
    {
        if (Changes.IsConstantText(node))
        {
            return ChooseText(node);
        }

        var visited = (BinaryExpressionSyntax)base.VisitBinaryExpression(node)!;
        if (node.Kind() is SyntaxKind.LogicalAndExpression or SyntaxKind.LogicalOrExpression)
        {
            visited = visited.WithLeft(Condition(node.Left, visited.Left))
                .WithRight(Condition(node.Right, visited.Right));
        }

        return Choose(node, visited, Changes.OfBinary(node));
    }

    public override SyntaxNode? VisitIsPatternExpression(IsPatternExpressionSyntax node) =>
        Choose(node, (ExpressionSyntax)base.VisitIsPatternExpression(node)!, [Changes.Not(node)]);

    public override SyntaxNode? VisitPrefixUnaryExpression(PrefixUnaryExpressionSyntax node) =>
        Choose(node, (ExpressionSyntax)base.VisitPrefixUnaryExpression(node)!, Changes.OfPrefix(node));

    public override SyntaxNode? VisitLiteralExpression(LiteralExpressionSyntax node) =>
        Choose(node, node, Changes.OfLiteral(node));

    public override SyntaxNode? VisitInvocationExpression(InvocationExpressionSyntax node) =>
        node.Expression is IdentifierNameSyntax { Identifier.Text: "nameof" }
            ? node
            : Choose(node, (ExpressionSyntax)base.VisitInvocationExpression(node)!, Changes.OfCall(node));

    public override SyntaxNode? VisitMemberAccessExpression(MemberAccessExpressionSyntax node) =>
        Choose(node, (ExpressionSyntax)base.VisitMemberAccessExpression(node)!, Changes.OfMember(node));

    public override SyntaxNode? VisitConditionalExpression(ConditionalExpressionSyntax node)
    {
        var visited = (ConditionalExpressionSyntax)base.VisitConditionalExpression(node)!;
        return visited.WithCondition(Condition(node.Condition, visited.Condition));
    }

    public override SyntaxNode? VisitIfStatement(IfStatementSyntax node)
    {
        var visited = (IfStatementSyntax)base.VisitIfStatement(node)!;
        return visited.WithCondition(Condition(node.Condition, visited.Condition));
    }

    public override SyntaxNode? VisitWhenClause(WhenClauseSyntax node)
    {
        var visited = (WhenClauseSyntax)base.VisitWhenClause(node)!;
        return visited.WithCondition(Condition(node.Condition, visited.Condition));
    }

    public override SyntaxNode? VisitInitializerExpression(InitializerExpressionSyntax node)
    {
        var visited = (InitializerExpressionSyntax)base.VisitInitializerExpression(node)!;
        for (var i = 0; i < node.Expressions.Count; i++)
        {
            if (node.Expressions[i] is AssignmentExpressionSyntax { Right: not LiteralExpressionSyntax and var value }
                && visited.Expressions[i] is AssignmentExpressionSyntax assignment)
            {
                var chosen = Choose(value, assignment.Right, [Changes.Default]);
                visited = visited.WithExpressions(
                    visited.Expressions.Replace(assignment, assignment.WithRight(chosen)));
            }
        }

        return visited;
    }

    public override SyntaxNode? VisitExpressionStatement(ExpressionStatementSyntax node) =>
        Leave(node, (StatementSyntax)base.VisitExpressionStatement(node)!);

    public override SyntaxNode? VisitThrowStatement(ThrowStatementSyntax node) =>
        Leave(node, (StatementSyntax)base.VisitThrowStatement(node)!);

    public override SyntaxNode? VisitContinueStatement(ContinueStatementSyntax node) => Leave(node, node);

    public override SyntaxNode? VisitReturnStatement(ReturnStatementSyntax node) =>
        Leave(node, (StatementSyntax)base.VisitReturnStatement(node)!);

    /// <summary>
    /// A condition that no other change reaches is turned round, or forced when it declares something.
    /// </summary>
    private ExpressionSyntax Condition(ExpressionSyntax node, ExpressionSyntax visited)
    {
        if (node is IsPatternExpressionSyntax or InvocationExpressionSyntax && Changes.Declares(node))
        {
            return Force(node, visited);
        }

        return node is InvocationExpressionSyntax or IdentifierNameSyntax or MemberAccessExpressionSyntax
            or AwaitExpressionSyntax
            ? Choose(node, visited, [Changes.Not(node)])
            : visited;
    }

    private ExpressionSyntax Force(ExpressionSyntax node, ExpressionSyntax visited)
    {
        var isNegative = node is IsPatternExpressionSyntax { Pattern: UnaryPatternSyntax };
        return Next(node, isNegative ? "true" : "false") is { } number
            ? Marked(number, node, isNegative
                ? BinaryExpression(SyntaxKind.LogicalOrExpression, Is(number), visited.WithoutTrivia())
                : BinaryExpression(SyntaxKind.LogicalAndExpression,
                    PrefixUnaryExpression(SyntaxKind.LogicalNotExpression, Is(number)), visited.WithoutTrivia()))
            : visited;
    }

    private ExpressionSyntax Choose(ExpressionSyntax node, ExpressionSyntax visited, IEnumerable<string> changes)
    {
        if (Changes.Declares(node))
        {
            return visited;
        }

        var result = visited;
        foreach (var change in changes)
        {
            if (Next(node, change) is { } number)
            {
                result = Marked(number, node, Either(number, change, result));
            }
        }

        return result;
    }

    /// <summary>Each text stays a constant: statements are prepared once for each string object.</summary>
    private ExpressionSyntax ChooseText(BinaryExpressionSyntax node)
    {
        ExpressionSyntax result = node;
        foreach (var literal in node.DescendantNodes().OfType<LiteralExpressionSyntax>())
        {
            foreach (var change in Changes.OfLiteral(literal))
            {
                if (Next(literal, change) is { } number)
                {
                    var text = node.ReplaceNode(literal, ParseExpression(change).WithTriviaFrom(literal));
                    result = Marked(number, node, Either(number, text.ToString(), result));
                }
            }
        }

        return result;
    }

    private static ConditionalExpressionSyntax Either(int number, string change, ExpressionSyntax otherwise) =>
        ConditionalExpression(Is(number),
            Token(TriviaList(Space), SyntaxKind.QuestionToken, TriviaList(Space)),
            ParenthesizedExpression(ParseExpression(change)),
            Token(TriviaList(Space), SyntaxKind.ColonToken, TriviaList(Space)),
            ParenthesizedExpression(otherwise.WithoutTrivia()));

    private StatementSyntax Leave(StatementSyntax node, StatementSyntax visited)
    {
        // A return that ends a whole method cannot be left out, nor what may be the first value of a variable.
        if (Changes.Declares(node) || Changes.SetsVariable(node) || Changes.IsForPeople(node)
            || node.Parent is not BlockSyntax block
            || (node is not ExpressionStatementSyntax && !Changes.IsLeavable(block))
            || Next(node, "nothing") is not { } number)
        {
            return visited;
        }

        return IfStatement(PrefixUnaryExpression(SyntaxKind.LogicalNotExpression, Is(number)),
                Block(visited.WithoutTrivia()))
            .WithTriviaFrom(node).WithAdditionalAnnotations(new SyntaxAnnotation(Mark, $"{number}"));
    }

    /// <summary>The number of a new mutant; null when it is one of those that are left out.</summary>
    private int? Next(SyntaxNode node, string change)
    {
        _number++;
        Mutants.Add(new Mutant(_number, file, node.GetLocation().GetLineSpan().StartLinePosition.Line + 1,
            OneLine(node.WithoutTrivia().ToString()), OneLine(change)));
        return left.Contains(_number) ? null : _number;
    }

    private static ParenthesizedExpressionSyntax Marked(int number, SyntaxNode node, ExpressionSyntax inner) =>
        ParenthesizedExpression(inner).WithTriviaFrom(node)
            .WithAdditionalAnnotations(new SyntaxAnnotation(Mark, $"{number}"));

    private static ExpressionSyntax Is(int number) =>
        ParseExpression($"global::Reeve.Server.MutantSwitch.Is({number})");

    private static string OneLine(string text) =>
        string.Join(' ', text.Split((char[])[' ', '\n', '\r'], StringSplitOptions.RemoveEmptyEntries));
}
