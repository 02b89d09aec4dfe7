/** The microphone, live: it goes to the server as it is heard, and what the server hears comes back. */

import { openStream } from "./api.js";
import { Capture, NoMicrophone, mayRecord } from "./capture.js";
import { announce, byId, h } from "./dom.js";
import { colourOf, emotionChip, scoreBar } from "./labels.js";
import { Strip } from "./strip.js";
import { clock, emotionName, percent, t } from "./texts.js";

const SHOWN_SPANS = 8;
const RANKED = 4;
const WINDOW_SECONDS = 2;
const SEND_MOST_BYTES = 4_000_000; // a network that does not keep up: then newer sound is left out

export class Live {
  /**
   * @param {(file: File) => void} keep takes the recording when the microphone is switched off.
   * @param {{turns: string[]}} abilities of the server.
   */
  constructor(keep, abilities) {
    Object.assign(this, { keep, abilities });
    this.strip = new Strip(byId("strip"));
    this.state = "idle";
    this.recordings = 0;
    byId("live-button").addEventListener("click", () => (this.state === "idle" ? this.start() : this.stop()));
    window.addEventListener("pagehide", () => this.capture?.close());
    new ResizeObserver(() => this.strip.draw()).observe(byId("strip"));
    this.#reset();
  }

  /** Show the words anew. */
  render() {
    byId("insecure").hidden = mayRecord();
    byId("insecure-address").textContent = location.origin.replace("http:", "https:");
    byId("live-button").disabled = !mayRecord() || this.state === "stopping";
    byId("live-button").classList.toggle("on", this.state === "running");
    byId("live-button").textContent = t(this.state === "idle" ? "live.start" : this.state === "asking" ? "live.asking" : "live.stop");
    this.#showSpans();
    this.#showNow();
  }

