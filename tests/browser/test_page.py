# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a report as people see it and use it, in Debian's Chromium."""

from __future__ import annotations

import base64
import re
import time
from pathlib import Path

import axe_selenium_python
import pytest
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._report.model import SOURCES, visible
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from support.fleets import HOSTILE, fleet

from .conftest import RUNBOOKS

AXE = Path(axe_selenium_python.__file__).parent / "node_modules" / "axe-core" / "axe.min.js"

# Columns of the table, as it says them.
NAME, RANCHER, DRIVER, OWNER, AGE, DUE, USES, PHASE, PROBLEMS = range(9)


def ids(chromium):
    """Of the rows, in their order."""
    return chromium.js("return [...document.querySelectorAll('#rows > tr > th .sub')].map((one) => one.textContent)")


def column(chromium, index):
    return chromium.js("return [...document.querySelectorAll('#rows > tr')].map((row) => row.children[arguments[0]].innerText)", index)


def wanted(model, check):
    return {one["id"].rpartition(":")[2] for one in model["credentials"] if check(one)}


def choose(chromium, name, text):
    Select(chromium.one(f"#filters [name={name}]")).select_by_visible_text(text)


def search(chromium, text):
    field = chromium.one("#filters [name=search]")
    field.clear()
    field.send_keys(text)


