/** A recording that is seen and heard: its waveform in the colours of its timeline, and the way to any place. */

import { h, sharpContext, styleValue } from "./dom.js";
import { colourOf } from "./labels.js";
import { clock, emotionName, percent, t } from "./texts.js";

const WAVE_HEIGHT = 96;
const SCORES_HEIGHT = 52;
const GAP = 8;
const BAR = 3;
const STEP_SECONDS = 1;
const LARGE_STEP = 10;

/** The waveform, the scores stacked below it, and the buttons of a player. */
export class Player {
  /** @param {import("./queue.js").Recording} recording one that is done. */
  constructor(recording) {
    this.result = recording.result;
    this.seconds = this.result.seconds;
    this.spans = [];
    this.time = 0;
    this.until = null;
    this.audio = new Audio();
    this.audio.preload = "metadata";
    this.audio.src = recording.url;
    this.element = this.#build();
    this.#listen();
    this.size = new ResizeObserver(() => this.draw());
    this.size.observe(this.canvas);
  }

  #build() {
    this.button = h("button.play", { type: "button", "aria-label": t("player.play"), on: { click: () => this.toggle() } });
    this.clock = h("span.clock", {}, this.#clockText());
    this.canvas = h("canvas", { height: WAVE_HEIGHT + GAP + SCORES_HEIGHT });
    this.bubble = h("div.bubble", { hidden: true });
    this.slider = h(
      "div.wave",
      {
        role: "slider",
        tabindex: 0,
        "aria-label": t("player.position"),
        "aria-valuemin": 0,
        "aria-valuemax": this.seconds.toFixed(1),
      },
      this.canvas,
      this.bubble,
    );
    this.note = h("p.note", { hidden: true, role: "status" });
    this.#tell();
    return h("div.player", {}, h("div.controls", {}, this.button, this.clock), this.slider, this.note);
  }

  #listen() {
    const { audio, slider } = this;
    for (const event of ["play", "pause", "ended"]) audio.addEventListener(event, () => this.#playing());
    audio.addEventListener("seeked", () => this.#moved());
    audio.addEventListener("error", () => {
      this.note.textContent = t("player.unplayable");
      this.note.hidden = false;
      this.button.disabled = true;
    });
    slider.addEventListener("pointerdown", (event) => {
      slider.setPointerCapture(event.pointerId);
      this.seek(this.#secondsAt(event));
    });
    slider.addEventListener("pointermove", (event) => {
      if (slider.hasPointerCapture(event.pointerId)) this.seek(this.#secondsAt(event));
      this.#point(event);
    });
    slider.addEventListener("pointerup", () => this.play());
    slider.addEventListener("pointerleave", () => (this.bubble.hidden = true));
    slider.addEventListener("keydown", (event) => this.#key(event));
  }

  #key(event) {
    const moves = {
      ArrowLeft: this.time - STEP_SECONDS,
      ArrowDown: this.time - STEP_SECONDS,
      ArrowRight: this.time + STEP_SECONDS,
      ArrowUp: this.time + STEP_SECONDS,
      PageDown: this.time - LARGE_STEP,
      PageUp: this.time + LARGE_STEP,
      Home: 0,
      End: this.seconds,
    };
    if (event.key in moves) this.seek(moves[event.key]);
    else if (event.key === " " || event.key === "Enter") this.toggle();
    else return;
    event.preventDefault();
  }

  /** Colour the waveform by spans, `{start, end, emotion}[]` in order of time. */
  colour(spans) {
    this.spans = spans;
    this.draw();
  }

  /** Go to a time in seconds. */
  seek(seconds) {
    this.until = null;
    this.time = Math.min(Math.max(seconds, 0), this.seconds);
    this.audio.currentTime = this.time;
    this.#moved(this.time);
  }

  /** Play from where it is, or from a start to an end in seconds. */
  play(start = null, end = null) {
    if (start !== null) this.seek(start);
    this.until = end;
    this.audio.play().catch(() => {}); // the error event has said so
  }

  toggle() {
    if (this.audio.paused) this.play();
    else this.audio.pause();
  }

  #playing() {
    const on = !this.audio.paused;
    this.button.classList.toggle("on", on);
    this.button.setAttribute("aria-label", t(on ? "player.pause" : "player.play"));
    if (on) this.#follow();
  }

  #follow() {
    if (this.audio.paused || !this.element.isConnected) return;
    this.#moved();
    if (this.until !== null && this.time >= this.until) this.audio.pause();
    requestAnimationFrame(() => this.#follow());
  }

  #moved(time = this.audio.currentTime) {
    this.time = time;
    this.clock.textContent = this.#clockText();
    this.#tell();
    this.draw();
  }

  #clockText() {
    const tenths = this.seconds < 600;
    return `${clock(this.time, tenths)} / ${clock(this.seconds, tenths)}`;
  }

