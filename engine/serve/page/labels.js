/** The model's labels: their colours, and how an emotion is shown. */

import { h } from "./dom.js";
import { emotionName, useDisplays, warningText } from "./texts.js";

const colours = new Map();
const FALLBACK = "#e4e4e4"; // for a label that the model does not have, such as a rejected answer

/** @param {{id: string, display: string, colour: string}[]} labels the model's labels, as `GET /v1/models` tells them. */
export function useLabels(labels) {
  colours.clear();
  for (const { id, colour } of labels) colours.set(id, colour);
  useDisplays(labels);
}

export const labels = () => [...colours.keys()];
export const colourOf = (label) => colours.get(label) ?? FALLBACK;

/** An emotion with its colour: `● Happy`. */
export const emotionChip = (label) =>
  h("span.emotion", { style: { "--emotion": colourOf(label) } }, emotionName(label));

/** A probability as a bar in the colour of its emotion. */
export const scoreBar = (label, share) =>
  h("span.bar", { style: { "--emotion": colourOf(label), "--share": share }, "aria-hidden": true });

/** A mark that says what makes a result less certain; null if nothing does. */
export function warningMark(warnings) {
  if (!warnings.length) return null;
  const words = warnings.map(warningText).join(" ");
  return h("span.mark", { title: words, role: "img", "aria-label": words }, "!");
}