def violations(chromium):
    """What axe-core has to say, without what it cannot tell for itself."""
    chromium.js(AXE.read_text(encoding="utf-8"))
    found = chromium.driver.execute_async_script("axe.run(document, {resultTypes: ['violations']}).then((found) => arguments[0](found.violations))")
    return [(one["id"], [node["target"] for node in one["nodes"]][:3]) for one in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_asked_for_and_nothing_complains(chromium, page, scheme):
    chromium.scheme(scheme)
    page(fleet(80))
    chromium.one(".open").click()
    chromium.driver.execute_cdp_cmd("Page.printToPDF", {})
    ActionChains(chromium.driver).move_to_element(chromium.one("#uses")).perform()
    ActionChains(chromium.driver).move_to_element(chromium.one("#rotations")).perform()
    time.sleep(0.3)  # tooltips
    assert chromium.requests() == [chromium.driver.current_url]
    assert chromium.complaints() == []


def test_the_policy_is_in_force(chromium, page):
    page(fleet(3))
    refused = chromium.driver.execute_async_script("""
        const refused = [], done = arguments[0];
        document.addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
        const add = (tag, values) => document.body.append(Object.assign(document.createElement(tag), values));
        add("script", {textContent: "window.ran = 1"});
        add("script", {src: "https://hostile.example/x.js"});
        add("img", {src: "https://hostile.example/x.png"});
        add("iframe", {src: "https://hostile.example/"});
        add("style", {textContent: "body { display: none }"});
        document.body.setAttribute("onclick", "window.ran = 2");
        document.body.click();
        fetch("https://hostile.example/").catch(() => setTimeout(() => done(refused), 200));
    """)
    assert {"script-src-elem", "script-src-attr", "img-src", "frame-src", "style-src-elem", "connect-src"} <= set(refused)
    assert chromium.js("return window.ran") is None
    chromium.complaints()


def test_names_of_users_are_names(chromium, page):
    model = page(fleet(len(HOSTILE), names=HOSTILE, unread=False))
    for button in chromium.all(".open"):
        button.click()
    time.sleep(0.2)
    assert sorted(chromium.js("return [...document.querySelectorAll('#rows .open bdi')].map((one) => one.textContent)")) == sorted(
        visible(one["name"]) for one in model["credentials"])
    assert chromium.js("return window.hostile") is None and chromium.js("const all = []; for (const key in {}) all.push(key); return all") == []
    assert not chromium.all("img, iframe, object, base") and len(chromium.all("script")) == 3
    assert {link.get_attribute("href").partition("#")[0] for link in chromium.all("main a")} <= {
        f"{RUNBOOKS}/credentials.md", f"{RUNBOOKS}/rotation.md"}
    for name in HOSTILE:
        search(chromium, visible(name).lower()[:30].strip())
        assert any(visible(name) in text for text in chromium.js("return [...document.querySelectorAll('#rows .open bdi')].map((one) => one.textContent)"))
    assert chromium.requests() == [chromium.driver.current_url] and chromium.complaints() == []


def test_hostile_ranchers_owners_messages_and_users(chromium, page):
    ranchers = fleet(len(HOSTILE), ranchers=(HOSTILE[2], HOSTILE[4], HOSTILE[14]), unread=False)
    for result in ranchers.values():
        for one, text in zip(result["credentials"], HOSTILE):
            one.update(owner=text, owner_name=text, driver=text, description=text, problems=[{"code": "drift", "level": "error", "message": text}],
                       references=[{"kind": text, "api_version": text, "namespace": text, "name": text, "field": text}])
            one["rotation"].update(issuer=text, reason=text, key_id=text, waiting_for=[text])
    ranchers[HOSTILE[3]] = {"msg": HOSTILE[4]}
    page(ranchers)
    for button in chromium.all(".open"):
        button.click()
    choose(chromium, "rancher", visible(HOSTILE[14]))
    assert chromium.js("return window.hostile") is None and not chromium.all("img, iframe")
    assert HOSTILE[4] in chromium.one("#notes").text
    assert chromium.requests() == [chromium.driver.current_url] and chromium.complaints() == []


def test_it_says_what_the_model_says(chromium, page):
    model = page(fleet(60))
    figures = dict(reversed(tile.text.split("\n")) for tile in chromium.all(".figure"))
    assert figures == {name: str(model["figures"][key]) for name, key in (
        ("credentials", "credentials"), ("due", "due"), ("due within 30 days", "due_soon"), ("with errors", "with_errors"),
        ("with warnings", "with_warnings"), ("in rotation", "rotating"), ("unused", "unused"))}
    assert "dr-site could not be read" in chromium.one("#notes .error").text and "connection refused" in chromium.one("#notes .error").text
    chromium.one("#notes summary").click()
    assert "lab: owner_gone: this connection may not list" in chromium.one("#notes .warning").text
    tables = [[[cell.get_attribute("textContent") for cell in row.find_elements("css selector", "th, td")] for row in chromium.all(f"#{name}-data tbody tr")]
              for name in ("ages", "rotations")]
    assert tables[0] == [[one["share"], str(one["credentials"])] for one in model["ages"]]
    assert tables[1] == [[one["week"], str(one["rotated"]), str(one["retired"]), str(one["given_up"])] for one in model["rotations"]]
    # Each bar that is not empty, and the users of each credential that the graph has room for.
    assert len(chromium.all("#ages svg path")) > len([one for one in model["ages"] if one["credentials"]])
    graph = chromium.one("#uses svg").text
    assert all(one["name"][:40] in graph for one in [one for one in model["credentials"] if one["references"]][:20])

    chromium.one("#all").click()
    for one, row in zip(model["credentials"], chromium.all("#rows > tr")):
        text = row.text
        if one["gone"]:
            assert "cc-gone1" in text and "dangling" in text
            continue
        assert all(part in text for part in (one["name"], one["rancher"], SOURCES[one["key_age_from"]], one["rotation"]["phase"])), text
        assert {link.get_attribute("href") for link in row.find_elements("css selector", "a")} == {
            f"{RUNBOOKS}/credentials.md#{problem['code']}" for problem in one["problems"]}
        assert ("overdue" in text) == bool(one["due"])


def test_a_row_shows_more(chromium, page):
    model = page(fleet(60, unread=False))
    rotating = next(one for one in model["credentials"] if one["rotation"] and one["rotation"]["phase"] != "idle" and one["references"])
    search(chromium, rotating["id"])
    button = chromium.one(".open")
    button.click()
    detail = chromium.one(f"#{button.get_attribute('aria-controls')}")
    assert button.get_attribute("aria-expanded") == "true"
    assert all(f"{one['kind']} {one['namespace']}/{one['name']}" in detail.text and one["field"] in detail.text for one in rotating["references"])
    assert rotating["id"] in detail.text and rotating["rotation"]["old_key_id"] in detail.text
    assert f"{RUNBOOKS}/rotation.md#machine_jobs" in [link.get_attribute("href") for link in detail.find_elements("css selector", "a")]
    button.click()
    assert not chromium.all(".detail") and button.get_attribute("aria-expanded") == "false"


def test_it_sorts(chromium, page):
    model = page(fleet(49, unread=False))
    by_id = {one["id"].rpartition(":")[2]: one for one in model["credentials"]}
    assert ids(chromium) == [one["id"].rpartition(":")[2] for one in model["credentials"]]  # what is worst comes first
    for index, key in ((AGE, lambda one: -1 if one["key_age_days"] is None else one["key_age_days"]), (USES, lambda one: len(one["references"])),
                       (DUE, lambda one: float("inf") if one["due_in_days"] is None else one["due_in_days"]),
                       (NAME, lambda one: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", one["name"])])):
        header = chromium.all("#columns th")[index]
        for direction in ("ascending", "descending"):
            header.find_element("css selector", "button").click()
            assert header.get_attribute("aria-sort") == direction and len(chromium.all("[aria-sort]")) == 1
            keys = [key(by_id[one]) for one in ids(chromium)]
            assert len(keys) == 50 and keys == sorted(keys, reverse=direction == "descending")
    for index in (RANCHER, DRIVER, OWNER, PHASE):
        chromium.all("#columns button")[index].click()
        texts = [text.split("\n")[0] for text in column(chromium, index)]
        assert texts == sorted(texts)


def test_it_filters_and_searches(chromium, page):
    model = page(fleet(120))
    chromium.one("#all").click()
    codes = [problem["code"] for one in model["credentials"] for problem in one["problems"]]
    for name, text, check in (
        ("rancher", "lab", lambda one: one["rancher"] == "lab"),
        ("driver", "azure", lambda one: one["driver"] == "azure"),
        ("owner", "alice", lambda one: one["owner_name"] == "alice"),
        ("phase", "in rotation", lambda one: one["rotation"] and one["rotation"]["phase"] != "idle"),
        ("phase", "idle", lambda one: one["rotation"] and one["rotation"]["phase"] == "idle"),
        ("problem", codes[0], lambda one: codes[0] in [problem["code"] for problem in one["problems"]]),
        ("problem", "with warnings", lambda one: "warning" in [problem["level"] for problem in one["problems"]]),
        ("problem", "without any", lambda one: not one["problems"]),
        ("due", "due", lambda one: one["due"]),
        ("due", "within 30 days", lambda one: one["due_in_days"] is not None and 0 <= one["due_in_days"] < 30),
        ("due", "never", lambda one: one["due_in_days"] is None),
    ):
        choose(chromium, name, text)
        expected = wanted(model, check)
        assert set(ids(chromium)) <= expected and len(ids(chromium)) == min(50, len(expected)) and expected, (name, text)
        assert chromium.one("#count").text.partition(",")[0] == f"{len(expected)} of 121"
        choose(chromium, name, "all")
    search(chromium, "PAYMENTS aws lab")
    expected = wanted(model, lambda one: one["rancher"] == "lab" and "payments" in str(one).lower() and "aws" in str(one).lower())
    assert set(ids(chromium)) <= expected and ids(chromium)
    choose(chromium, "due", "never")
    search(chromium, "no such thing")
    assert "No credential is like that." in chromium.one("#rows").text and "No credential" in chromium.one("#uses-hint").text
    chromium.one("#filters [type=reset]").click()
    time.sleep(0.1)
    assert chromium.one("#count").text == "121, 1 of them is gone but used" and len(ids(chromium)) == 50
    for text, check in (("with errors", lambda one: "error" in [problem["level"] for problem in one["problems"]]),
                        ("unused", lambda one: not one["references"])):
        tile = next(one for one in chromium.all(".figure") if one.text.endswith(text))
        tile.click()
        assert tile.get_attribute("aria-pressed") == "true" and chromium.one("#count").text.partition(",")[0] == f"{len(wanted(model, check))} of 121"


def test_the_keyboard_is_enough(chromium, page):
    page(fleet(60))
    keys = ActionChains(chromium.driver)

    def press(key, times=1):
        keys.send_keys(*[key] * times).perform()
        return chromium.driver.switch_to.active_element

    assert press(Keys.TAB).text == "Skip to the table"
    press(Keys.ENTER)
    assert press(Keys.TAB).get_attribute("name") == "search"
    press("9")
    assert " of 61" in chromium.one("#count").text
    press(Keys.BACKSPACE)
    for _one in range(9):
        focused = press(Keys.TAB)
    assert focused.get_attribute("data-column") == "name", focused.get_attribute("outerHTML")
    assert chromium.js("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    press(Keys.ENTER)
    assert chromium.one("[aria-sort]").text.startswith("Name") and chromium.driver.switch_to.active_element.get_attribute("data-column") == "name"
    assert press(Keys.TAB, 9).get_attribute("class") == "open"
    press(Keys.SPACE)
    assert len(chromium.all(".detail")) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(chromium, page, scheme):
    chromium.scheme(scheme)
    page(fleet(60))
    for button in chromium.all(".open")[:5]:
        button.click()
    chromium.one(".data summary").click()
    assert violations(chromium) == []


def test_it_follows_the_colour_scheme(chromium, page):
    page(fleet(20))
    looks = []
    for scheme in ("light", "dark"):
        chromium.scheme(scheme)
        time.sleep(0.2)
        looks.append(chromium.js("return [getComputedStyle(document.body).backgroundColor, document.querySelector('#ages svg text').getAttribute('fill')]"))
    (light_page, light_chart), (dark_page, dark_chart) = looks
    assert light_page != dark_page and light_chart != dark_chart


@pytest.mark.parametrize("width", [360, 800, 1900])
def test_it_fits(chromium, page, width):
    page(fleet(30, names=HOSTILE))
    chromium.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})
    try:
        time.sleep(0.2)
        assert chromium.js("return document.documentElement.scrollWidth") <= width
        assert max(chromium.js("return [...document.querySelectorAll('.chart svg')].map((one) => one.getBoundingClientRect().right)")) <= width
    finally:
        chromium.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_print_has_all_rows(chromium, page):
    page(fleet(120))
    printed = base64.b64decode(chromium.driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
    assert printed.startswith(b"%PDF") and len(re.findall(rb"/Type\s*/Page\b", printed)) > 4
    assert len(ids(chromium)) == 121


@pytest.mark.parametrize("ranchers, says", [
    ({"prod": {"credentials": []}}, "There are no cloud credentials."),
    ({"prod": {"msg": "connection refused"}}, "No Rancher could be read."),
])
def test_without_any_credential(chromium, page, ranchers, says):
    page(ranchers)
    assert says in chromium.one("#rows").text and "No record of a rotation yet" in chromium.one("#rotations").text
    assert chromium.complaints() == [] and violations(chromium) == []


def test_2000_credentials_are_drawn_as_they_are_asked_for(chromium, page):
    """How soon they are there, `python -m browser` tells."""
    model = page(fleet(2000))
    assert Path(chromium.driver.current_url.removeprefix("file://")).stat().st_size < 5e6
    assert len(ids(chromium)) == 50
    choose(chromium, "rancher", "lab")
    of_lab = wanted(model, lambda one: one["rancher"] == "lab")
    assert len(ids(chromium)) == 50 and len(of_lab) > 50 and set(ids(chromium)) < of_lab
    chromium.one("#all").click()
    assert set(ids(chromium)) == of_lab
    chromium.one("#filters [type=reset]").click()
    chromium.one("#all").click()
    assert len(ids(chromium)) == len(model["credentials"])
