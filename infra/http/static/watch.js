// The watch page: shows a video, plays it, and counts a view of it.

import { wireAccount } from "./account.js";
import { command, randomId, read, remember, remembered } from "./api.js";
import { Player } from "./player.js";

const POLL_MS = 2000;
const VIEW_AFTER_S = 3;
const VIEW_AGAIN_S = 10;
const SESSION = "streamhub.session";

const element = (id) => document.getElementById(id);
const videoId = document.body.dataset.videoId;
const screen = element("video");
const numbers = new Intl.NumberFormat("en");
const dates = new Intl.DateTimeFormat("en", { dateStyle: "medium" });

const player = new Player(screen, element("quality"), findPlaylist, showTrouble);
const showCreator = wireAccount(videoId, refresh);
let opened = false;
let commented = false;
let polling = 0;

function text(id, value) {
  element(id).textContent = value;
}

function count(number, one, many) {
  return `${numbers.format(number)} ${number === 1 ? one : many}`;
}

function notice(message) {
  text("notice", message);
  element("notice").hidden = message === "";
}

function showTrouble(message) {
  notice(message);
  element("again").hidden = message === "";
}

/** Return the playlist's URL at the host that served the page, which serves playlists as well. */
async function findPlaylist() {
  const { url } = await read(`/videos/${videoId}/stream-url`);
  const { pathname, search } = new URL(url, location.href);
  return new URL(pathname + search, location.href).href;
}

function listItem(value) {
  const item = document.createElement("li");
  item.textContent = value;
  return item;
}

function showDetails(video) {
  document.title = `${video.title} - StreamHub`;
  text("title", video.title);
  text("creator", video.creator.username ?? "Unknown creator");
  text("views", count(video.views, "view", "views"));
  text("likes", count(video.likes, "like", "likes"));
  text("comment-count", count(video.comments, "comment", "comments"));
  text("shares", count(video.shares, "share", "shares"));
  text("uploaded", dates.format(new Date(video.uploadedAt)));
  element("uploaded").dateTime = video.uploadedAt;
  text("description", video.description);
  element("tags").replaceChildren(...video.tags.map(listItem));
  element("details").hidden = false;
}

function showProgress(video) {
  element("progress").value = video.progress;
  text("percent", `${Math.floor(video.progress * 100)} %`);
}

async function showState(video) {
  const { status } = video;
  element("processing").hidden = ["ready", "failed"].includes(status);
  screen.hidden = status !== "ready";
  element("tools").hidden = status !== "ready";
  if (status === "ready") {
    await startPlaying(video);
  } else if (status === "failed") {
    notice(video.failure?.message ?? "This video could not be processed.");
  } else {
    notice("");
    showProgress(video);
    clearTimeout(polling);
    polling = setTimeout(refresh, POLL_MS);
  }
}

async function startPlaying(video) {
  if (opened) {
    return;
  }
  opened = true;
  notice("");
  if (video.thumbnail) {
    screen.poster = video.thumbnail;
  }
  await openPlayer();
  if (video.blocked) {
    text("restriction", "Blocked: only you and administrators can see this video.");
  }
}

async function openPlayer(position) {
  try {
    await player.open(position);
  } catch (error) {
    showTrouble(error.message);
  }
}

function commentItem(comment) {
  const item = document.createElement("li");
  const author = document.createElement("strong");
  author.textContent = comment.author.username ?? "Unknown";
  const time = document.createElement("time");
  time.dateTime = comment.createdAt;
  time.textContent = dates.format(new Date(comment.createdAt));
  const body = document.createElement("p");
  body.textContent = comment.isDeleted ? "This comment was deleted." : comment.text;
  item.append(author, " ", time, body);
  if (comment.replyCount > 0) {
    const replies = document.createElement("span");
    replies.className = "replies";
    replies.textContent = count(comment.replyCount, "reply", "replies");
    item.append(replies);
  }
  return item;
}

/** Show the first page of comments, once. */
async function showComments() {
  if (commented) {
    return;
  }
  const comments = await read(`/videos/${videoId}/comments`);
  element("comments").replaceChildren(...comments.map(commentItem));
  element("no-comments").hidden = comments.length > 0;
  element("comment-section").hidden = false;
  commented = true;
}

/** Read the video and show it; without an answer, say so where the film would be. */
async function refresh() {
  try {
    const video = await read(`/videos/${videoId}`);
    showDetails(video);
    // What stands around the film does not matter enough to say that it is missing.
    const around = Promise.allSettled([showCreator(video), showComments()]);
    await showState(video);
    await around;
  } catch (error) {
    showFailure(error);
  }
}

function showFailure(error) {
  const shown = !element("details").hidden;
  if (error.status === 404) {
    element("processing").hidden = true;
    notice("There is no such video, or it is not public.");
  } else if (!shown || !opened) {
    // What is away may come back.
    notice(error.message);
    clearTimeout(polling);
    polling = setTimeout(refresh, POLL_MS);
  }
}

function sessionId() {
  const known = remembered(SESSION) || randomId();
  remember(SESSION, known);
  return known;
}

function playedSeconds() {
  let seconds = 0;
  for (let index = 0; index < screen.played.length; index += 1) {
    seconds += screen.played.end(index) - screen.played.start(index);
  }
  return seconds;
}

let viewDueAt = VIEW_AFTER_S;

/** Count a view once enough was played; a film shorter than that counts at its end. */
async function countView() {
  const seconds = playedSeconds();
  if (seconds < viewDueAt && !(screen.ended && seconds > 0 && viewDueAt === VIEW_AFTER_S)) {
    return;
  }
  viewDueAt = Infinity;
  const body = { sessionId: sessionId(), watchDuration: Math.round(seconds * 10) / 10 };
  try {
    await command("POST", `/videos/${videoId}/view`, body);
    await refresh();
  } catch {
    viewDueAt = seconds + VIEW_AGAIN_S;
  }
}

screen.addEventListener("timeupdate", countView);
screen.addEventListener("ended", countView);
element("again").addEventListener("click", () => openPlayer(screen.currentTime));

await refresh();
