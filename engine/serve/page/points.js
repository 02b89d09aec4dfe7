/** The points of the store's map, for the page of the map. */

import { storeMap } from "./api.js";

export async function points() {
  try {
    return await storeMap();
  } catch (error) {
    document.getElementById("status").textContent = error.message;
    throw error;
  }
}
