using System.Text.Json;
using Reeve.Server.Http;
using Reeve.Server.Privacy;
using Reeve.Server.Retrieval;
using Reeve.Server.Runs;
using Reeve.Server.Storage;

namespace Reeve.Server.Webhooks;

/// <summary>A run as the API shows it.</summary>
internal delegate ReadOnlyMemory<byte> ShowRun(RunView run);

/// <summary>
/// Bodies of deliveries, made from what is stored when they are sent. What is confidential, too large or erased
/// meanwhile is named and not shown.
/// </summary>
internal sealed class WebhookBodies(RunReader runs, Documents documents, ShowRun showRun, CreditOptions credits)
{
    internal const int BytesMax = 20_000;

    internal ReadOnlyMemory<byte> Of(WebhookDelivery delivery)
    {
        var data = Data(delivery);
        var whole = ApiJson.Bytes((delivery, Write: data.Whole ?? data.Short), Write);
        return whole.Length <= BytesMax ? whole : ApiJson.Bytes((delivery, Write: data.Short), Write);
    }

    private static void Write(Utf8JsonWriter writer, (WebhookDelivery Delivery, Action<Utf8JsonWriter> Write) what)
    {
        var delivery = what.Delivery;
        writer.WriteStartObject();
        writer.WriteString("id"u8, delivery.EventId);
        writer.WriteString("type"u8, delivery.Type);
        writer.WriteString("created_at"u8, delivery.CreatedAt.UtcDateTime.ToString(
            WireTimeConverter.Format, System.Globalization.CultureInfo.InvariantCulture));
        writer.WriteNumber("sequence"u8, delivery.Sequence);
        writer.WritePropertyName("data"u8);
        what.Write(writer);
        writer.WriteEndObject();
    }

    private (Action<Utf8JsonWriter>? Whole, Action<Utf8JsonWriter> Short) Data(WebhookDelivery delivery) =>
        delivery.Type switch
        {
            WebhookEvents.Test => (null, writer => WriteIds(writer, ("webhook_id", delivery.Subject))),
            WebhookEvents.BalanceLow => (null, writer => WriteBalance(writer, delivery)),
            WebhookEvents.DocumentReady or WebhookEvents.DocumentFailed => Document(delivery),
            _ => Run(delivery),
        };

    private (Action<Utf8JsonWriter>? Whole, Action<Utf8JsonWriter> Short) Run(WebhookDelivery delivery)
    {
        var status = delivery.Type["run.".Length..];
        if (FindRun(delivery) is not { } run)
        {
            return (null, writer => WriteIds(writer, ("run_id", delivery.Subject), ("status", status)));
        }

        return (run.IsSealed || run.PrivacyClass == PrivacyClass.Confidential.Word()
                ? null
                : writer => writer.WriteRawValue(showRun(run).Span, skipInputValidation: true),
            writer => WriteIds(writer, ("id", run.Admitted.MessageId), ("agent_id", run.Admitted.AgentId),
                ("conversation_id", run.Admitted.ConversationId), ("run_id", run.RunId), ("status", run.Status),
                ("receipt_id", run.IsTerminal ? run.Admitted.ReceiptId : null)));
    }

    private RunView? FindRun(WebhookDelivery delivery)
    {
        try
        {
            return runs.View(delivery.Tenant, delivery.Subject);
        }
        catch (ApiException error) when (error.Code == ApiErrorCodes.NotFound)
        {
            return null; // Erased while it was read.
        }
        catch (StorageException error) when (error.Fault == StorageFault.Damaged)
        {
            return null; // That it ended is still true.
        }
    }

    private (Action<Utf8JsonWriter>? Whole, Action<Utf8JsonWriter> Short) Document(WebhookDelivery delivery)
    {
        void Short(Utf8JsonWriter writer) => WriteIds(
            writer, ("id", delivery.Subject), ("status", delivery.Type["document.".Length..]));

        Document document;
        try
        {
            document = documents.Get(delivery.Tenant, delivery.Subject);
        }
        catch (ApiException error) when (error.Code == ApiErrorCodes.NotFound)
        {
            return (null, Short);
        }

        return (document.IsSealed || document.PrivacyClass == PrivacyClass.Confidential
            ? null
            : writer => DocumentContracts.Write(writer, document), Short);
    }

    private void WriteBalance(Utf8JsonWriter writer, WebhookDelivery delivery)
    {
        writer.WriteStartObject();
        writer.WriteString("account_id"u8, delivery.Subject);
        writer.WriteNumber("balanceUsd"u8, Money.Usd(delivery.Available ?? 0));
        writer.WriteNumber("low_balance_usd"u8, credits.LowBalanceUsd);
        writer.WriteEndObject();
    }

    private static void WriteIds(Utf8JsonWriter writer, params ReadOnlySpan<(string Name, string? Value)> members)
    {
        writer.WriteStartObject();
        foreach (var (name, value) in members)
        {
            writer.WriteString(name, value);
        }

        writer.WriteEndObject();
    }
}
