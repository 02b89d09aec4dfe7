/** Files and folders that are dropped on the page or chosen. */

import { byId } from "./dom.js";

const SOUND = /\.(wav|flac|ogg|oga|opus|mp3|m4a|aac|webm|mp4|mkv|mov|amr|3gp|wma|aif|aiff|au|caf|mka)$/i;

const EXAMPLES = ["cold_hearted.flac", "leisure.flac", "not_ill_disposed.flac"];

/** The example recordings that come with the engine, as `{file, path}[]`. */
function examples() {
  return Promise.all(
    EXAMPLES.map(async (name) => {
      const answer = await fetch(new URL(`samples/${name}`, import.meta.url));
      return { file: new File([await answer.blob()], name, { type: "audio/flac" }), path: name };
    }),
  );
}

/** Call `take` with `{file, path}[]` for whatever the user drops or chooses. */
export function listenForFiles(take) {
  const zone = byId("drop");
  for (const id of ["choose-files", "choose-folder"]) {
    const input = byId(`${id}-input`);
    byId(id).addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      const picked = [...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
      take(id === "choose-folder" ? picked.filter(({ path }) => SOUND.test(path)) : picked);
      input.value = "";
    });
  }
  byId("try-examples").addEventListener("click", async () => take(await examples()));
  let depth = 0; // dragenter and dragleave come for every element below as well
  const shown = (more) => zone.classList.toggle("over", (depth = Math.max(0, depth + more)) > 0);
  document.addEventListener("dragenter", () => shown(1));
  document.addEventListener("dragleave", () => shown(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    depth = 0;
    shown(0);
    take(await dropped(event.dataTransfer));
  });
}

/** All files of a drop; of folders, those that are named like sound. */
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, path: file.name }));
  const found = [];
  for (const entry of entries) await walk(entry, "", found);
  return found;
}

async function walk(entry, folder, found) {
  const path = folder + entry.name;
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    if (!folder || SOUND.test(path)) found.push({ file, path });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // at most 100 at once
    if (!some.length) return;
    for (const inner of some) await walk(inner, `${path}/`, found);
  }
}
