"""The page's files keep to themselves: nothing from elsewhere, nothing inline, no name that is not there."""

import re
from html.parser import HTMLParser

import pytest

from streaming.api.pages import WEB

PAGES = sorted(WEB.glob("*.html"))
SCRIPTS = sorted(WEB.glob("*.js"))
FILES = sorted(file for file in WEB.iterdir() if file.is_file())


class Page(HTMLParser):
    """What a policy would refuse, and the ids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.inline: list[str] = []
        self.links: list[str] = []
        self._within = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._within = tag
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name == "style" or name.startswith("on"):
                self.inline.append(f"{tag} {name}")
            if name in ("src", "href") and value and not value.startswith("#"):
                self.links.append(value)

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within in ("script", "style") and data.strip():
            self.inline.append(self._within)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_nothing_comes_from_elsewhere(file: object) -> None:
    text = file.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")  # pyright: ignore[reportAttributeAccessIssue]
    assert not re.findall(r"https?://|//cdn|@import|url\((?!data:)", text)


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_nothing_is_inline_and_every_link_leads_somewhere(file: object) -> None:
    page = Page(file.read_text("utf-8"))  # pyright: ignore[reportAttributeAccessIssue]
    assert page.inline == []
    assert len(page.ids) == len(set(page.ids))
    for link in page.links:
        assert (WEB / link.removeprefix("/static/")).is_file(), link


def test_every_element_that_the_page_uses_is_there() -> None:
    page = Page((WEB / "index.html").read_text("utf-8"))
    used = {name for file in SCRIPTS if file.name != "stage.js" for name in re.findall(r'\$\("([\w-]+)"\)', file.read_text())}
    assert used - set(page.ids) == set()


def test_every_module_is_there() -> None:
    for file in SCRIPTS:
        for module in re.findall(r'from "\./([\w.]+)"', file.read_text("utf-8")):
            assert (WEB / module).is_file(), f"{file.name} imports {module}"
