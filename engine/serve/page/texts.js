/** The page's words, in the language that the user chose or the browser asks for. */

export const LANGUAGES = { en: "English", zh: "中文" };
const KEPT = "e2v.language";

const found = { language: "en", texts: {} };

/** Tells listeners of `change` that the words are others. */
export const languageChanges = new EventTarget();

/** The language in use. */
export const language = () => found.language;

function preferred() {
  const kept = localStorage.getItem(KEPT);
  if (kept in LANGUAGES) return kept;
  const wanted = navigator.languages.map((name) => name.slice(0, 2)).find((name) => name in LANGUAGES);
  return wanted ?? "en";
}

/** Load the words of a language, by default the preferred one, and translate the page. */
export async function useLanguage(name = preferred()) {
  const answer = await fetch(new URL(`texts/${name}.json`, import.meta.url));
  found.texts = await answer.json();
  found.language = name;
  document.documentElement.lang = name === "zh" ? "zh-Hans" : name;
  translate(document);
  languageChanges.dispatchEvent(new Event("change"));
}

/** Remember a choice of the user for the next visit. */
export function chooseLanguage(name) {
  localStorage.setItem(KEPT, name);
  return useLanguage(name);
}

/** The text of a key; `{name}` in it is replaced by the value of that name. */
export function t(key, values = {}) {
  const text = found.texts[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

const hasText = (key) => key in found.texts;

/** Fill the elements of a part of the document that name a text. */
function translate(root) {
  for (const element of root.querySelectorAll("[data-text]")) element.textContent = t(element.dataset.text);
  for (const element of root.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", t(element.dataset.label));
    element.title = t(element.dataset.label);
  }
}

const displays = new Map();

/** Learn the names that a model's own labels have, `{id, display}[]`; they are Chinese. */
export function useDisplays(labels) {
  for (const { id, display } of labels) displays.set(id, display);
}

/** An emotion's name; a label of one's own is its id. */
export function emotionName(id) {
  const key = `emotion.${id}`;
  if (hasText(key)) return t(key);
  return (found.language === "zh" && displays.get(id)) || id;
}

/** A warning of the server in words. */
export function warningText({ code, message }) {
  const key = `warning.${code}`;
  return hasText(key) ? t(key) : message;
}

/** A share from 0 to 1 as a whole number of percent. */
export function percent(share) {
  return new Intl.NumberFormat(found.language, { style: "percent", maximumFractionDigits: 0 }).format(share);
}

/** Seconds as a length that is read at a glance: `5.3 s`, `2:05`, `1:02:05`. */
export function duration(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1)} ${t("unit.seconds")}`;
  return clock(seconds);
}

/** Seconds as a time on a clock, with tenths where they help: `0:05.3`, `1:02:05`. */
export function clock(seconds, tenths = false) {
  const digits = tenths ? 10 : 1;
  const all = Math.round(Math.max(0, seconds) * digits) / digits;
  const [hours, minutes] = [Math.floor(all / 3600), Math.floor(all / 60) % 60];
  const rest = (all % 60).toFixed(tenths ? 1 : 0).padStart(tenths ? 4 : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** Bytes as people read them. */
export function size(bytes) {
  const units = ["B", "kB", "MB", "GB"];
  let [value, unit] = [bytes, 0];
  while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${value.toFixed(unit && value < 10 ? 1 : 0)} ${units[unit]}`;
}
