using System.CommandLine;
using Reeve.Cli;

var root = new RootCommand("Reeve: a self-hosted server that runs AI agents.")
{
    ServeCommand.Make(),
    ParseCommand.Make(),
    VerifyCommand.Make(),
    DoctorCommand.Make(),
    BackupCommand.Make(),
    RestoreCommand.Make(),
    ReceiptsCommand.Make(),
    AuditCommand.Make(),
    DocumentsCommand.Make(),
};
return await root.Parse(args).InvokeAsync(new InvocationConfiguration
{
    EnableDefaultExceptionHandler = false,
    ProcessTerminationTimeout = null, // The server handles the signals itself and drains.
});
