"""The watch page in a real browser: it plays an HLS ladder out of a real object storage."""

from __future__ import annotations

import asyncio
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from selenium.webdriver.common.keys import Keys

from events.videos import VideoStatus
from infra.http.watch import content_security_policy, origin_of
from infra.s3.storage import S3Storage
from infra.web_assets import WebAssetsBroken, player_version, prepare_web_assets
from processors.media.clips import make_clip
from processors.media.options import TranscodeOptions
from processors.media.transcoding import transcode
from query_api.videos import FailureReason
from tests.conftest import Servers
from tests.e2e.browser import Browser, open_browser, wait_for
from tests.e2e.watch_site import LIFE, Site, comment, create_site, served

CACHE = Path(os.environ.get("STREAMHUB_CACHE_DIR", "~/.cache/streamhub")).expanduser()
TOKEN = "the-owner"
READY = "0198c0de-0000-7000-8000-0000000000a1"
PROCESSING = "0198c0de-0000-7000-8000-0000000000a2"
FAILED = "0198c0de-0000-7000-8000-0000000000a3"
MISSING = "0198c0de-0000-7000-8000-0000000000a4"
CLIP_S = 12.0
HEIGHTS = {"360p": 360, "480p": 474, "720p": 720}
HLS = "application/vnd.apple.mpegurl"
# Text that would do something if it were ever taken for markup.
MARKUP = "<img src=x onerror=\"document.title='broken into'\">"


@dataclass
class Stage:
    """The site, where it is, and a browser."""

    site: Site
    url: str
    browser: Browser

    def watch(self, video_id: str) -> Browser:
        """Open the watch page of a video, without what earlier pages left behind."""
        self.browser.open(f"{self.url}/static/icon.svg")
        self.browser.run("sessionStorage.clear()")
        self.browser.problems()
        self.browser.open(f"{self.url}/watch/{video_id}")
        return self.browser


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ladder")
    make_clip(folder / "clip.mp4", CLIP_S, 1280, 720, fps=15)
    options = TranscodeOptions(preset="ultrafast")
    transcode(folder / "clip.mp4", folder / "hls", options, lambda _: None, lambda: False)
    return folder / "hls"


@pytest.fixture(scope="module")
def storage(servers: Servers, ladder: Path) -> S3Storage:
    storage = S3Storage(servers["s3"])

    async def upload() -> None:
        for file in sorted(ladder.iterdir()):
            for video_id in (READY, PROCESSING):
                await storage.upload(file, f"videos/{video_id}/{file.name}")

    asyncio.run(upload())
    return storage


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def stage(storage: S3Storage, browser: Browser) -> Iterator[Stage]:
    prepare_web_assets(CACHE)
    site = Site(storage, TOKEN)
    thumbnail = storage.download_url(f"videos/{READY}/thumbnail.jpg", LIFE)
    site.add(READY, thumbnail=thumbnail, description=MARKUP)
    site.comments[READY] = [comment("Lovely pattern", replies=2), comment(MARKUP)]
    with served(create_site(site, CACHE)) as url:
        yield Stage(site, url, browser)


def play(browser: Browser) -> None:
    """Start the film as somebody without a mouse does."""
    wait_for("the film is loaded", lambda: browser.video("readyState") >= 2)
    browser.find("video").send_keys(Keys.SPACE)


