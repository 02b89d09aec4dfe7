/** What the server refuses, in words. */

import { t } from "./texts.js";

/**
 * A problem as a sentence for the user.
 * @param {string} name the recording's; it stands beside the sentence, which need not begin with it.
 */
export function problemText(error, name = "") {
  if (error.status === 0 && error.title === "unreachable") return t("problem.unreachable");
  if (error.status === 401) return t("problem.token");
  const text = error.message || t("problem.other", { status: error.status });
  return name && text.startsWith(`${name}: `) ? text.slice(name.length + 2) : text;
}
