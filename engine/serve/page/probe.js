/** The length of a recording before the server has told it. */

const SMALL_BYTES = 600_000;
const LEAST_BYTES_A_SECOND = 2000; // speech codecs at 16 kbit/s
const PATIENCE_MS = 3000;

/**
 * @param {File} file
 * @returns {Promise<{known: number|null, most: number}>} seconds that the browser reads from the
 *     file, and the most that it may have.
 */
export async function probeSeconds(file) {
  const bound = file.size / LEAST_BYTES_A_SECOND;
  if (file.size < SMALL_BYTES && bound < 90) return { known: null, most: bound };
  const known = await byBrowser(file);
  return { known, most: known ?? bound };
}

/** Seconds by the browser's own reader, which reads no more than the file's head. */
function byBrowser(file) {
  return new Promise((resolve) => {
    const url = URL.createObjectURL(file);
    const audio = new Audio();
    const finish = (seconds) => {
      clearTimeout(timer);
      audio.removeAttribute("src");
      URL.revokeObjectURL(url);
      resolve(Number.isFinite(seconds) && seconds > 0 ? seconds : null);
    };
    const timer = setTimeout(finish, PATIENCE_MS, null);
    audio.addEventListener("loadedmetadata", () => finish(audio.duration));
    audio.addEventListener("error", () => finish(null));
    audio.preload = "metadata";
    audio.src = url;
  });
}