def loaded_files(browser: Browser) -> list[str]:
    names: list[str] = browser.run(
        "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    )
    return names


def choose_quality(browser: Browser, name: str, height: int) -> None:
    browser.run(
        "const select = document.getElementById('quality');"
        "select.value = [...select.options].find((o) => o.textContent === arguments[0]).value;"
        "select.dispatchEvent(new Event('change'))",
        name,
    )
    wait_for(f"{name} on screen", lambda: browser.video("videoHeight") == height)


def test_plays_counts_a_view_and_switches_quality(stage: Stage) -> None:
    browser = stage.watch(READY)
    play(browser)
    wait_for("two seconds have played", lambda: browser.video("currentTime") > 2)
    assert browser.video("videoWidth") > 0
    assert browser.video("webkitDecodedFrameCount") > 25
    assert browser.video("src").startswith("blob:")
    assert any("/hls.worker.js" in name for name in loaded_files(browser))

    wait_for("a view is counted", lambda: stage.site.views)
    video_id, view = stage.site.views[0]
    assert video_id == READY
    assert 3 <= view.watch_duration < 6
    assert view.session_id == browser.run("return sessionStorage['streamhub.session']")
    wait_for("it is shown", lambda: browser.find("views").text == "1,234 views")

    names = [option.text for option in browser.find("quality").find_elements("tag name", "option")]
    assert [name for name in names if "Auto" not in name] == list(reversed(HEIGHTS))
    for name in ("360p", "720p"):
        choose_quality(browser, name, HEIGHTS[name])
    before = browser.video("currentTime")
    wait_for("it plays on", lambda: browser.video("currentTime") > before or browser.video("ended"))
    assert len(stage.site.views) == 1
    assert browser.problems() == []


def test_expired_links_are_renewed_where_the_film_stands(stage: Stage) -> None:
    browser = stage.watch(READY)
    play(browser)
    choose_quality(browser, "360p", 360)
    wait_for("a second has played", lambda: browser.video("currentTime") > 1)
    assert stage.site.links_given == 1
    loaded = " ".join(loaded_files(browser))
    name = next(name for name in HEIGHTS if f"{name}.m3u8" not in loaded)
    stage.site.expire_links()
    before = browser.video("currentTime")
    choose_quality(browser, name, HEIGHTS[name])
    after = browser.video("currentTime")
    assert stage.site.links_given == 2
    assert after >= before
    assert browser.find("quality").find_element("css selector", ":checked").text == name
    wait_for("it plays on", lambda: browser.video("currentTime") > after + 0.5)
    assert browser.find("again").is_displayed() is False


def test_without_the_library_the_browser_plays_by_itself_or_says_that_it_cannot(
    stage: Stage, tmp_path: Path
) -> None:
    with served(create_site(stage.site, tmp_path)) as url:
        browser = Stage(stage.site, url, stage.browser).watch(READY)
        if browser.run("return document.createElement('video').canPlayType(arguments[0])", HLS):
            play(browser)
            wait_for("a second has played", lambda: browser.video("currentTime") > 1)
            assert browser.video("src").startswith(f"{url}/media/")
        else:
            notice = "This browser cannot play the video."
            wait_for("a notice", lambda: browser.find("notice").text == notice)


def test_shows_everything_as_text(stage: Stage) -> None:
    browser = stage.watch(READY)
    wait_for("comments", lambda: browser.find("comment-section").is_displayed())
    assert browser.driver.title == "A pan across a pattern - StreamHub"
    assert browser.find("title").text == "A pan across a pattern"
    assert browser.find("creator").text == "ada"
    assert browser.find("description").text == MARKUP
    assert browser.find("likes").text == "1 like"
    comments = [item.text for item in browser.find("comments").find_elements("tag name", "li")]
    assert comments == [
        "ada Mar 1, 2026\nLovely pattern\n2 replies",
        f"ada Mar 1, 2026\n{MARKUP}",
    ]
    assert browser.find("video").accessible_name == "A pan across a pattern"
    assert browser.find("quality").accessible_name == "Quality"
    assert not browser.find("like").is_displayed()
    poster = browser.video("poster")
    loaded = "const i = new Image(); i.src = arguments[0]; return i.decode().then(() => i.width)"
    assert browser.run(loaded, poster) > 0
    assert browser.problems() == []


def test_follows_the_colour_scheme_of_the_system(stage: Stage) -> None:
    browser = stage.watch(READY)
    colours = []
    for scheme in ("light", "dark"):
        browser.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )
        colours.append(browser.run("return getComputedStyle(document.body).backgroundColor"))
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert colours == ["rgb(250, 250, 250)", "rgb(18, 19, 22)"]


def test_shows_progress_until_the_video_can_be_played(stage: Stage) -> None:
    stage.site.add(PROCESSING, status=VideoStatus.PROCESSING, progress=0.42)
    browser = stage.watch(PROCESSING)
    wait_for("progress", lambda: browser.find("percent").text == "42 %")
    assert browser.find("progress").get_attribute("value") == "0.42"
    assert not browser.find("video").is_displayed()
    stage.site.add(PROCESSING, status=VideoStatus.PROCESSING, progress=0.9)
    wait_for("more progress", lambda: browser.find("percent").text == "90 %")
    stage.site.add(PROCESSING)
    wait_for("the film is loaded", lambda: browser.video("readyState") >= 2)
    assert not browser.find("processing").is_displayed()
    assert browser.problems() == []


def test_tells_only_the_owner_why_a_video_failed(stage: Stage) -> None:
    stage.site.add(FAILED, status=VideoStatus.FAILED)
    stage.site.failures[FAILED] = FailureReason(code="NO_VIDEO", message="There are no pictures")
    browser = stage.watch(FAILED)
    notice = browser.find("notice")
    wait_for("a notice", lambda: notice.text == "This video could not be processed.")
    use_token(browser, TOKEN)
    wait_for("the reason", lambda: notice.text == "There are no pictures")


def use_token(browser: Browser, token: str) -> None:
    if not browser.find("token").is_displayed():
        browser.driver.find_element("tag name", "summary").send_keys(Keys.ENTER)
    browser.find("token").send_keys(token, Keys.ENTER)