  #tell() {
    const window = this.#windowAt(this.time);
    const heard = window ? `, ${emotionName(window.emotion)} ${percent(window.confidence)}` : "";
    this.slider.setAttribute("aria-valuenow", this.time.toFixed(1));
    this.slider.setAttribute("aria-valuetext", `${this.#clockText()}${heard}`);
  }

  #secondsAt(event) {
    const box = this.canvas.getBoundingClientRect();
    return (Math.min(Math.max(event.clientX - box.left, 0), box.width) / box.width) * this.seconds;
  }

  /** Show what is below the pointer. */
  #point(event) {
    const seconds = this.#secondsAt(event);
    const window = this.#windowAt(seconds);
    const box = this.canvas.getBoundingClientRect();
    this.bubble.hidden = false;
    this.bubble.textContent = window
      ? `${clock(seconds, this.seconds < 600)} · ${emotionName(window.emotion)} ${percent(window.confidence)}`
      : clock(seconds, true);
    const half = this.bubble.offsetWidth / 2;
    const left = Math.min(Math.max(event.clientX - box.left, half), box.width - half);
    this.bubble.style.setProperty("--left", `${left}px`);
  }

  /** The window whose centre is next to a time. */
  #windowAt(seconds) {
    const windows = this.result.frames ?? [];
    if (!windows.length) return null;
    const first = (windows[0].start + windows[0].end) / 2;
    const hop = windows.length > 1 ? windows[1].start - windows[0].start : 1;
    return windows[Math.min(Math.max(Math.round((seconds - first) / hop), 0), windows.length - 1)];
  }

  draw() {
    const width = this.canvas.clientWidth;
    if (!width) return;
    const context = sharpContext(this.canvas, width, WAVE_HEIGHT + GAP + SCORES_HEIGHT);
    this.#drawWave(context, width);
    this.#drawScores(context, width);
    const at = (this.time / this.seconds) * width;
    context.fillStyle = styleValue("--ink");
    context.fillRect(Math.min(Math.max(at - 0.75, 0), width - 1.5), 0, 1.5, WAVE_HEIGHT + GAP + SCORES_HEIGHT);
  }

  #drawWave(context, width) {
    const peaks = this.result.peaks ?? [];
    const loudest = peaks.reduce((most, [low, high]) => Math.max(most, -low, high), 1e-3);
    const bars = Math.floor(width / (BAR + 1));
    const middle = WAVE_HEIGHT / 2;
    const played = this.time / this.seconds;
    let at = 0;
    for (let i = 0; i < bars; i++) {
      const from = Math.floor((i / bars) * peaks.length);
      const to = Math.max(Math.ceil(((i + 1) / bars) * peaks.length), from + 1);
      let [low, high] = [0, 0];
      for (const [lowest, highest] of peaks.slice(from, to)) [low, high] = [Math.min(low, lowest), Math.max(high, highest)];
      const top = (high / loudest) * (middle - 2);
      const bottom = (-low / loudest) * (middle - 2);
      const share = (i + 0.5) / bars;
      const seconds = share * this.seconds;
      while (this.spans[at]?.end <= seconds) at++;
      context.fillStyle = this.spans[at]?.start <= seconds ? colourOf(this.spans[at].emotion) : styleValue("--waiting");
      context.globalAlpha = share <= played || !played ? 1 : 0.45;
      context.beginPath();
      context.roundRect(i * (width / bars), middle - Math.max(top, 1), BAR, Math.max(top, 1) + Math.max(bottom, 1), 1.5);
      context.fill();
    }
    context.globalAlpha = 1;
  }

  /** The probabilities, stacked; the emotion with the largest area is the lowest. */
  #drawScores(context, width) {
    const windows = this.result.frames ?? [];
    if (!windows.length) return;
    const labels = Object.keys(windows[0].scores);
    const area = (label) => windows.reduce((sum, window) => sum + window.scores[label], 0);
    const order = labels.map((label) => [area(label), label]).sort((a, b) => b[0] - a[0]);
    const columns = Math.min(windows.length, Math.ceil(width / 2));
    const shown = Array.from({ length: columns }, (_, i) => windows[Math.floor((i / columns) * windows.length)]);
    const x = shown.map((window) => ((window.start + window.end) / 2 / this.seconds) * width);
    const base = WAVE_HEIGHT + GAP + SCORES_HEIGHT;
    const below = new Array(columns).fill(0);
    context.save();
    context.beginPath();
    context.roundRect(0, WAVE_HEIGHT + GAP, width, SCORES_HEIGHT, 4);
    context.clip();
    for (const [, label] of order) {
      const lower = [...below];
      shown.forEach((window, i) => (below[i] += window.scores[label]));
      const y = (share) => base - share * SCORES_HEIGHT;
      context.fillStyle = colourOf(label);
      context.beginPath();
      context.moveTo(0, y(lower[0]));
      context.lineTo(0, y(below[0]));
      below.forEach((share, i) => context.lineTo(x[i], y(share)));
      context.lineTo(width, y(below.at(-1)));
      context.lineTo(width, y(lower.at(-1)));
      for (let i = columns - 1; i >= 0; i--) context.lineTo(x[i], y(lower[i]));
      context.fill();
    }
    context.restore();
  }

  /** Stop the sound and the watching. */
  close() {
    this.audio.pause();
    this.audio.removeAttribute("src");
    this.size.disconnect();
  }
}
