"""The operators' console in a real browser, over the real StreamHub."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from commands.comments import PostComment
from events import clock
from projections.comments import COMMENT_THREADS
from tests.e2e.browser import Browser, open_browser, wait_for
from tests.support.api import Person
from tests.support.positions import settled
from tests.support.streamhub import StreamHub
from tests.support.videos import Backstage

#: Where pictures of the pages are put, for people to look at; nowhere when it is not set.
PICTURES = os.environ.get("STREAMHUB_TEST_PICTURES", "")
LOOKS = {"light": (1280, "light"), "dark": (1280, "dark"), "narrow": (320, "light")}
# What an automatic look finds of WCAG 2.2: names, captions, headings, unique ids, no scrolling
# sideways, contrast of every text.
AUDIT = (Path(__file__).parent / "audit.js").read_text(encoding="utf-8")


@dataclass
class Desk:
    """A browser, and the console."""

    browser: Browser
    url: str

    async def open(self, path: str) -> None:
        await asyncio.to_thread(self.browser.open, f"{self.url}/console{path}")

    async def until(self, what: str, condition: str, timeout_s: float = 60.0) -> None:
        """Wait until an expression is true on the page."""
        script = f"return Boolean({condition})"
        await asyncio.to_thread(wait_for, what, lambda: self.browser.run(script), timeout_s)

    async def says(self, text: str, timeout_s: float = 60.0) -> None:
        condition = f"document.querySelector('main').textContent.includes({text!r})"
        await self.until(text, condition, timeout_s)

    async def press(self, element_id: str) -> None:
        self.browser.run("document.getElementById(arguments[0]).focus()", element_id)
        await self.type(Keys.ENTER)

    async def type(self, *keys: str) -> None:
        """Type where the focus is."""
        element = self.browser.driver.switch_to.active_element
        await asyncio.to_thread(element.send_keys, *keys)

    async def sign_in(self, person: Person) -> None:
        """Sign in as somebody without a mouse does."""
        self.browser.driver.delete_all_cookies()
        await self.open("/sign-in")
        self.browser.driver.delete_all_cookies()
        self.browser.find("email").send_keys(person.email, Keys.TAB, person.password, Keys.ENTER)

    async def look(self, name: str) -> None:
        """Audit the page in each look, and take a picture of it."""
        driver = self.browser.driver
        try:
            for look, (width, scheme) in LOOKS.items():
                emulated = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
                driver.execute_cdp_cmd("Emulation.setEmulatedMedia", emulated)
                size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
                driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
                found = self.browser.run(AUDIT)
                assert found == [], f"{name}, {look}: {found}"
                if PICTURES:
                    target = Path(PICTURES) / f"{name}-{look}.png"
                    height = self.browser.run("return document.documentElement.scrollHeight")
                    size["height"] = min(height, 2400)
                    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
                    await asyncio.to_thread(driver.save_screenshot, str(target))
        finally:
            driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
async def desk(streamhub: StreamHub, browser: Browser, admin: Person) -> AsyncIterator[Desk]:
    """A desk at which an admin has signed in; pages complain of nothing meanwhile."""
    desk = Desk(browser, streamhub.url)
    await desk.sign_in(admin)
    await desk.says("What readers see")
    browser.problems()
    yield desk
    assert browser.problems() == []


async def test_who_is_no_admin_does_not_get_in(
    streamhub: StreamHub, browser: Browser, person: Person
) -> None:
    desk = Desk(browser, streamhub.url)
    await desk.sign_in(person)
    await desk.says("The console is for admins")
    assert browser.run("return document.querySelector('h1').textContent") == "Not permitted"
    await desk.look("refused")
    await desk.open("/topics")
    await desk.says("For admins, with the account")
    await desk.look("sign-in")


async def test_a_projection_is_rebuilt_while_its_page_is_open(
    desk: Desk, backstage: Backstage
) -> None:
    """Pressed by keyboard; the page shows the end, and the build, without being loaded again."""
    await settled(backstage.core)
    await desk.look("projections")
    await desk.open("/projections/moderation_queue")
    before = desk.browser.find("live-build").text
    await desk.press("do-rebuild")
    await desk.says("under way")
    desk.browser.run("window.stays = true")
    news = "document.getElementById('news').textContent"
    await desk.until("its end", f"{news}.startsWith('rebuild of moderation_queue done')", 120.0)
    await desk.until(
        "the new build", f"document.getElementById('live-build').textContent != {before!r}"
    )
    assert desk.browser.run("return window.stays") is True
    await desk.look("projection")
    await desk.press("do-roll-back")
    await desk.says("rollback under way")
    await desk.until(
        "the former build",
        f"document.getElementById('live-build').textContent == {before!r}",
        120.0,
    )
    await desk.until("the end of it", "document.getElementById('do-prune')")
    await desk.press("do-prune")
    await desk.says("builds removed: 1")


async def test_a_rebuild_is_watched_and_cancelled(desk: Desk) -> None:
    await desk.open("/projections/command_log")
    desk.browser.find("rate").send_keys("1")
    await desk.press("do-rebuild")
    await desk.until("its progress", "document.querySelector('progress')")
    await desk.look("rebuilding")
    await desk.open("/")
    await desk.until("its progress", "document.querySelector('#projection-command_log progress')")
    await desk.open("/projections/command_log")
    await desk.press("do-cancel")
    await desk.says("cancelled")
    await desk.until("its end", "!document.querySelector('progress')")


async def test_a_dead_letter_is_looked_at_and_retried(
    desk: Desk, backstage: Backstage, person: Person, public_video: str
) -> None:
    core, comment_id = backstage.core, clock.new_id()
    await core.keys.load([person.id])
    [live] = await core.builds.seen([COMMENT_THREADS])
    table = f"ALTER TABLE comments__{live.tag}"
    rule = f"refused_{comment_id[-12:]}"
    await core.pool.execute(
        f"{table} ADD CONSTRAINT {rule} CHECK (id <> '{comment_id}' OR user_id IS NULL)"
    )
    try:
        place = {"video_id": public_video, "comment_id": comment_id}
        await backstage.decide(PostComment(**place, author_id=person.id, text="Well."))
        await settled(core)
        await desk.open(f"/letters?reader=comments&key={public_video}")
        await desk.says("1 letter")
        await desk.look("letters")
        first = "document.querySelector('#letters tbody a')"
        desk.browser.run(f"{first}.focus()")
        await desk.type(Keys.ENTER)
        await desk.says("CheckViolation")
        await desk.press("do-retry")
        await desk.until("the refusal", "document.querySelector('#told .state.failed')")
        await desk.says("STILL_INDIGESTIBLE")
        await desk.look("letter")
    finally:
        await core.pool.execute(f"{table} DROP CONSTRAINT {rule}")
    await desk.press("do-retry")
    await desk.until("its end", "document.getElementById('state').textContent == 'retried'")
    await desk.says("comments: applied")
    row = await core.pool.fetchrow("SELECT user_id FROM comments WHERE id = $1", comment_id)
    assert row is not None
    assert str(row["user_id"]) == person.id


async def test_the_log_is_walked_through(
    desk: Desk, backstage: Backstage, person: Person, video: str
) -> None:
    """From a video to its events, to one of them, to what its command led to; by keyboard."""
    made = await person.post("/comments", {"videoId": video, "text": "A harbour at noon."})
    await settled(backstage.core)
    await desk.open("/log")
    await desk.look("log")
    desk.browser.find("id").send_keys(video, Keys.ENTER)
    await desk.says("video.ready.v1")
    await desk.look("timeline")
    shown = desk.browser.run(
        "return [...document.querySelectorAll('tbody th')].map((cell) => cell.textContent)"
    )
    assert shown[:2] == ["video.upload_requested.v1", "video.created.v1"]
    await desk.open(f"/log/timeline?domain=comments&id={made.data['id']}")
    await desk.says("1 event of comments")
    desk.browser.run("document.querySelector('tbody th a').focus()")
    await desk.type(Keys.ENTER)
    await desk.says("moderate_comments")
    await desk.look("event")
    assert "harbour" not in desk.browser.find("body").text
    await desk.press("do-show")
    await desk.says("A harbour at noon.")
    desk.browser.run("document.querySelector('dd a[href*=causes]').focus()")
    await desk.type(Keys.ENTER)
    await desk.says("comment.post.v1")
    nested = "document.querySelector('.tree > .command > ul > .event > ul > .command > .node')"
    await desk.until("a command of a reaction", nested)
    await desk.says("moderation.record_score.v1")
    await desk.says("accepted, events: 1")
    await desk.look("causes")


async def test_topics_are_shown(desk: Desk) -> None:
    await desk.open("/topics")
    await desk.says("events.videos")
    await desk.look("topics")


async def test_everything_is_reached_by_keyboard(desk: Desk) -> None:
    """The first thing leads past the head; Tab visits every link, field and button, in order."""
    await desk.open("/projections/followers")
    await desk.type(Keys.TAB)
    assert desk.browser.driver.switch_to.active_element.text == "Skip to the content"
    await desk.type(Keys.ENTER)
    assert desk.browser.run("return document.activeElement.id") == "content"
    wanted = desk.browser.run(
        "return [...document.querySelectorAll('main a, main button, main input')].length"
    )
    visited = 0
    for _ in range(60):
        await desk.type(Keys.TAB)
        inside, outline = desk.browser.run(
            "const at = document.activeElement;"
            "return [at.closest('main') && at.matches('a, button, input') ? 1 : 0,"
            "getComputedStyle(at).outlineStyle]"
        )
        if desk.browser.run("return document.activeElement === document.body"):
            break
        assert outline != "none"
        visited += inside
    assert visited == wanted


async def test_pages_work_without_scripts(desk: Desk, streamhub: StreamHub) -> None:
    driver = desk.browser.driver
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        await desk.open("/projections/followers")
        driver.find_element("id", "do-pause").send_keys(Keys.ENTER)
        resume = await asyncio.to_thread(
            wait_for, "the way back", lambda: driver.find_elements("id", "do-resume")
        )
        resume[0].send_keys(Keys.ENTER)
        await asyncio.to_thread(
            wait_for, "pausing again", lambda: driver.find_elements("id", "do-pause")
        )
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
