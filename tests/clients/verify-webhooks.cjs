// Reads lines of {secret, headers, body} and says of each whether the library of Standard Webhooks takes it.
const { Webhook } = require("standardwebhooks");

let input = "";
process.stdin.on("data", (piece) => (input += piece));
process.stdin.on("end", () => {
  for (const line of input.split("\n").filter((one) => one.length > 0)) {
    const { secret, headers, body } = JSON.parse(line);
    try {
      const event = new Webhook(secret).verify(body, headers);
      console.log(`good ${event.id}`);
    } catch (error) {
      console.log(`bad ${error.message}`);
    }
  }
});
