// What a caller with an access token can do here: like the video, follow its creator.

import { changes, command, hasToken, read, setToken } from "./api.js";

const element = (id) => document.getElementById(id);

/** Wire the form and the buttons; `reload()` shows the video anew after a change. */
export function wireAccount(videoId, reload) {
  let creatorId = null;
  const form = element("account");
  const field = element("token");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    setToken(field.value);
    field.value = "";
    tell("");
  });
  element("forget").addEventListener("click", () => setToken(""));
  changes.addEventListener("account", async () => {
    showAccount();
    await reload();
  });
  toggle("like", reload, () => `/videos/${videoId}/like`);
  toggle("follow", () => showFollowing(creatorId), () => `/users/${creatorId}/follow`);
  showAccount();

  return async function showCreator(video) {
    creatorId = video.creator.id;
    press("like", video.liked, "Liked", "Like");
    await showFollowing(creatorId);
  };
}

/** Let a button send POST or DELETE by its state, and show what came of it. */
function toggle(id, refresh, path) {
  const button = element(id);
  button.addEventListener("click", async () => {
    const pressed = button.getAttribute("aria-pressed") === "true";
    button.disabled = true;
    try {
      await command(pressed ? "DELETE" : "POST", path());
      await refresh();
      tell("");
    } catch (error) {
      tell(error.message);
    } finally {
      button.disabled = false;
    }
  });
}

async function showFollowing(creatorId) {
  if (!hasToken()) {
    return;
  }
  element("follow").disabled = true;
  const creator = await read(`/users/${creatorId}`);
  element("follow").disabled = false;
  press("follow", creator.isFollowing, "Following", "Follow");
}

function press(id, pressed, on, off) {
  element(id).setAttribute("aria-pressed", String(pressed));
  element(id).textContent = pressed ? on : off;
}

function showAccount() {
  const known = hasToken();
  for (const id of ["like", "follow", "forget"]) {
    element(id).hidden = !known;
  }
}

function tell(message) {
  element("account-notice").textContent = message;
}
