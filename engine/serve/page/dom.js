/** Elements, without strings of HTML: what a file's name holds stays text. */

/**
 * Make an element.
 * @param {string} tag name of the element, with classes after dots: `div.card.wide`.
 * @param {object} props attributes; `on` holds listeners, `style` custom properties; a property that
 *     is null, undefined or false is left out.
 * @param {...(Node|string|null|Array)} children nodes or text; null and false are left out.
 * @returns {HTMLElement}
 */
export function h(tag, props = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.classList.add(...classes);
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (key === "style") {
      for (const [property, text] of Object.entries(value)) element.style.setProperty(property, text);
    } else {
      element.setAttribute(key, value === true ? "" : value);
    }
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** The element of an id. */
export const byId = (id) => document.getElementById(id);

/** Give a file to the user. */
export function download(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Tell a screen reader something that has happened. */
export function announce(text) {
  byId("announcer").textContent = text;
}

/** A canvas' context, sized for the pixels of the screen, and cleared: coordinates are CSS pixels. */
export function sharpContext(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [columns, rows] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== columns || canvas.height !== rows) {
    canvas.width = columns;
    canvas.height = rows;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** The value of a custom property of the style sheet, such as a colour. */
export const styleValue = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
