/** The card of one recording: its emotion, why to doubt it, its course, and what can be done with it. */

import { correct, recognize, report } from "./api.js";
import { download, h } from "./dom.js";
import { colourOf, emotionChip, labels, scoreBar, warningMark } from "./labels.js";
import { Player } from "./player.js";
import { problemText } from "./problems.js";
import { npy, resultDocument } from "./rows.js";
import { clock, duration, emotionName, percent, t, warningText } from "./texts.js";

const EXPORTS = [
  ["json", "json"], ["csv", "csv"], ["srt", "srt"], ["vtt", "vtt"],
  ["rttm", "rttm"], ["textgrid", "TextGrid"], ["audacity", "txt"],
];
const UNSURE = 0.5;
const FIRST_ROWS = 12;
const FIRST_SCORES = 4;

/** The card of a recording that is done. */
export class Card {
  /**
   * @param {import("./queue.js").Recording} recording
   * @param {import("./queue.js").Queue} queue
   * @param {{turns: string[], feedback: boolean}} abilities of the server.
   */
  constructor(recording, queue, abilities) {
    Object.assign(this, { recording, queue, abilities });
    this.kind = "segments";
    this.player = new Player(recording);
    this.rows = h("div.rows");
    this.status = h("p.note", { role: "status", hidden: true });
    this.element = this.#build();
  }

  #build() {
    const { result, path } = this.recording;
    this.#fillRows();
    return h(
      "article.card", { "aria-label": path },
      h("header", {}, h("div", {}, h("h2", { title: path }, path), this.#facts(result)), this.#remove(path)),
      h("div.answer", {}, this.#verdict(result), this.#scores(result)),
      this.#warnings(result.warnings),
      this.player.element,
      this.#kinds(),
      this.rows,
      this.#exports(),
      this.abilities.feedback ? this.#feedback() : null,
      this.status,
    );
  }

  #remove(path) {
    const attributes = { type: "button", "aria-label": t("list.remove.one", { name: path }), title: t("list.remove") };
    return h("button.remove", { ...attributes, on: { click: () => this.queue.remove(this.recording) } }, "×");
  }

  #facts(result) {
    return h("p.facts", {}, [duration(result.seconds), result.model, result.provider.toUpperCase()].join(" · "));
  }

