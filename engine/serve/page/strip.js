/** The last 30 seconds of a microphone as a strip that scrolls: loudness in the colours of the emotions. */

import { sharpContext, styleValue } from "./dom.js";
import { colourOf } from "./labels.js";

const SHOWN_SECONDS = 30;
const BAR_SECONDS = 0.1;
const WAVE_HEIGHT = 110;
const SCORES_HEIGHT = 60;
const GAP = 10;
const FLOOR = 0.02;
const STRIP_HEIGHT = WAVE_HEIGHT + GAP + SCORES_HEIGHT;

export class Strip {
  constructor(canvas) {
    this.canvas = canvas;
    this.clear();
  }

  clear() {
    this.seconds = 0;
    this.bars = [];
    this.windows = [];
    this.hop = 0.5;
    this.draw();
  }

  /** Add samples as they are heard. */
  hear(block, rate) {
    for (const sample of block) {
      const bar = Math.floor(this.seconds / BAR_SECONDS);
      const last = this.bars.at(-1);
      const level = Math.abs(sample);
      if (last?.bar === bar) last.level = Math.max(last.level, level);
      else this.bars.push({ bar, level });
      this.seconds += 1 / rate;
    }
    const most = SHOWN_SECONDS / BAR_SECONDS + 2;
    if (this.bars.length > most) this.bars.splice(0, this.bars.length - most);
  }

  /** Add a window as the server tells it. */
  tell(window) {
    this.windows.push(window);
    const oldest = this.seconds - SHOWN_SECONDS - 5;
    while (this.windows.length && this.windows[0].end < oldest) this.windows.shift();
  }

  draw() {
    const width = this.canvas.clientWidth;
    if (!width) return;
    const context = sharpContext(this.canvas, width, STRIP_HEIGHT);
    const from = Math.max(0, this.seconds - SHOWN_SECONDS);
    const x = (seconds) => ((seconds - from) / SHOWN_SECONDS) * width;
    this.#drawGrid(context, width, from, x);
    this.#drawLevels(context, width, x);
    this.#drawScores(context, x);
  }

  #drawGrid(context, width, from, x) {
    context.fillStyle = styleValue("--line");
    context.fillRect(0, WAVE_HEIGHT / 2 - 0.5, width, 1);
    for (let second = Math.ceil(from / 5) * 5; second < from + SHOWN_SECONDS; second += 5) {
      context.fillRect(x(second), 0, 1, STRIP_HEIGHT);
    }
  }

  #drawLevels(context, width, x) {
    const loudest = this.bars.reduce((most, { level }) => Math.max(most, level), FLOOR);
    const wide = Math.max((width / SHOWN_SECONDS) * BAR_SECONDS - 1, 1);
    let at = 0;
    for (const { bar, level } of this.bars) {
      const middle = (bar + 0.5) * BAR_SECONDS;
      while (at < this.windows.length && centre(this.windows[at]) + this.hop / 2 < middle) at++;
      const window = this.windows[at];
      const known = window && !window.silent && middle >= centre(window) - this.hop / 2;
      const half = Math.max((level / loudest) * (WAVE_HEIGHT / 2 - 2), 1);
      context.fillStyle = known ? colourOf(window.emotion) : styleValue("--waiting");
      context.beginPath();
      context.roundRect(x(bar * BAR_SECONDS), WAVE_HEIGHT / 2 - half, wide, 2 * half, 1.5);
      context.fill();
    }
  }

  /** The probabilities of each window, stacked; those of silence are left out. */
  #drawScores(context, x) {
    for (const window of this.windows) {
      if (window.silent) continue;
      const left = x(centre(window) - this.hop / 2);
      const wide = x(centre(window) + this.hop / 2) - left + 0.5;
      let bottom = STRIP_HEIGHT;
      for (const [label, score] of Object.entries(window.scores)) {
        const height = score * SCORES_HEIGHT;
        context.fillStyle = colourOf(label);
        context.fillRect(left, bottom - height, wide, height + 0.25);
        bottom -= height;
      }
    }
  }
}

const centre = (window) => (window.start + window.end) / 2;
