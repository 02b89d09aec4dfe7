/** The recordings of this visit, and the queue that sends them: one that fails does not stop the others. */

import { Problem, pause, recognize, recognizeLong } from "./api.js";
import { probeSeconds } from "./probe.js";
import { size, t } from "./texts.js";

const AT_ONCE = 2;
const LONG_SECONDS = 90;
const MOST_WINDOWS = 2000;
const LEAST_WINDOW = 0.1;
const PEAKS = 1200;
const TRIES = 30;

let count = 0;

/** One recording and what is known about it. */
export class Recording {
  constructor(file, path) {
    this.id = `recording-${++count}`;
    this.file = file;
    /** Path within a dropped folder, or the name of the file. */
    this.path = path || file.name;
    this.added = count;
    this.forget();
  }

  /** Go back to where nothing was asked yet. */
  forget() {
    /** @type {"waiting"|"sending"|"working"|"busy"|"done"|"failed"} */
    this.state = "waiting";
    this.share = 0;
    this.doneSeconds = 0;
    this.result = null;
    this.problem = null;
    /** Results of turns by the kind that was asked for. */
    this.turns = {};
    /** The label that the user put right. */
    this.corrected = null;
  }

  /** Address of the sound for the player; it lives as long as the recording. */
  get url() {
    this.address ??= URL.createObjectURL(this.file);
    return this.address;
  }

  get settled() {
    return this.state === "done" || this.state === "failed";
  }
}

/** A queue of recordings; dispatches `change` with the recording, and `list` when their number changes. */
export class Queue extends EventTarget {
  /** @param {() => Promise<boolean>} askToken asks the user for the server's token; true if it was given. */
  constructor(askToken) {
    super();
    /** Bytes of the largest recording that the server takes. */
    this.mostBytes = Infinity;
    this.recordings = [];
    this.options = { window: 1, rejectBelow: 0 };
    this.askToken = askToken;
    this.running = new Map();
  }

  /** @param {{file: File, path: string}[]} entries */
  add(entries) {
    const added = entries.map(({ file, path }) => new Recording(file, path));
    this.recordings.push(...added);
    this.dispatchEvent(new CustomEvent("list", { detail: added }));
    this.#fill();
    return added;
  }

  retry(recording) {
    this.running.get(recording)?.abort();
    recording.forget();
    this.#changed(recording);
    this.#fill();
  }

  remove(recording) {
    this.running.get(recording)?.abort();
    this.recordings = this.recordings.filter((other) => other !== recording);
    if (recording.address) URL.revokeObjectURL(recording.address);
    this.dispatchEvent(new CustomEvent("list", { detail: [] }));
  }

  clear() {
    for (const recording of [...this.recordings]) this.remove(recording);
  }

  /** What the server is asked about a recording of that length. */
  async query(recording) {
    const seconds = (recording.seconds ??= await probeSeconds(recording.file));
    const { window, rejectBelow } = this.options;
    const hop = round(Math.max(window / 4, LEAST_WINDOW / 2, seconds.most / MOST_WINDOWS));
    return {
      granularity: "frame",
      window: Math.max(window, hop),
      hop,
      reject_below: rejectBelow || null,
    };
  }

  #fill() {
    while (this.running.size < AT_ONCE) {
      const next = this.recordings.find((one) => one.state === "waiting" && !this.running.has(one));
      if (!next) return;
      const control = new AbortController();
      this.running.set(next, control);
      this.#run(next, control.signal).finally(() => {
        if (this.running.get(next) === control) this.running.delete(next);
        this.#fill();
      });
    }
  }

  async #run(recording, signal) {
    try {
      recording.result = await this.#patiently(recording, signal);
      recording.state = "done";
    } catch (error) {
      if (error.name === "AbortError") return;
      recording.problem = error instanceof Problem ? error : new Problem(0, "page", String(error));
      recording.state = "failed";
    }
    this.#changed(recording);
  }

  /** Ask again where the server is busy, or wants a token. */
  async #patiently(recording, signal) {
    for (let turn = 1; ; turn++) {
      try {
        return await this.#ask(recording, signal);
      } catch (error) {
        if (error.status === 401 && turn < TRIES && (await this.askToken())) continue;
        if ((error.status === 503 || error.status === 429) && turn < TRIES) {
          recording.state = "busy";
          this.#changed(recording);
          await pause(1000 * Math.min(error.retryAfter ?? 2, 30), signal);
        } else {
          throw error;
        }
      }
    }
  }

  async #ask(recording, signal) {
    // A server that refuses a recording while it arrives cuts the connection, and no reason comes through.
    if (recording.file.size > this.mostBytes) {
      throw new Problem(413, "", t("problem.large", { size: size(recording.file.size), most: size(this.mostBytes) }));
    }
    const query = { ...(await this.query(recording)), peaks: PEAKS, segments: true, embeddings: true };
    const sent = (share) => {
      recording.state = share < 1 ? "sending" : "working";
      recording.share = share;
      this.#changed(recording);
    };
    const progress = (done, of) => {
      Object.assign(recording, { state: "working", doneSeconds: done, ofSeconds: of });
      this.#changed(recording);
    };
    sent(0);
    const long = recording.seconds.most > LONG_SECONDS;
    const how = { sent, signal, progress };
    return (long ? recognizeLong : recognize)(recording.file, recording.path, query, how);
  }

  #changed(recording) {
    this.dispatchEvent(new CustomEvent("change", { detail: recording }));
  }
}

/** Up to a hundredth of a second, so that numbers in an address stay short. */
const round = (seconds) => Math.ceil(seconds * 100 - 1e-9) / 100;
