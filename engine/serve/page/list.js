/** The table of all recordings, its summary, and the filter by emotion. */

import { byId, download, h } from "./dom.js";
import { colourOf, emotionChip, labels, scoreBar, warningMark } from "./labels.js";
import { problemText } from "./problems.js";
import { batchCsv, batchJson } from "./rows.js";
import { duration, emotionName, percent, size, t } from "./texts.js";

const COLUMNS = [
  { key: "name", value: (one) => one.path.toLowerCase() },
  { key: "length", value: (one) => one.result?.seconds ?? -1, quiet: true },
  { key: "emotion", value: (one) => (one.result ? emotionName(one.result.emotion) : "~") },
  { key: "confidence", value: (one) => one.result?.confidence ?? -1 },
  { key: "runner", value: (one) => (one.result ? emotionName(runnerUp(one.result)[0]) : "~"), quiet: true },
];

const narrow = window.matchMedia("(max-width: 40rem)");

/** Columns between the name and the end; a phone does without the quiet ones. */
const middleColumns = () => COLUMNS.filter(({ quiet }) => !quiet || !narrow.matches).length - 1;

/** Second most probable emotion and its score. */
const runnerUp = (result) => Object.entries(result.scores).sort((a, b) => b[1] - a[1])[1] ?? ["", 0];

/** The list beside the card. */
export class List {
  /**
   * @param {import("./queue.js").Queue} queue
   * @param {(recording: import("./queue.js").Recording) => void} select called for the one that the user picks.
   */
  constructor(queue, select) {
    Object.assign(this, { queue, select });
    this.sort = { key: null, down: false };
    this.only = null;
    this.selected = null;
    this.rows = new Map();
    this.body = h("tbody");
    this.element = byId("list");
    this.waiting = false;
    queue.addEventListener("change", ({ detail }) => this.#changed(detail));
    queue.addEventListener("list", () => this.render());
    narrow.addEventListener("change", () => this.render());
  }

  /** Build all of it: after a change of language, of the order, of the filter, or of the number. */
  render() {
    this.rows.clear();
    this.#show();
    this.table = h("table", {}, h("caption.unseen", {}, t("list.caption")), this.#head(), this.body);
    this.summary = h("div.summary");
    this.element.replaceChildren(this.summary, h("div.scroll", {}, this.table), this.#buttons());
    this.#arrange();
    this.#summarize();
  }

  /** One recording that has its card needs no list. */
  #show() {
    const all = this.queue.recordings;
    this.element.hidden = !all.length || (all.length === 1 && all[0].state === "done");
  }

  choose(recording) {
    this.selected = recording;
    for (const [one, row] of this.rows) row.classList.toggle("selected", one === recording);
  }

  #head() {
    const cells = COLUMNS.map(({ key, quiet }) => {
      const here = this.sort.key === key;
      const order = here ? (this.sort.down ? "descending" : "ascending") : "none";
      const button = h("button", { type: "button", on: { click: () => this.#sortBy(key) } }, t(`column.${key}`));
      return h(quiet ? "th.quiet" : "th", { scope: "col", "aria-sort": order }, button);
    });
    return h("thead", {}, h("tr", {}, cells, h("th", {}, h("span.unseen", {}, t("list.remove")))));
  }

  #sortBy(key) {
    const again = this.sort.key === key;
    this.sort = { key, down: again ? !this.sort.down : key === "confidence" || key === "length" };
    this.render();
    this.element.querySelector(`th[aria-sort]:nth-child(${COLUMNS.findIndex((column) => column.key === key) + 1}) button`).focus();
  }

  #arrange() {
    const { key, down } = this.sort;
    const shown = this.queue.recordings.filter((one) => !this.only || one.result?.emotion === this.only);
    if (key) {
      const { value } = COLUMNS.find((column) => column.key === key);
      const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);
      shown.sort((a, b) => compare(value(a), value(b)) * (down ? -1 : 1) || a.added - b.added);
    }
    this.body.replaceChildren(...shown.map((one) => this.#row(one)));
  }

  #row(recording) {
    let row = this.rows.get(recording);
    if (!row) {
      row = h("tr", { on: { click: () => this.select(recording) } });
      this.rows.set(recording, row);
      this.#fill(recording, row);
    }
    row.classList.toggle("selected", recording === this.selected);
    return row;
  }

  #fill(recording, row) {
    const { result, path } = recording;
    const name = h("td.file", {}, h("button", { type: "button", title: path }, path), result ? warningMark(result.warnings) : null);
    const remove = h("button.remove", { type: "button", "aria-label": t("list.remove.one", { name: path }), title: t("list.remove") }, "×");
    remove.addEventListener("click", (event) => {
      event.stopPropagation();
      this.queue.remove(recording);
    });
    const cells = result ? this.#resultCells(result) : [h("td.state", { colspan: middleColumns() }, this.#state(recording))];
    row.replaceChildren(name, ...cells, h("td", {}, remove));
    row.classList.toggle("failed", recording.state === "failed");
  }

  #resultCells(result) {
    const [second, score] = runnerUp(result);
    return [
      h("td.quiet.number", {}, duration(result.seconds)),
      h("td", {}, emotionChip(result.emotion)),
      h("td.level", {}, scoreBar(result.emotion, result.confidence), h("span.value", {}, percent(result.confidence))),
      h("td.quiet.soft", {}, second ? `${emotionName(second)} ${percent(score)}` : ""),
    ];
  }

