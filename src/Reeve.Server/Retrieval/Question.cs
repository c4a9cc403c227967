using Reeve.Server.Privacy;

namespace Reeve.Server.Retrieval;

/// <summary>What is searched for, and where it may go to be turned into a vector.</summary>
/// <param name="Text">Words, in any language.</param>
/// <param name="PrivacyClass">Of what it is said in; the class of the agent's documents is added to it.</param>
/// <param name="BuiltInOnly">True for test keys: it stays in this process.</param>
internal sealed record Question(string Text, PrivacyClass PrivacyClass, bool BuiltInOnly);