  #reset() {
    Object.assign(this, { spans: [], utterances: false, now: null, latency: null, skipped: 0, sent: 0, heardAt: [] });
    this.strip.clear();
  }

  async start() {
    this.#reset();
    this.#problem("");
    this.#become("asking");
    try {
      this.capture = await Capture.open((block, rate) => this.#hear(block, rate));
      this.socket = openStream();
      this.#listen(this.socket);
      this.#become("running");
      announce(t("live.on"));
      this.#draw();
    } catch (error) {
      const known = error instanceof NoMicrophone;
      this.#problem(known ? t(`microphone.${error.reason}`) : String(error));
      this.#become("idle");
    }
  }

  #listen(socket) {
    let open = false;
    socket.addEventListener("message", ({ data }) => {
      const event = JSON.parse(data);
      if (event.type === "session.created") {
        open = true;
        socket.send(JSON.stringify({ type: "session.update", ...this.#session() }));
        this.ready = true;
      } else if (event.type === "window") this.#window(event);
      else if (event.type === "utterance.start") this.#speech(event);
      else if (event.type === "utterance.end") this.#utterance(event);
      else if (event.type === "error") this.#problem(event.detail ?? event.message ?? event.title);
      else if (event.type === "session.closed") socket.close();
    });
    socket.addEventListener("close", ({ code, reason }) => {
      if (this.socket !== socket) return;
      if (!open || (this.state === "running" && code !== 1000)) this.#problem(this.#closeText(code, reason, open));
      this.#finish();
    });
  }

  #session() {
    this.utterances = this.abilities.turns.includes("vad");
    const turns = this.utterances ? { turns: "vad" } : {};
    return { rate: this.capture.rate, format: "f32", channels: 1, window: WINDOW_SECONDS, hop: this.strip.hop, ...turns };
  }

  #closeText(code, reason, open) {
    if (code === 1013) return t("live.full");
    if (code === 1001) return t("live.leaving");
    if (reason) return reason;
    return t(open ? "live.lost" : "live.refused");
  }

  #hear(block, rate) {
    this.strip.hear(block, rate);
    if (!this.ready || this.socket.readyState !== WebSocket.OPEN) return;
    if (this.socket.bufferedAmount > SEND_MOST_BYTES) return;
    this.socket.send(block);
    this.sent += block.length;
    this.heardAt.push([this.sent / rate, performance.now()]);
    if (this.heardAt.length > 500) this.heardAt.shift();
  }

  #window(window) {
    // The strip's clock began with the microphone, the server's with the first block that was sent.
    const shift = this.strip.seconds - this.sent / this.capture.rate;
    this.strip.tell({ ...window, start: window.start + shift, end: window.end + shift });
    const heard = this.heardAt.find(([seconds]) => seconds >= window.end - 1e-6);
    if (heard) this.latency = (performance.now() - heard[1]) / 1000;
    this.skipped += window.skipped ?? 0;
    this.now = window;
    if (!this.utterances) this.#grow(window);
    this.#showNow();
  }

  /** Where no utterances are told, neighbouring windows of one emotion make a span. */
  #grow(window) {
    const middle = (window.start + window.end) / 2;
    const [start, end] = [middle - this.strip.hop / 2, middle + this.strip.hop / 2];
    const last = this.spans[0];
    if (!window.silent && last?.emotion === window.emotion && start - last.end < this.strip.hop) {
      last.end = end;
      last.confidence = Math.max(last.confidence, window.confidence);
    } else if (!window.silent) {
      this.spans.unshift({ start, end, emotion: window.emotion, confidence: window.confidence });
    }
    this.#showSpans();
  }

  /** Somebody began to speak. */
  #speech({ start }) {
    this.spans.unshift({ start });
    this.#showSpans();
  }

  #utterance(utterance) {
    this.spans = this.spans.filter((span) => span.emotion);
    this.spans.unshift(utterance);
    announce(`${emotionName(utterance.emotion)} ${percent(utterance.confidence)}`);
    this.#showSpans();
  }

  #showNow() {
    const { now } = this;
    const box = byId("now");
    byId("latency").textContent = this.latency === null ? "" : t("live.latency", { ms: Math.round(this.latency * 1000) });
    byId("skipped").textContent = this.skipped ? t("live.skipped", { count: this.skipped }) : "";
    if (!now || now.silent) {
      const text = this.state === "idle" ? "live.idle" : now ? "live.silence" : "live.listening";
      box.replaceChildren(h("p.name.soft", {}, t(text)));
      box.style.removeProperty("--emotion");
      return;
    }
    const ranked = Object.entries(now.scores).sort((a, b) => b[1] - a[1]).slice(0, RANKED);
    box.style.setProperty("--emotion", colourOf(now.emotion));
    box.replaceChildren(
      h("div.verdict", {}, h("p.name", {}, emotionName(now.emotion)), h("p.confidence", {}, percent(now.confidence))),
      h("div.scores", {}, h("ol", {}, ranked.map(([label, score]) => h("li", {}, h("span.label", {}, emotionName(label)), scoreBar(label, score), h("span.value", {}, percent(score)))))),
    );
  }

  #showSpans() {
    this.spans.length = Math.min(this.spans.length, SHOWN_SPANS);
    byId("spans").replaceChildren(...this.spans.map((span) => h("li", {}, this.#spanCells(span))));
  }

  #spanCells({ start, end, emotion, confidence }) {
    if (!emotion) return [h("span.times", {}, `${clock(start, true)} –`), h("span.soft", {}, t("live.speaking"))];
    const times = `${clock(start, true)} – ${clock(end, true)}`;
    return [h("span.times", {}, times), emotionChip(emotion), h("span.value", {}, percent(confidence))];
  }

  #draw() {
    if (this.state === "idle") return;
    this.strip.draw();
    requestAnimationFrame(() => this.#draw());
  }

  /** Switch the microphone off, hear what the server still has to tell, and keep the recording. */
  async stop() {
    if (this.state !== "running") return;
    this.#become("stopping");
    this.ready = false;
    await this.capture.close();
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ type: "end" }));
    else this.#finish();
  }

  async #finish() {
    const { capture } = this;
    Object.assign(this, { socket: null, capture: null, ready: false });
    this.#become("idle");
    this.strip.draw();
    if (!capture) return;
    if (capture.context.state !== "closed") await capture.close();
    const file = capture.file(`${t("live.recording")} ${++this.recordings}.wav`);
    if (file) this.keep(file);
    announce(t("live.off"));
  }

  #become(state) {
    this.state = state;
    this.render();
  }

  #problem(text) {
    byId("live-problem").textContent = text;
    byId("live-problem").hidden = !text;
  }
}
