// Talks to a Reeve server with the clients that people have for OpenAI's API, and prints what each of them got.
import OpenAI from "openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";

const [url, key, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}v1`, apiKey: key, maxRetries: 0 });
const messages = [{ role: "user", content: "Hi" }];
const weather = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: { type: "object", properties: { city: { type: "string" } } },
  },
};
const say = (name, value) => console.log(JSON.stringify({ name, value }));

const whole = await client.chat.completions.create({ model, messages });
say("whole", [whole.choices[0].message.content, whole.choices[0].finish_reason, whole.usage.total_tokens]);

let text = "";
let usage = null;
const stream = await client.chat.completions.create({
  model, messages, stream: true, stream_options: { include_usage: true },
});
for await (const chunk of stream) {
  text += chunk.choices[0]?.delta?.content ?? "";
  usage = chunk.usage ?? usage;
}
say("stream", [text, usage.total_tokens]);

const asked = await client.chat.completions.create({ model, messages, tools: [weather], tool_choice: "required" });
const call = asked.choices[0].message.tool_calls[0];
say("tool", [asked.choices[0].finish_reason, call.function.name, JSON.parse(call.function.arguments).city]);

const tool = {
  type: "function",
  function: { ...weather.function, parse: JSON.parse, function: ({ city }) => `sun in ${city}` },
};
const runner = client.chat.completions.runTools({ model, messages, tools: [tool], stream: true });
say("runTools", await runner.finalContent());

try {
  await client.chat.completions.create({ model: "mesh/none", messages });
} catch (error) {
  say("unknown", [error.constructor.name, error.code, error.param]);
}

say("models", (await client.models.list()).data.some((one) => one.id === model));

try {
  for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
    void chunk;
  }
  say("broken", "ended as if it were whole");
} catch (error) {
  say("broken", error.code ?? error.error?.code ?? error.message);
}

const input = ["cat", "Grüße"];
const usual = await client.embeddings.create({ model: "mesh/house-e", input }); // Asks for base64 and reads it.
const plain = await client.embeddings.create({ model: "mesh/house-e", input, encoding_format: "float", dimensions: 2 });
const same = plain.data.every((one, at) =>
  one.embedding.every((number, place) => Math.fround(number) === usual.data[at].embedding[place]));
say("embeddings", [usual.data.map((one) => one.embedding.length), plain.data[1].embedding.length, same,
  usual.usage.total_tokens]);

const provider = createOpenAICompatible({ name: "reeve", baseURL: `${url}v1`, apiKey: key });
const generated = await generateText({ model: provider(model), prompt: "Hi", maxRetries: 0 });
say("generateText", [generated.text, generated.finishReason]);

let streamed = "";
for await (const piece of streamText({ model: provider(model), prompt: "Hi", maxRetries: 0 }).textStream) {
  streamed += piece;
}
say("streamText", streamed);
