"""The report in a real browser, on a desk and on a phone."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from l2liq.report.render import render
from tests.bundles import bundle

pytestmark = pytest.mark.slow

SIZES = {"desk": (1280, 800), "phone": (390, 844)}


def opened(browser: Browser, page_file: Path, size: str) -> tuple[Page, list[str]]:
    """The page at a size, and everything it complained of or asked the network for."""
    width, height = SIZES[size]
    page = browser.new_page(viewport={"width": width, "height": height})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url) if request.url.startswith("http") else None)
    page.goto(page_file.as_uri())
    page.wait_for_selector(".plot .main-svg")
    return page, complaints


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("hostile", [False, True])
def test_report_opens_offline_without_a_complaint(browser: Browser, tmp_path: Path, size: str, hostile: bool) -> None:
    file = tmp_path / "report.html"
    file.write_text(render(bundle(hostile=hostile)), encoding="utf-8")
    page, complaints = opened(browser, file, size)
    assert complaints == []
    assert page.evaluate("window.hacked") is None
    assert page.locator(".plot .main-svg").count() >= 4
    page.close()


@pytest.mark.parametrize("size", SIZES)
def test_first_screen_is_the_answer_and_nothing_overflows(browser: Browser, tmp_path: Path, size: str) -> None:
    file = tmp_path / "report.html"
    file.write_text(render(bundle()), encoding="utf-8")
    page, _ = opened(browser, file, size)
    box = page.locator(".headline").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < SIZES[size][1]
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.close()


def test_link_to_an_account_opens_its_timeline(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(render(bundle()), encoding="utf-8")
    page = browser.new_page()
    page.goto(f"{file.as_uri()}#a-{'03' * 20}")
    page.wait_for_selector(f"#a-{'03' * 20}[open]")
    assert page.locator(f"#a-{'03' * 20} tbody tr").count() == 2
    page.close()
