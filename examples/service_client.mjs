// Asks a running service from JavaScript: a recording over HTTP, then live over a WebSocket.
//
//     e2v serve &
//     node examples/service_client.mjs http://127.0.0.1:7860 call.wav
//
// Node 22, or 20 with --experimental-websocket. The recording is WAV, 16 kHz, mono, 16 bit.
// E2V_TOKEN is the service's token, if it has one.

import { openAsBlob } from "node:fs";
import { basename } from "node:path";

const [url, path] = process.argv.slice(2);
const token = process.env.E2V_TOKEN;

async function recognize(blob) {
  const form = new FormData();
  form.set("file", blob, basename(path));
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch(`${url}/v1/audio/emotions`, { method: "POST", body: form, headers });
  const content = await answer.json();
  if (!answer.ok) throw new Error(`${content.error}: ${content.detail}`);
  return content;
}

function live(samples) {
  return new Promise((resolve, reject) => {
    const address = `${url.replace(/^http/, "ws")}/v1/audio/emotions/stream`;
    const socket = new WebSocket(address, token ? ["e2v", `bearer.${token}`] : ["e2v"]);
    socket.onerror = () => reject(new Error("the connection failed"));
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === "session.created") {
        socket.send(JSON.stringify({ type: "session.update", rate: 16000, format: "s16", hop: 1 }));
      } else if (message.type === "session.updated") {
        // From a microphone, pieces come as they are recorded; they may be of any size.
        for (let start = 0; start < samples.byteLength; start += 3200) {
          socket.send(samples.slice(start, start + 3200));
        }
        socket.send(JSON.stringify({ type: "end" }));
      } else if (message.type === "window") {
        const share = Math.round(100 * message.confidence);
        console.log(`${message.start} to ${message.end} s\t${message.emotion}\t${share} %`);
      } else if (message.type === "session.closed") {
        resolve(message);
      } else if (message.type === "error") {
        reject(new Error(message.message));
      }
    };
  });
}

const blob = await openAsBlob(path);
const result = await recognize(blob);
console.log(`${result.file}\t${result.emotion}\t${Math.round(100 * result.confidence)} %`);
const header = 44; // bytes before the samples of a plain WAV
const totals = await live((await blob.arrayBuffer()).slice(header));
console.log(`${totals.windows} windows in ${totals.seconds} s, ${totals.dropped} left out`);
