/** Results as files for other programs: the columns and documents are those of `e2v recognize`. */

/** All results of a batch as one JSON document. */
export function batchJson(recordings) {
  const results = recordings.filter((one) => one.state === "done").map((one) => resultDocument(one.result));
  const failures = recordings
    .filter((one) => one.state === "failed")
    .map((one) => ({ file: one.path, error: one.problem.title, message: one.problem.message }));
  return JSON.stringify({ results, failures }, null, 2);
}

/** The server's document without what it added for the page. */
export function resultDocument(result) {
  const { peaks, segments, embedding, ...rest } = result;
  return rest;
}

/** A row for each recording. */
export function batchCsv(recordings, labels) {
  const header = ["file", "seconds", "emotion", "confidence", ...labels, "warnings", "model", "provider"];
  const rows = recordings
    .filter((one) => one.state === "done")
    .map(({ result, path }) => [
      path,
      result.seconds.toFixed(3),
      result.emotion,
      result.confidence.toFixed(6),
      ...labels.map((label) => result.scores[label]?.toFixed(6) ?? ""),
      result.warnings.map((warning) => warning.code).join(" "),
      result.model,
      result.provider,
    ]);
  return [header, ...rows].map((row) => row.map(cell).join(",") + "\n").join("");
}

/** A cell, quoted where it must be; a name that a spreadsheet would run as a formula is text. */
function cell(value) {
  const text = /^[=+\-@\t\r]/.test(value) && Number.isNaN(Number(value)) ? `'${value}` : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Numbers as a NumPy file: float32 [count]. */
export function npy(numbers) {
  const shape = `{'descr': '<f4', 'fortran_order': False, 'shape': (${numbers.length},), }`;
  const start = 10; // of the text of the head, whose end lies at a multiple of 64 bytes
  const length = Math.ceil((start + shape.length + 1) / 64) * 64 - start;
  const text = `\x93NUMPY\x01\x00${String.fromCharCode(length & 255, length >> 8)}${shape.padEnd(length - 1)}\n`;
  const head = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  const values = new DataView(new ArrayBuffer(4 * numbers.length));
  numbers.forEach((number, i) => values.setFloat32(4 * i, number, true));
  return new Blob([head, values], { type: "application/octet-stream" });
}
