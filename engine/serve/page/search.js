/** What in the store of the service sounds like one recording. */

import { searchStore } from "./api.js";
import { byId, h } from "./dom.js";
import { emotionChip, scoreBar } from "./labels.js";
import { problemText } from "./problems.js";
import { percent, t } from "./texts.js";

const TOP = 20;
const MOST_OFFERED = 500;

export class Search {
  /**
   * @param {import("./queue.js").Queue} queue recordings to search with.
   * @param {() => Promise<boolean>} askToken
   */
  constructor(queue, askToken) {
    Object.assign(this, { queue, askToken, chosen: null, nearest: null, problem: null, asked: 0 });
    const input = byId("search-input");
    byId("search-choose").addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      if (input.files.length) this.ask({ file: input.files[0], path: input.files[0].name });
      input.value = "";
    });
    byId("search-with").addEventListener("change", ({ target }) => {
      if (target.value !== "") this.ask(this.queue.recordings[target.value]);
    });
  }

  /** Offer what is there now. */
  open() {
    const offered = this.queue.recordings.slice(0, MOST_OFFERED);
    byId("search-others").hidden = !offered.length;
    const options = offered.map((one, i) => h("option", { value: i }, one.path));
    byId("search-with").replaceChildren(h("option", { value: "" }, t("search.none")), ...options);
    byId("search-with").value = String(Math.max(-1, offered.indexOf(this.chosen))).replace("-1", "");
    this.render();
  }

  /** Search with a recording; a later search wins. */
  async ask(recording) {
    const own = ++this.asked;
    this.chosen = recording;
    this.nearest = this.problem = null;
    byId("search").setAttribute("aria-busy", "true");
    this.open();
    try {
      const found = await this.#found(recording);
      if (own === this.asked) this.nearest = found.nearest;
    } catch (error) {
      if (own === this.asked) this.problem = error;
    }
    if (own !== this.asked) return;
    byId("search").setAttribute("aria-busy", "false");
    this.render();
  }

  async #found({ file, path }) {
    for (;;) {
      try {
        return await searchStore(file, path, TOP);
      } catch (error) {
        if (error.status !== 401 || !(await this.askToken())) throw error;
      }
    }
  }

  render() {
    byId("search-problem").textContent = this.problem ? problemText(this.problem, this.chosen.path) : "";
    byId("search-about").textContent = this.nearest ? t(this.nearest.length ? "search.found" : "search.nothing", { name: this.chosen.path }) : "";
    byId("search-nearest").replaceChildren(...(this.nearest ?? []).map(row));
  }
}

function row({ index, path, start, end, emotion, cosine, same_emotion: same }) {
  const name = start === null ? path : `${path} [${start.toFixed(2)}–${end.toFixed(2)} s]`;
  const share = same ?? Math.max(cosine, 0);
  const link = h("a.name", { href: `/page/map.html#${index}`, target: "_blank", rel: "opener", title: name }, name);
  return h(
    "li", {}, link, emotion && emotionChip(emotion),
    h("span.level", {}, emotion && scoreBar(emotion, share), h("span.value", {}, same === null ? cosine.toFixed(2) : percent(same))),
  );
}
