using System.Text.Json.Nodes;
using Reeve.Server.Http;
using Reeve.Server.Inference;
using Reeve.Server.Privacy;

namespace Reeve.Server.Apis.OpenAI;

/// <summary>Chat completions and models as the wire shows and takes them (wire-mesh 4).</summary>
internal static class OpenAISchemas
{
    internal static readonly OpenApiHeader[] RunHeaders =
    [
        new(Apis.RunHeaders.ReceiptId, "The id of the run's receipt."),
        new("x-mesh-upstream-cost-usd", "What the model calls cost, with six decimals."),
        new("x-mesh-margin-usd", "The operator's margin, with six decimals."),
        new("x-mesh-total-usd", "What the run is charged, with six decimals."),
    ];

    internal static readonly OpenApiSchemas All = new(
        ("ChatCompletionCreate", Open(Schema.Body(
            ["messages"], // But for a sealed prompt, which may bring them.
            ("model", Schema.Text(1, 256).About("A model, a router mode or agt_X; auto where it is left out.")),
            ("models", Schema.List(Schema.Text(1, 256), 0, 8).About("Models to go on with, in this order.")),
            ("route", Schema.Word("auto", "fallback")),
            ("messages", Schema.List(Open(Schema.Body(
                ["role"],
                ("role", Schema.Word("system", "developer", "user", "assistant", "tool")),
                ("content", Schema.Any().About("Text, or parts: text, and image_url in user messages.")),
                ("tool_calls", Schema.List(Schema.Free(), 0, 128)),
                ("tool_call_id", Schema.Text(1, 256)))), 1, ChatMessageReader.MessagesMax)),
            ("tools", Schema.List(Schema.Free(), 0, 128)),
            ("tool_choice", Schema.Any()),
            ("parallel_tool_calls", Schema.Flag()),
            ("response_format", Schema.Free()),
            ("max_tokens", Schema.Integer(1, 10_000_000)),
            ("max_completion_tokens", Schema.Integer(1, 10_000_000)),
            ("temperature", Schema.Number(0, 2)),
            ("top_p", Schema.Number(0, 1)),
            ("frequency_penalty", Schema.Number(-2, 2)),
            ("presence_penalty", Schema.Number(-2, 2)),
            ("seed", Schema.Integer(null)),
            ("stop", Schema.AnyOf(Schema.Text(1, 1_000), Schema.List(Schema.Text(1, 1_000), 0, 16))
                .About("A string, or up to 16 of them.")),
            ("stream", Schema.Flag()),
            ("stream_options", Open(Schema.Body([], ("include_usage", Schema.Flag())))),
            ("user", Schema.Text(1, 128)),
            ("metadata", Schema.Metadata()),
            ("privacy_class", Schema.Word(PrivacyClasses.Words)),
            ("privacy", Schema.Body([],
                ("mode", Schema.Word("standard", "mesh", "nitro")),
                ("encryptedPrompt", Schema.Text(1).About("sealed: and a sealed box in base64url, for the mode nitro.")),
                ("class", Schema.Word(PrivacyClasses.Words))))))),
        ("ChatCompletion", Schema.Record(
            ("id", Completion()),
            ("object", Schema.Const("chat.completion")),
            ("created", Schema.Integer()),
            ("model", Schema.Text().OrNull()),
            ("choices", Schema.List(Schema.Record(
                ("index", Schema.Integer(0, 0)),
                ("message", Schema.Record(
                    ("role", Schema.Const("assistant")),
                    ("content", Schema.Text().OrNull()),
                    ("refusal", Schema.Text().OrNull()))
                    .Maybe("tool_calls", Schema.List(Schema.Free(), 1))),
                ("finish_reason", Finish()),
                ("logprobs", Schema.Free().OrNull())), 1, 1)),
            ("usage", Usage()),
            ("routing", Routing()))
            .Maybe("privacy", Schema.Record(("attestation", Schema.Free())))),
        ("ChatCompletionEvent", Schema.OneOf(
            Schema.Record(("data", Schema.Ref("ChatCompletionChunk"))),
            Schema.Record(("data", Schema.Const("[DONE]"))),
            Schema.Record(("event", Schema.Const("privacy.attestation")), ("data", Schema.Free())),
            Schema.Record(("data", Schema.Record(("error", Schema.Record(
                ("code", Schema.Text()),
                ("message", Schema.Text()),
                ("type", Schema.Text()),
                ("param", Schema.Text().OrNull()),
                ("run_id", Schema.Id(Id.Run))))))))),
        ("ChatCompletionChunk", Schema.Record(
            ("id", Completion()),
            ("object", Schema.Const("chat.completion.chunk")),
            ("created", Schema.Integer()),
            ("model", Schema.Text().OrNull()),
            ("choices", Schema.List(Schema.Record(
                ("index", Schema.Integer(0, 0)),
                ("delta", Schema.Free()),
                ("finish_reason", Finish().OrNull())), 0, 1)))
            .Maybe("usage", Usage().OrNull())
            .Maybe("routing", Routing())),
        ("EmbeddingCreate", Open(Schema.Body(
            ["input"],
            ("model", Schema.Text(1, 256).About("A model for embeddings; mesh/embed where it is left out.")),
            ("input", Schema.AnyOf(Schema.Text(1), Schema.List(Schema.Text(1), 1, EmbeddingCreate.TextsMax))
                .About("Texts, each of at most 8,192 tokens and of what the model takes.")),
            ("dimensions", Schema.Integer(1, EmbeddingCreate.DimensionsMax)
                .About("Numbers in a vector, where the model can make shorter ones.")),
            ("encoding_format", Schema.Word("float", "base64")),
            ("user", Schema.Text(1, 128)),
            ("privacy_class", Schema.Word(PrivacyClasses.Words)),
            ("privacy", Schema.Body([],
                ("mode", Schema.Word("standard", "mesh")),
                ("class", Schema.Word(PrivacyClasses.Words))))))),
        ("EmbeddingList", Schema.Record(
            ("object", Schema.Const("list")),
            ("data", Schema.List(Schema.Record(
                ("object", Schema.Const("embedding")),
                ("index", Schema.Integer(0, EmbeddingCreate.TextsMax - 1)),
                ("embedding", Schema.AnyOf(Schema.List(Schema.Number()), Schema.Text())
                    .About("Numbers; as base64, each is four bytes of IEEE 754, little-endian."))),
                1, EmbeddingCreate.TextsMax)),
            ("model", Schema.Text().About("As it was asked for.")),
            ("usage", Schema.Record(
                ("prompt_tokens", Schema.Integer()),
                ("total_tokens", Schema.Integer()),
                ("cost", Schema.Number(0).About("In USD.")))))
            .Maybe("privacy", Schema.Record(("attestation", Schema.Free())))),
        ("Model", Schema.Record(
            ("id", Schema.Text(1)),
            ("object", Schema.Const("model")),
            ("created", Schema.Integer()),
            ("owned_by", Schema.Text()),
            ("kind", Schema.Word("router", "tier", "model", "agent")),
            ("name", Schema.Text()),
            ("context_length", Schema.Integer(1).OrNull()),
            ("max_output_tokens", Schema.Integer(1).OrNull()),
            ("modalities", Schema.Record(
                ("input", Schema.List(Schema.Text())),
                ("output", Schema.List(Schema.Text())))),
            ("capabilities", Schema.List(Schema.Text())),
            ("supported_parameters", Schema.List(Schema.Text())),
            ("pricing", Schema.Record(
                ("input_usd_per_million", Schema.Number(0)),
                ("output_usd_per_million", Schema.Number(0))).OrNull()),
            ("privacy_classes", Schema.List(Schema.Word(PrivacyClasses.Words))),
            ("built_in", Schema.Flag()),
            ("available", Schema.Flag()))),
        ("ModelList", Schema.Record(
            ("object", Schema.Const("list")),
            ("data", Schema.List(Schema.Ref("Model"))))));

    private static JsonObject Completion() => Schema.Text(pattern: "^chatcmpl-[0-9A-HJKMNP-TV-Z]{26}$");

    private static JsonObject Finish() => Schema.Word("stop", "length", "tool_calls", "content_filter");

    private static JsonObject Usage() => Schema.Record(
        ("prompt_tokens", Schema.Integer()),
        ("completion_tokens", Schema.Integer()),
        ("total_tokens", Schema.Integer()),
        ("cost", Schema.Number(0).About("In USD.")));

    private static JsonObject Routing() => Schema.Record(
        ("mode", Schema.Word([.. RouterModes.Words, "fallback", "direct", "agent"])),
        ("model", Schema.Text().OrNull()),
        ("chain", Schema.List(Schema.Text())),
        ("attempts", Schema.List(Schema.Record(
            ("model", Schema.Text()),
            ("outcome", Schema.Word("started", "completed", "failed", "interrupted", "cancelled", "abandoned")),
            ("code", Schema.Text().OrNull())))));

    /// <summary>Here members that are not known are passed over.</summary>
    private static JsonObject Open(JsonObject body)
    {
        body.Remove("additionalProperties");
        return body;
    }
}
