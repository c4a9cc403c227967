using Reeve.Server.Http;
using Reeve.Server.Runs;

namespace Reeve.Server.Apis;

/// <summary>The headers by which a run tells its receipt and its price (wire-mesh 2.1).</summary>
internal static class RunHeaders
{
    internal const string ReceiptId = "x-mesh-receipt-id";

    /// <summary>The receipt's id always; the three amounts once the run has ended.</summary>
    internal static void Set(HttpContext context, RunView run)
    {
        var headers = context.Response.Headers;
        headers[ReceiptId] = run.Admitted.ReceiptId;
        if (run.IsTerminal)
        {
            headers["x-mesh-upstream-cost-usd"] = Money.Header(run.Outcome.Upstream);
            headers["x-mesh-margin-usd"] = Money.Header(run.Outcome.Margin);
            headers["x-mesh-total-usd"] = Money.Header(run.Charged);
        }
    }
}
