/** Recordings beside each other: a map of all of them, and those that sound like one. */

import { compare } from "./api.js";
import { byId, h, sharpContext, styleValue } from "./dom.js";
import { colourOf, emotionChip, scoreBar } from "./labels.js";
import { problemText } from "./problems.js";
import { emotionName, percent, t } from "./texts.js";

const MOST = 5000;
const TOP = 10;
const LINES = 3;
const HEIGHT = 420;
const MARGIN = 24;
const DOT = 6;
const REACH = 16;

export class Compare {
  /** @param {import("./queue.js").Queue} queue */
  constructor(queue) {
    this.queue = queue;
    this.shown = [];
    this.places = [];
    this.nearest = [];
    this.reference = null;
    this.audio = new Audio();
    this.canvas = byId("map");
    this.bubble = byId("map-bubble");
    this.#listen();
  }

  #listen() {
    byId("reference").addEventListener("change", ({ target }) => this.#refer(this.shown[target.value]));
    this.canvas.addEventListener("pointermove", (event) => this.#point(event));
    this.canvas.addEventListener("pointerleave", () => (this.bubble.hidden = true));
    this.canvas.addEventListener("click", (event) => {
      const found = this.#at(event);
      if (found === null) return;
      this.#play(this.shown[found]);
      this.#refer(this.shown[found]);
    });
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  /** Compare what is there now. */
  async open() {
    this.shown = this.queue.recordings.filter((one) => one.result?.embedding).slice(0, MOST);
    const enough = this.shown.length > 1;
    byId("compare-few").hidden = enough;
    byId("compare-all").hidden = !enough;
    if (!enough) return;
    if (!this.shown.includes(this.reference)) this.reference = this.shown[0];
    byId("reference").replaceChildren(...this.shown.map((one, i) => h("option", { value: i }, one.path)));
    await this.#ask();
  }

  close() {
    this.audio.pause();
  }

  #refer(recording) {
    this.reference = recording;
    return this.#ask();
  }

  async #ask() {
    const { shown, reference } = this;
    const place = shown.indexOf(reference);
    byId("reference").value = String(place);
    byId("compare-problem").textContent = "";
    try {
      const answer = await compare(shown.map((one) => one.result.embedding), place, TOP);
      if (reference !== this.reference || shown !== this.shown) return; // something newer was asked
      this.places = answer.map;
      this.nearest = answer.nearest;
    } catch (error) {
      byId("compare-problem").textContent = problemText(error);
      this.nearest = [];
    }
    this.#list();
    this.draw();
  }

  #list() {
    byId("nearest").replaceChildren(...this.nearest.map((found) => this.#row(found)));
  }

  #row({ index, same_emotion: same, cosine }) {
    const recording = this.shown[index];
    const { emotion } = recording.result;
    const share = same ?? Math.max(cosine, 0);
    const play = h("button.play.small-play", { type: "button", "aria-label": t("compare.play", { name: recording.path }), on: { click: () => this.#play(recording) } });
    return h(
      "li", {}, play, h("span.name", { title: recording.path }, recording.path), emotionChip(emotion),
      h("span.level", {}, scoreBar(emotion, share), h("span.value", {}, same === null ? cosine.toFixed(2) : percent(same))),
    );
  }

  #play(recording) {
    this.audio.src = recording.url;
    this.audio.play().catch(() => {}); // a format that this browser cannot play
  }

  /** Where a place of the map is on the canvas, in CSS pixels. */
  #scale() {
    const width = this.canvas.clientWidth;
    const range = (axis) => {
      const values = this.places.map((place) => place[axis]);
      return [Math.min(...values), Math.max(...values)];
    };
    const [left, right] = range(0);
    const [bottom, top] = range(1);
    const scale = Math.min((width - 2 * MARGIN) / (right - left || 1), (HEIGHT - 2 * MARGIN) / (top - bottom || 1));
    return ([x, y]) => [width / 2 + (x - (left + right) / 2) * scale, HEIGHT / 2 - (y - (bottom + top) / 2) * scale];
  }

  draw() {
    const width = this.canvas.clientWidth;
    if (!width || this.places.length !== this.shown.length) return;
    const context = sharpContext(this.canvas, width, HEIGHT);
    const scale = this.#scale();
    const own = this.shown.indexOf(this.reference);
    const from = scale(this.places[own]);
    context.strokeStyle = styleValue("--edge");
    for (const { index } of this.nearest.slice(0, LINES)) {
      context.beginPath();
      context.moveTo(...from);
      context.lineTo(...scale(this.places[index]));
      context.stroke();
    }
    this.places.forEach((place, i) => this.#dot(context, scale(place), this.shown[i].result.emotion, i === own));
  }

  #dot(context, [x, y], emotion, own) {
    context.beginPath();
    context.arc(x, y, own ? DOT + 3 : DOT, 0, 2 * Math.PI);
    context.fillStyle = colourOf(emotion);
    context.fill();
    context.lineWidth = own ? 3 : 1;
    context.strokeStyle = own ? styleValue("--ink") : styleValue("--edge");
    context.stroke();
    context.lineWidth = 1;
  }

  /** Number of the recording below the pointer, or null. */
  #at(event) {
    if (this.places.length !== this.shown.length) return null;
    const box = this.canvas.getBoundingClientRect();
    const scale = this.#scale();
    let [best, found] = [REACH, null];
    this.places.forEach((place, i) => {
      const [x, y] = scale(place);
      const away = Math.hypot(x - event.clientX + box.left, y - event.clientY + box.top);
      if (away < best) [best, found] = [away, i];
    });
    return found;
  }

  #point(event) {
    const found = this.#at(event);
    this.bubble.hidden = found === null;
    this.canvas.classList.toggle("over", found !== null);
    if (found === null) return;
    const { path, result } = this.shown[found];
    this.bubble.textContent = `${path} · ${emotionName(result.emotion)} ${percent(result.confidence)}`;
    const box = this.canvas.getBoundingClientRect();
    const half = this.bubble.offsetWidth / 2;
    const left = Math.min(Math.max(event.clientX - box.left, half), box.width - half);
    this.bubble.style.setProperty("--left", `${left}px`);
    this.bubble.style.setProperty("--top", `${event.clientY - box.top}px`);
  }
}
