// Plays HLS in a video element: by hls.js where there is Media Source, else by the browser itself.
// Newer Chromium says that it plays HLS itself, but less reliably and without a choice of quality.

const HLS_TYPE = "application/vnd.apple.mpegurl";
const AUTO = -1;
// A link that has just been renewed and fails again is not the reason.
const RENEW_AFTER_MS = 30_000;

/**
 * `findUrl()` returns a fresh URL of the master playlist; `onTrouble(message)` is told when playing
 * cannot go on, and `""` when it can again.
 */
export class Player {
  #hls = null;
  #renewedAt = -Infinity;
  #recovered = false;

  constructor(video, select, findUrl, onTrouble) {
    this.video = video;
    this.select = select;
    this.findUrl = findUrl;
    this.onTrouble = onTrouble;
    select.addEventListener("change", () => this.#choose(Number(select.value)));
    video.addEventListener("error", () => this.#nativeError());
  }

  /** Load the film, from `position` in seconds (-1: its beginning). */
  async open(position = -1) {
    const [url, Hls] = await Promise.all([this.findUrl(), loadLibrary()]);
    this.#hls?.destroy();
    this.#hls = null;
    this.onTrouble("");
    if (Hls) {
      this.#openByLibrary(Hls, url, position);
    } else if (this.video.canPlayType(HLS_TYPE)) {
      this.#openNatively(url, position);
    } else {
      this.onTrouble("This browser cannot play the video.");
    }
  }

  #openNatively(url, position) {
    if (position > 0) {
      const seek = () => {
        this.video.currentTime = position;
      };
      this.video.addEventListener("loadedmetadata", seek, { once: true });
    }
    this.video.src = url;
  }

  #openByLibrary(Hls, url, position) {
    const hls = new Hls({
      workerPath: new URL("hls.worker.js", import.meta.url).href,
      capLevelToPlayerSize: true,
      startPosition: position,
    });
    hls.on(Hls.Events.MANIFEST_PARSED, () => this.#offerQualities(hls));
    hls.on(Hls.Events.LEVEL_SWITCHED, (_event, { level }) => this.#showQuality(hls, level));
    hls.on(Hls.Events.FRAG_BUFFERED, () => {
      this.#recovered = false;
    });
    hls.on(Hls.Events.ERROR, (_event, error) => this.#libraryError(Hls, hls, error));
    hls.loadSource(url);
    hls.attachMedia(this.video);
    this.#hls = hls;
  }

  /** List the renditions, the best first; a choice made before a renewal stays. */
  #offerQualities(hls) {
    const chosen = Number(this.select.value);
    const options = hls.levels.map((level, index) => option(index, nameOf(level))).reverse();
    this.select.replaceChildren(option(AUTO, "Auto"), ...options);
    this.select.disabled = false;
    if (chosen !== AUTO && chosen < hls.levels.length) {
      this.select.value = String(chosen);
      hls.loadLevel = chosen;
    }
  }

  #showQuality(hls, level) {
    const name = nameOf(hls.levels[level]);
    this.select.options[0].textContent = hls.autoLevelEnabled ? `Auto (${name})` : "Auto";
    this.video.dataset.quality = name;
  }

  #choose(level) {
    if (this.#hls) {
      this.#hls.nextLevel = level;
    }
  }

  #libraryError(Hls, hls, error) {
    if (hls !== this.#hls) {
      return;
    }
    const refused = error.response?.code === 403;
    if (error.type === Hls.ErrorTypes.NETWORK_ERROR && (refused || error.fatal)) {
      this.#renew("The video cannot be loaded.");
    } else if (error.fatal && error.type === Hls.ErrorTypes.MEDIA_ERROR && !this.#recovered) {
      this.#recovered = true;
      hls.recoverMediaError();
    } else if (error.fatal) {
      this.#giveUp("The video cannot be played.");
    }
  }

  #nativeError() {
    if (this.#hls === null && this.video.error) {
      this.#renew("The video cannot be played.");
    }
  }

  /** Links expire while a film is paused: go on from here with a new one. */
  async #renew(otherwise) {
    if (performance.now() - this.#renewedAt < RENEW_AFTER_MS) {
      this.#giveUp(otherwise);
      return;
    }
    this.#renewedAt = performance.now();
    const { currentTime, paused } = this.video;
    this.#hls?.stopLoad();
    try {
      await this.open(currentTime);
      if (!paused) {
        await this.video.play();
      }
    } catch {
      this.#giveUp(otherwise);
    }
  }

  #giveUp(message) {
    this.#hls?.stopLoad();
    this.onTrouble(message);
  }
}

function option(value, text) {
  const element = document.createElement("option");
  element.value = String(value);
  element.textContent = text;
  return element;
}

/** Return "720p" from the name of the rendition's playlist: of a film on end, the height is not. */
function nameOf(level) {
  return /(\d+p)\.m3u8/.exec(level.url[0])?.[1] ?? `${level.height}p`;
}

let library = null;

/** Return hls.js, or null when it cannot work here or was not found. */
function loadLibrary() {
  library ??= new Promise((resolve) => {
    if (!("MediaSource" in window)) {
      resolve(null);
      return;
    }
    const script = document.createElement("script");
    script.src = new URL("hls.min.js", import.meta.url).href;
    script.addEventListener("load", () => resolve(window.Hls.isSupported() ? window.Hls : null));
    script.addEventListener("error", () => resolve(null));
    document.head.append(script);
  });
  return library;
}
