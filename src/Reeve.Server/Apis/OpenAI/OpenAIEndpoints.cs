using Microsoft.Extensions.DependencyInjection.Extensions;
using Reeve.Server.Accounts;
using Reeve.Server.Http;

namespace Reeve.Server.Apis.OpenAI;

/// <summary>The endpoints in OpenAI's shape (wire-mesh 4).</summary>
internal static class OpenAIEndpoints
{
    internal static void AddOpenAI(this IServiceCollection services)
    {
        services.AddSingleton(OpenAISchemas.All);
        services.TryAddSingleton<RunStream>();
        services.AddSingleton<AwaitedRuns>();
        services.AddSingleton<ChatRuns>();
        services.AddSingleton<EmbeddingRuns>();
        services.AddSingleton<ModelList>();
    }

    internal static void MapOpenAI(this IEndpointRouteBuilder app)
    {
        app.MapPost("/v1/chat/completions", static (HttpContext context, ChatRuns runs) => runs.RunAsync(context))
            .RequireScope(ApiKeyScopes.Chat).WithTags("Chat").WithName("createChatCompletion")
            .WithSummary("Answers a conversation that the caller brings, in OpenAI's shape.")
            .Takes("ChatCompletionCreate")
            .Answers(200, "ChatCompletion", "The answer.", OpenAISchemas.RunHeaders)
            .AnswersEvents("ChatCompletionEvent", OpenAISchemas.RunHeaders[0])
            .WithMetadata(new OpenApiHeaders("run", true, OpenAISchemas.RunHeaders))
            .Misses("agent", "model")
            .Refuses(ApiErrorCodes.InsufficientFunds, ApiErrorCodes.Conflict, ApiErrorCodes.NoPermittedRoute,
                ApiErrorCodes.RunLimitExceeded, ApiErrorCodes.ProviderUnavailable);
        app.MapPost("/v1/embeddings", static (HttpContext context, EmbeddingRuns runs) => runs.RunAsync(context))
            .RequireScope(ApiKeyScopes.Chat).WithTags("Chat").WithName("createEmbedding")
            .WithSummary("Turns texts into vectors, in OpenAI's shape.")
            .Takes("EmbeddingCreate")
            .Answers(200, "EmbeddingList", "A vector for each text, in their order.", OpenAISchemas.RunHeaders)
            .WithMetadata(new OpenApiHeaders("run", true, OpenAISchemas.RunHeaders))
            .Misses("model")
            .Refuses(ApiErrorCodes.InsufficientFunds, ApiErrorCodes.Conflict, ApiErrorCodes.NoPermittedRoute,
                ApiErrorCodes.RunLimitExceeded, ApiErrorCodes.ProviderUnavailable);
        app.MapGet("/v1/models", static (HttpContext context, ModelList models) => models.ListAsync(context))
            .AnyKey().WithTags("Models").WithName("listModels")
            .WithSummary("The models, router modes and agents that the key may name.")
            .Query("type", "Only models, or only agents.", static () => Schema.Word("model", "agent"))
            .Answers(200, "ModelList", "All of them; the list is not paged.");

        // The id may hold a slash, raw or escaped.
        app.MapGet("/v1/models/{**id}",
                static (HttpContext context, string id, ModelList models) => models.ShowAsync(context, id))
            .AnyKey().WithTags("Models").WithName("getModel").WithSummary("One model, router mode or agent.")
            .Path("id", "The name as model takes it; a slash in it may stand as it is.")
            .Answers(200, "Model", "The model.").Misses("model");
    }
}
