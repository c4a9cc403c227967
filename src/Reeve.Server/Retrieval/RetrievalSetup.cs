using Reeve.Server.Retrieval.Parsing.Child;
using Reeve.Server.Retrieval.Vectors;
using Reeve.Server.Retrieval.Web;
using Reeve.Server.Storage;
using Reeve.Server.Tools;

namespace Reeve.Server.Retrieval;

internal static class RetrievalSetup
{
    internal static void AddRetrieval(this IServiceCollection services)
    {
        services.AddSingleton(DocumentSchemas.All);
        services.AddSingleton<DataPreparation>(SearchIndexRebuild.Prepare);
        services.AddSingleton(ParserProgram.Own());
        services.AddSingleton<ParserOptions>();
        services.AddSingleton<Parser>();
        services.AddSingleton<ReadyDocuments>();
        services.AddSingleton<DocumentWriter>();
        services.AddSingleton<WaitingFiles>();
        services.AddSingleton<DocumentJobs>();
        services.AddHostedService(static provider => provider.GetRequiredService<DocumentJobs>());
        services.AddSingleton<Documents>();
        services.AddSingleton<WebFetcher>();
        services.AddSingleton<WebPages>();
        services.AddHostedService<PageRefresher>();
        services.AddSingleton<Embedder>();
        services.AddSingleton<DataPreparation>(static provider => provider.GetRequiredService<Embedder>().Prepare);
        services.AddSingleton<VectorIndexes>();
        services.AddSingleton<VectorSearch>();
        services.AddHostedService<VectorFiller>();
        services.AddSingleton<Retriever>();
        services.AddSingleton<IBuiltinTool, KnowledgeTool>();
    }
}
