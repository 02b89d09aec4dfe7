/** The page: what lies where, and who tells whom. */

import { Problem, models, pause, setToken, token } from "./api.js";
import { Card } from "./card.js";
import { Compare } from "./compare.js";
import { listenForFiles } from "./drop.js";
import { announce, byId, h } from "./dom.js";
import { useLabels } from "./labels.js";
import { List } from "./list.js";
import { Live } from "./live.js";
import { problemText } from "./problems.js";
import { Queue } from "./queue.js";
import { Search } from "./search.js";
import { LANGUAGES, chooseLanguage, emotionName, language, languageChanges, percent, t, useLanguage } from "./texts.js";

const THEME = "e2v.theme";
const TABS = ["files", "compare", "search", "live"];
const AGAIN_MS = 3000;

const abilities = { turns: [], feedback: false };
let queue, list, live, compare, search, card, shown, server;

function select(recording, byUser = true) {
  shown = recording;
  list.choose(recording);
  showCard();
  if (byUser && window.matchMedia("(max-width: 60rem)").matches) byId("card").scrollIntoView({ behavior: "smooth" });
}

function showCard() {
  card?.close();
  card = null;
  const ready = shown?.state === "done";
  byId("card").hidden = !ready;
  byId("card").replaceChildren();
  if (!ready) return;
  card = new Card(shown, queue, abilities);
  byId("card").append(card.element);
}

function take(entries) {
  if (!entries.length) {
    announce(t("drop.nothing"));
    byId("drop-note").textContent = t("drop.nothing");
    return;
  }
  byId("drop-note").textContent = "";
  showTab("files");
  const [first] = queue.add(entries);
  select(first, false);
}

/** A screen reader waits while recordings are on their way. */
function showWork() {
  byId("files").setAttribute("aria-busy", String(queue.recordings.some((one) => !one.settled)));
}

function listenToQueue() {
  queue.addEventListener("change", showWork);
  queue.addEventListener("list", showWork);
  queue.addEventListener("change", ({ detail }) => {
    if (detail.state === "done") {
      const { emotion, confidence } = detail.result;
      announce(`${detail.path}: ${emotionName(emotion)} ${percent(confidence)}`);
      if (detail === shown || !shown || shown.state === "failed") select(detail, false);
    } else if (detail.state === "failed") {
      announce(`${detail.path}: ${problemText(detail.problem, detail.file.name)}`);
    } else if (detail === shown && card) {
      showCard();
    }
  });
  queue.addEventListener("list", () => {
    document.body.classList.toggle("filled", queue.recordings.length > 0);
    if (!queue.recordings.includes(shown)) select(queue.recordings.find((one) => one.state === "done") ?? null, false);
  });
}

function showTab(name) {
  for (const tab of TABS) {
    const on = tab === name;
    byId(`tab-${tab}`).setAttribute("aria-selected", String(on));
    byId(`tab-${tab}`).tabIndex = on ? 0 : -1;
    byId(tab).hidden = !on;
  }
  if (name === "live") live.render();
  if (name === "search") search.open();
  if (name === "compare") compare.open();
  else compare.close();
}

function listenToTabs() {
  for (const tab of TABS) {
    byId(`tab-${tab}`).addEventListener("click", () => showTab(tab));
    byId(`tab-${tab}`).addEventListener("keydown", ({ key }) => {
      if (key !== "ArrowLeft" && key !== "ArrowRight") return;
      const there = TABS.filter((one) => !byId(`tab-${one}`).hidden);
      const next = there.at((there.indexOf(tab) + (key === "ArrowRight" ? 1 : -1)) % there.length);
      showTab(next);
      byId(`tab-${next}`).focus();
    });
  }
}

function listenToOptions() {
  byId("window").addEventListener("change", ({ target }) => (queue.options.window = Number(target.value)));
  byId("reject").addEventListener("change", ({ target }) => (queue.options.rejectBelow = Number(target.value)));
  byId("again").addEventListener("click", () => queue.recordings.forEach((one) => queue.retry(one)));
}

function listenToLooks() {
  const languages = byId("language");
  languages.append(...Object.entries(LANGUAGES).map(([id, name]) => h("option", { value: id }, name)));
  languages.value = language();
  languages.addEventListener("change", () => chooseLanguage(languages.value));
  const theme = byId("theme");
  theme.value = localStorage.getItem(THEME) ?? "auto";
  const apply = () => {
    document.documentElement.dataset.theme = theme.value;
    card?.player.draw();
    live?.strip.draw();
    compare?.draw();
  };
  theme.addEventListener("change", () => {
    localStorage.setItem(THEME, theme.value);
    apply();
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
  apply();
}

let asking = null;

/** Ask for the token once, however many requests want one; true if the user gave one. */
function askToken() {
  asking ??= new Promise((resolve) => {
    const dialog = byId("token-dialog");
    byId("token-refused").hidden = !token();
    byId("token").value = "";
    dialog.returnValue = "";
    dialog.showModal();
    const close = () => {
      const given = dialog.returnValue === "use" && byId("token").value;
      if (given) setToken(given);
      asking = null;
      resolve(Boolean(given));
    };
    dialog.addEventListener("close", close, { once: true });
  });
  return asking;
}

/** Say why the server does not answer, and wait until another try makes sense. */
async function wait(problem) {
  const again = h("button", { type: "button" }, t("list.retry"));
  byId("away").replaceChildren(problemText(problem), " ", again);
  byId("away").hidden = false;
  const pressed = new Promise((resolve) => again.addEventListener("click", resolve));
  await (problem.status === 401 ? pressed : Promise.race([pressed, pause(AGAIN_MS)]));
}

/** Learn which model answers; again and again while the server is away. */
async function meetServer() {
  while (!server) {
    try {
      server = await models();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status !== 401 || !(await askToken())) await wait(error);
    }
  }
  byId("away").hidden = true;
  useLabels(server.models[0].labels);
  queue.mostBytes = server.upload_bytes;
  Object.assign(abilities, { turns: server.turns, feedback: server.feedback });
  byId("tab-search").hidden = server.store === null;
  showModel();
}

function showModel() {
  if (!server) return;
  const [{ name, provider, labels }] = server.models;
  byId("search-size").textContent = t("search.size", { count: server.store ?? 0 });
  byId("model").textContent = [name, provider?.toUpperCase(), t("model.labels", { count: labels.length })].filter(Boolean).join(" · ");
}

async function start() {
  await useLanguage();
  queue = new Queue(askToken);
  list = new List(queue, select);
  live = new Live((file) => take([{ file, path: file.name }]), abilities);
  compare = new Compare(queue);
  search = new Search(queue, askToken);
  listenToQueue();
  listenToTabs();
  listenToOptions();
  listenToLooks();
  listenForFiles(take);
  byId("record").addEventListener("click", () => {
    showTab("live");
    live.start();
  });
  languageChanges.addEventListener("change", () => {
    list.render();
    live.render();
    if (!byId("compare").hidden) compare.open();
    if (!byId("search").hidden) search.open();
    showCard();
    showModel();
  });
  showTab(location.hash === "#live" ? "live" : "files");
  document.body.dataset.words = "";
  await meetServer();
  document.body.dataset.ready = "";
}

start();
