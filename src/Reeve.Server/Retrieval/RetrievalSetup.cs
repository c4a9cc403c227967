using Reeve.Server.Tools;

namespace Reeve.Server.Retrieval;

internal static class RetrievalSetup
{
    internal static void AddRetrieval(this IServiceCollection services)
    {
        services.AddSingleton(DocumentSchemas.All);
        services.AddSingleton<Documents>();
        services.AddSingleton<Retriever>();
        services.AddSingleton<IBuiltinTool, KnowledgeTool>();
    }
}
