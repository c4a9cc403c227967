using Reeve.Server.Tools.Builtin;

namespace Reeve.Server.Tools;

internal static class ToolsSetup
{
    internal static void AddTools(this IServiceCollection services)
    {
        services.AddSingleton<ToolCatalog>();
        services.AddSingleton<IBuiltinTool, TimeTool>();
    }
}