  #state(recording) {
    const { state, share, doneSeconds, ofSeconds, file } = recording;
    if (state === "failed") {
      const words = h("span.problem", {}, problemText(recording.problem, file.name));
      return recording.problem.passing ? [words, this.#retry(recording)] : words;
    }
    const part = state === "working" && ofSeconds ? doneSeconds / ofSeconds : share;
    const known = state === "sending" || (state === "working" && ofSeconds);
    const values = { share: percent(part), done: duration(doneSeconds), of: duration(ofSeconds ?? 0), size: size(file.size) };
    const text = t(state === "working" && ofSeconds ? "state.working.long" : `state.${state}`, values);
    const bar = h("progress", { max: 1, value: known ? part : null, "aria-label": text });
    return [state === "waiting" ? null : bar, h("span.soft", {}, text)];
  }

  #retry(recording) {
    const retry = h("button.small", { type: "button" }, t("list.retry"));
    retry.addEventListener("click", (event) => {
      event.stopPropagation();
      this.queue.retry(recording);
    });
    return retry;
  }

  #changed(recording) {
    const row = this.rows.get(recording);
    if (!row) return;
    if (!recording.settled || this.body.contains(row)) this.#fill(recording, row);
    if (recording.settled && !this.waiting) {
      this.waiting = true; // many may come at once
      requestAnimationFrame(() => {
        this.waiting = false;
        this.#show();
        if (this.only || this.sort.key) this.#arrange();
        this.#summarize();
      });
    }
  }

  #summarize() {
    const all = this.queue.recordings;
    const done = all.filter((one) => one.result);
    const failed = all.filter((one) => one.state === "failed").length;
    const counts = labels().map((label) => [label, done.filter((one) => one.result.emotion === label).length]).filter(([, count]) => count);
    counts.sort((a, b) => b[1] - a[1]);
    const open = all.length - done.length - failed;
    const said = [t(all.length === 1 ? "list.count.one" : "list.count", { count: all.length }), open ? t("list.open", { count: open }) : null, failed ? t("list.failed", { count: failed }) : null];
    this.summary.replaceChildren(
      h("p", { role: "status" }, said.filter(Boolean).join(" · ")),
      done.length > 1 ? h("div.shares", { "aria-hidden": true }, counts.map(([label, count]) => h("span", { style: { "--emotion": colourOf(label), "--share": count } }))) : "",
      done.length > 1 ? h("div.filters", { role: "group", "aria-label": t("list.filter") }, counts.map(([label, count]) => this.#filter(label, count))) : "",
    );
  }

  #filter(label, count) {
    const change = () => {
      this.only = this.only === label ? null : label;
      this.render();
      this.element.querySelector(`[data-emotion="${CSS.escape(label)}"]`)?.focus();
    };
    return h("button", { type: "button", "aria-pressed": String(this.only === label), "data-emotion": label, on: { click: change } }, emotionChip(label), h("span.soft", {}, String(count)));
  }

  #buttons() {
    const all = () => this.queue.recordings;
    const save = (text, type, name) => download(new Blob([text], { type }), name);
    return h(
      "div.exports", { role: "group", "aria-label": t("list.download") },
      h("span.soft", {}, t("list.download")),
      h("button", { type: "button", on: { click: () => save(batchCsv(all(), labels()), "text/csv", "emotions.csv") } }, "CSV"),
      h("button", { type: "button", on: { click: () => save(batchJson(all()), "application/json", "emotions.json") } }, "JSON"),
      h("button.quiet", { type: "button", on: { click: () => this.queue.clear() } }, t("list.clear")),
    );
  }
}