def test_likes_and_follows_with_a_token(stage: Stage) -> None:
    browser = stage.watch(READY)
    use_token(browser, f"Bearer {TOKEN}")
    like, follow = browser.find("like"), browser.find("follow")
    wait_for("the buttons", like.is_displayed)
    like.click()
    wait_for("liked", lambda: like.text == "Liked")
    follow.send_keys(Keys.ENTER)
    wait_for("following", lambda: follow.get_attribute("aria-pressed") == "true")
    assert (stage.site.liked, stage.site.following) == ({READY}, True)
    like.click()
    wait_for("not liked", lambda: like.text == "Like")
    assert stage.site.liked == set()
    assert browser.problems() == []


def test_a_refused_token_is_dropped_and_the_page_still_works(stage: Stage) -> None:
    browser = stage.watch(READY)
    use_token(browser, "expired")
    wait_for(
        "the token is dropped",
        lambda: browser.run("return sessionStorage['streamhub.token']") == "",
    )
    wait_for("no buttons", lambda: not browser.find("like").is_displayed())
    assert browser.find("title").text == "A pan across a pattern"


def test_says_that_there_is_no_such_video(stage: Stage) -> None:
    browser = stage.watch(MISSING)
    text = "There is no such video, or it is not public."
    wait_for("a notice", lambda: browser.find("notice").text == text)
    assert not browser.find("details").is_displayed()


def test_pages_of_another_origin_read_parts_of_segments(stage: Stage, ladder: Path) -> None:
    """A range and a header of one's own ask for a preflight, which must not need a signature."""
    browser = stage.watch(READY)
    name = "360p_001.ts"
    url = stage.site.media.download_url(f"videos/{READY}/{name}", LIFE)
    assert origin_of(url) != stage.url
    fetched = browser.run(
        "const response = await fetch(arguments[0],"
        " {headers: {Range: 'bytes=188-375', 'Cache-Control': 'no-cache'}});"
        "const body = new Uint8Array(await response.arrayBuffer());"
        "return [response.status, response.type, Array.from(body)]",
        url,
    )
    expected = (ladder / name).read_bytes()[188:376]
    assert fetched == [206, "cors", list(expected)]


def test_the_page_reaches_nobody_else(stage: Stage, storage: S3Storage) -> None:
    browser = stage.watch(READY)
    with served(create_site(Site(storage, TOKEN), CACHE)) as elsewhere:
        blocked = browser.run(
            "const seen = new Promise((resolve) => document.addEventListener("
            "'securitypolicyviolation', (e) => resolve(e.effectiveDirective), {once: true}));"
            "fetch(arguments[0]).catch(() => {}); return seen",
            f"{elsewhere}/static/icon.svg",
        )
    assert blocked == "connect-src"


def test_files_are_kept_only_under_their_version(stage: Stage) -> None:
    page = httpx.get(f"{stage.url}/watch/{READY}")
    source = page.text.split('type="module" src="')[1].split('"')[0]
    folder = source.removesuffix("watch.js")
    assert folder.startswith(f"/static/{player_version()}-")
    assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src 's")
    kept = httpx.get(f"{stage.url}{folder}hls.min.js")
    assert kept.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert kept.headers["content-type"].startswith("text/javascript")
    for path in ("/static/hls.min.js", "/static/older/hls.min.js"):
        current = httpx.get(f"{stage.url}{path}")
        assert current.headers["cache-control"] == "no-cache"
        assert current.content == kept.content
    assert httpx.get(f"{stage.url}/static/watch.html").status_code == 404


def test_the_player_is_unpacked_once(tmp_path: Path) -> None:
    (tmp_path / "maven").symlink_to(CACHE / "maven")
    folder = prepare_web_assets(tmp_path)
    assert {file.name for file in folder.iterdir()} == {"hls.min.js", "hls.worker.js", "LICENSE"}
    before = (folder / "hls.min.js").stat().st_ino
    assert prepare_web_assets(tmp_path) == folder
    assert (folder / "hls.min.js").stat().st_ino == before
    assert [item.name for item in (tmp_path / "web").iterdir()] == [folder.name]


def test_a_webjar_that_lacks_a_file_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jar = tmp_path / "hls.js.jar"
    with zipfile.ZipFile(jar, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "")
    monkeypatch.setattr("infra.native.jar_sets.fetch_jars", lambda *_arguments: [jar])
    with pytest.raises(WebAssetsBroken, match=r"dist/hls\.min\.js"):
        prepare_web_assets(tmp_path)
    assert list((tmp_path / "web").iterdir()) == []


def test_the_policy_names_an_origin_without_credentials() -> None:
    origin = origin_of("https://key:secret@media.example:9000/bucket/a?signature=1")
    assert origin == "https://media.example:9000"
    assert "img-src 'self' https://media.example:9000;" in content_security_policy(origin)
    assert "img-src 'self';" in content_security_policy(origin_of("file:///tmp/media"))
