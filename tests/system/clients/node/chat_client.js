// A chat client on MQTT.js, steered by a test.
//
// Commands come as JSON lines on standard input, events go as JSON lines to standard output. It
// disconnects when standard input ends.

import readline from "node:readline";
import { parseArgs } from "node:util";

import mqtt from "mqtt";

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    property: { type: "string", multiple: true, default: [] },
    reconnect: { type: "boolean", default: false },
  },
});
const [address, version, clientId, username, password] = positionals;

function emit(event, fields) {
  process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
}

const options = {
  protocolVersion: version === "5" ? 5 : 4,
  clientId,
  username,
  password,
  reconnectPeriod: values.reconnect ? 1 : 0,
};
if (version === "5" && values.property.length > 0) {
  const pairs = values.property.map((pair) => pair.split(/=(.*)/s, 2));
  options.properties = { userProperties: Object.fromEntries(pairs) };
}
const client = mqtt.connect(`ws://${address}`, options);

let connected = false;
let reason = 0;
client.on("connect", (connack) => {
  connected = true;
  reason = 0;
  emit("connected", { code: connack.reasonCode ?? connack.returnCode });
});
client.on("disconnect", (packet) => {
  reason = packet.reasonCode ?? 0;
});
client.on("close", () => {
  if (connected) emit("disconnected", { reason });
  connected = false;
});
client.on("error", (error) => {
  if (!connected && typeof error.code === "number") emit("connected", { code: error.code });
  else process.stderr.write(`${error.stack}\n`);
});
client.on("message", (topic, payload, packet) => {
  emit("message", { topic, payload: payload.toString(), qos: packet.qos });
});

const commands = {
  subscribe({ topic }) {
    client.subscribe(topic, { qos: 1 }, (error, granted) => {
      emit("subscribed", { codes: error ? [error.code ?? 128] : granted.map((one) => one.qos) });
    });
  },
  publish({ topic, payload }) {
    client.publish(topic, payload, { qos: 1 }, (error, packet) => {
      emit("acknowledged", { reason: error?.code ?? packet?.reasonCode ?? 0 });
    });
  },
};
const lines = readline.createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const command = JSON.parse(line);
  commands[command.do](command);
});
lines.on("close", () => client.end());
