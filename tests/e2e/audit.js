// Returns what is wrong with a page for people who cannot see, hear, point or read small print.
const found = [];
const named = (element) =>
  element.getAttribute("aria-label") || element.labels?.length || element.textContent.trim();

const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) found.push(`two #${id}`);

if (document.querySelectorAll("h1").length !== 1) found.push("not one h1");
let level = 0;
for (const heading of document.querySelectorAll("h1, h2, h3, h4")) {
  const next = Number(heading.tagName[1]);
  if (next > level + 1) found.push(`${heading.textContent} skips a level`);
  level = next;
}
if (!document.documentElement.lang) found.push("no language");
for (const field of document.querySelectorAll("input:not([type=hidden]), select, button, a, progress"))
  if (!named(field)) found.push(`${field.outerHTML} has no name`);
for (const table of document.querySelectorAll("table")) {
  if (!table.caption?.textContent.trim()) found.push("a table without a caption");
  for (const cell of table.querySelectorAll("th")) if (!cell.scope) found.push("a th without scope");
}
if (document.documentElement.scrollWidth > document.documentElement.clientWidth)
  found.push(`it scrolls sideways: ${document.documentElement.scrollWidth}`);

function light([r, g, b]) {
  const [x, y, z] = [r, g, b].map((part) => {
    const share = part / 255;
    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
}
const parts = (colour) => colour.match(/[\d.]+/g).map(Number);
function ground(element) {
  for (let at = element; at; at = at.parentElement) {
    const colour = parts(getComputedStyle(at).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
}
const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const seen = new Set();
while (words.nextNode()) {
  const element = words.currentNode.parentElement;
  if (!words.currentNode.data.trim() || !element.checkVisibility()) continue;
  const colours = [getComputedStyle(element).color, ground(element).join()];
  if (seen.has(colours.join())) continue;
  seen.add(colours.join());
  const [one, two] = [light(parts(colours[0])), light(ground(element))].sort((a, b) => b - a);
  const contrast = (one + 0.05) / (two + 0.05);
  if (contrast < 4.5) found.push(`${element.textContent.trim()}: contrast ${contrast.toFixed(2)}`);
}
return found;
