// Keeps an open page as it would be if it were loaded now. Without it every page works as well.

const place = document.querySelector("[data-live]");
const connection = document.getElementById("connection");
const news = document.getElementById("news");
let revision = null;
let heard = null;
let fetching = false;
let again = false;

function say(text) {
  connection.textContent = text;
  connection.hidden = text === "";
}

function fill(cells) {
  for (const cell of document.querySelectorAll("[data-cell]")) {
    const text = cells[cell.dataset.cell];
    if (text === undefined) continue;
    if (cell.tagName === "PROGRESS") cell.value = Number.parseInt(text, 10);
    else if (cell.textContent !== text) cell.textContent = text;
  }
}

// What somebody has typed, ticked or scrolled to stays as it is, and so does the focus.
function replace(fresh) {
  for (const part of document.querySelectorAll("[data-part]")) {
    const now = fresh.getElementById(part.id);
    if (!now || now.innerHTML === part.innerHTML) continue;
    for (const field of part.querySelectorAll("input[id], input[name]")) {
      const same = field.id
        ? now.querySelector(`#${CSS.escape(field.id)}`)
        : now.querySelector(`input[name="${CSS.escape(field.name)}"]`);
      if (same) {
        same.value = field.value;
        same.checked = field.checked;
      }
    }
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    part.replaceChildren(...now.childNodes);
    if (focused) (document.getElementById(focused) ?? part).focus({ preventScroll: true });
  }
}

async function refresh() {
  again = fetching;
  if (fetching) return;
  fetching = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.redirected) location.reload();
    else if (answer.ok) replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } finally {
    fetching = false;
    if (again) refresh();
  }
}

function take(seen) {
  say(seen.problem);
  if (seen.problem !== "") return;
  fill(seen.cells);
  if (revision !== null && (seen.revision !== revision || seen.news !== heard)) refresh();
  if (heard !== null && seen.news !== heard) news.textContent = seen.news;
  revision = seen.revision;
  heard = seen.news;
}

if (place) {
  const source = new EventSource(place.dataset.live);
  source.addEventListener("message", (event) => take(JSON.parse(event.data)));
  source.addEventListener("ended", () => location.reload());
  source.addEventListener("error", () => say("Not connected; what stands here may be old."));
  source.addEventListener("open", () => say(""));
}