  #verdict(result) {
    const unsure = result.confidence < UNSURE;
    return h(
      "div.verdict", { style: { "--emotion": colourOf(result.emotion) } },
      h("p.name", {}, emotionName(result.emotion)),
      h("p.confidence", {}, percent(result.confidence), " ",
        h("span.soft", { title: t(result.calibrated ? "card.calibrated" : "card.uncalibrated") }, t("card.confidence"))),
      unsure ? h("p.doubt", {}, t("card.unsure")) : null,
    );
  }

  #scores(result) {
    const ranked = Object.entries(result.scores).sort((a, b) => b[1] - a[1]);
    const line = ([label, score]) => h("li", {}, h("span.label", {}, emotionName(label)), scoreBar(label, score), h("span.value", {}, percent(score)));
    const rest = ranked.slice(FIRST_SCORES);
    return h(
      "div.scores", {},
      h("ol", {}, ranked.slice(0, FIRST_SCORES).map(line)),
      rest.length ? h("details", {}, h("summary", {}, t("card.others", { count: rest.length })), h("ol", {}, rest.map(line))) : null,
    );
  }

  #warnings(warnings) {
    if (!warnings.length) return null;
    return h("ul.warnings", { "aria-label": t("card.warnings") },
      warnings.map((warning) => h("li", { title: warning.message }, warningText(warning))));
  }

  /** The choice of rows: segments of the timeline, or turns, each encoded alone. */
  #kinds() {
    const kinds = ["segments", ...this.abilities.turns];
    if (kinds.length === 1) return h("h3", {}, t("rows.segments"));
    return h(
      "div.kinds", { role: "group", "aria-label": t("rows.kind") },
      kinds.map((kind) => {
        const button = h("button", { type: "button", "aria-pressed": String(kind === this.kind) }, t(`rows.${kind}`));
        button.addEventListener("click", () => this.#choose(kind, button));
        return button;
      }),
    );
  }

  async #choose(kind, button) {
    for (const other of button.parentElement.children) other.setAttribute("aria-pressed", String(other === button));
    this.kind = kind;
    const { recording } = this;
    if (kind !== "segments" && !recording.turns[kind]) {
      this.rows.replaceChildren(h("p.note", {}, t("rows.looking")));
      const got = await this.#attempt(async () => {
        recording.turns[kind] = await recognize(recording.file, recording.path, { turns: kind });
      });
      if (!got) this.rows.replaceChildren();
    }
    if (this.kind === kind && (kind === "segments" || recording.turns[kind])) this.#fillRows();
  }

  #spans() {
    const { result, turns } = this.recording;
    return this.kind === "segments" ? (result.segments ?? []) : turns[this.kind].turns;
  }

  #fillRows(all = false) {
    const rows = this.#spans();
    this.player.colour(rows);
    if (!rows.length) {
      this.rows.replaceChildren(h("p.note", {}, t("rows.none")));
      return;
    }
    const shown = all ? rows : rows.slice(0, FIRST_ROWS);
    const more = rows.length - shown.length;
    // The recording's own warnings stand above; those of turns are about how they were found.
    const known = new Set(this.recording.result.warnings.map(({ code }) => code));
    const turnWarnings = (this.recording.turns[this.kind]?.warnings ?? []).filter(({ code }) => !known.has(code));
    this.rows.replaceChildren(
      this.#warnings(turnWarnings) ?? "",
      h("table", {}, h("caption.unseen", {}, t(`rows.${this.kind}`)), this.#rowsHead(rows), h("tbody", {}, shown.map((row) => this.#row(row, rows)))),
      more ? h("button.more", { type: "button", on: { click: () => this.#fillRows(true) } }, t("rows.more", { count: more })) : "",
    );
  }

  #rowsHead(rows) {
    const heads = [t("rows.time"), ...(spoken(rows, "speaker") ? [t("rows.speaker")] : []), t("column.emotion"), t("column.confidence"), ...(spoken(rows, "text") ? [t("rows.text")] : [])];
    return h("thead.unseen", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col" }, text))));
  }

  #row(row, rows) {
    const times = `${clock(row.start, true)} – ${clock(row.end, true)}`;
    const play = () => this.player.play(row.start, row.end);
    return h(
      "tr", { on: { click: play } },
      h("td.times", {}, h("button", { type: "button", title: t("rows.play") }, times)),
      spoken(rows, "speaker") ? h("td", {}, row.speaker ?? "") : null,
      h("td", {}, emotionChip(row.emotion), warningMark(row.warnings ?? [])),
      h("td.level", {}, scoreBar(row.emotion, row.confidence), h("span.value", {}, percent(row.confidence))),
      spoken(rows, "text") ? h("td", {}, row.text ?? "") : null,
    );
  }

  #exports() {
    const button = (name, action) => h("button", { type: "button", on: { click: () => this.#attempt(action) } }, name);
    return h(
      "div.exports", { role: "group", "aria-label": t("card.export") },
      h("span.soft", {}, t("card.export")),
      EXPORTS.map(([format, suffix]) => button(format === "textgrid" ? "TextGrid" : format === "audacity" ? "Audacity" : format.toUpperCase(), () => this.#export(format, suffix))),
      button(t("card.embedding"), () => download(npy(this.recording.result.embedding), `${this.#stem()}.npy`)),
    );
  }

  async #export(format, suffix) {
    const { recording, kind, queue } = this;
    const turns = kind === "segments" ? null : kind;
    const name = `${this.#stem()}.${suffix}`;
    if (format === "json") {
      const result = turns ? recording.turns[kind] : resultDocument(recording.result);
      download(new Blob([`${JSON.stringify(result, null, 2)}\n`], { type: "application/json" }), name);
      return;
    }
    const query = turns ? { turns } : await queue.query(recording);
    download(await report(recording.file, recording.path, { ...query, format }), name);
  }

  #stem() {
    return this.recording.path.split("/").at(-1).replace(/\.[^.]+$/, "");
  }

  #feedback() {
    const { recording } = this;
    const known = () => h("p.note", {}, t("feedback.kept", { emotion: emotionName(recording.corrected) }));
    if (recording.corrected) return h("div.feedback", {}, known());
    const box = h("div.feedback");
    const choose = async (label) => {
      if (!(await this.#attempt(() => correct(recording.file, recording.path, label)))) return;
      recording.corrected = label;
      box.replaceChildren(known());
    };
    const open = () => {
      const choices = labels().map((label) => h("button", { type: "button", on: { click: () => choose(label) } }, emotionChip(label)));
      box.replaceChildren(h("fieldset", {}, h("legend", {}, t("feedback.question")), choices));
      choices[0]?.focus();
    };
    box.append(h("button", { type: "button", on: { click: open } }, t("feedback.wrong")));
    return box;
  }

  /** Do something that the server may refuse; true if it was done. */
  async #attempt(action) {
    this.status.textContent = t("card.preparing");
    this.status.classList.remove("problem");
    this.status.hidden = false;
    try {
      await action();
      this.status.hidden = true;
      return true;
    } catch (error) {
      this.status.textContent = problemText(error);
      this.status.classList.add("problem");
      return false;
    }
  }

  close() {
    this.player.close();
  }
}

const spoken = (rows, field) => rows.some((row) => row[field]);
