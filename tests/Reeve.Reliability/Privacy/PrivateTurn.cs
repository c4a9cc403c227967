using Reeve.Server.Privacy;

namespace Reeve.Reliability.Privacy;

/// <summary>
/// Something that a caller said or a document says: a mark that tells where it comes from, the class that it has at
/// least, and the personal data of all that may be sent with it.
/// </summary>
internal sealed record PrivateTurn(string Mark, PrivacyClass Class, IReadOnlyCollection<string> Data);
