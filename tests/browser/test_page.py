# Copyright (c) 2026 ranchhand contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a report in Debian's Chromium: content, interaction, accessibility and security."""

from __future__ import annotations

import base64
import re
import time
from pathlib import Path

import axe_selenium_python
import pytest
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._report.model import SOURCES, is_rotating, visible
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from support.fleets import HOSTILE, fleet

from .conftest import RUNBOOKS

AXE = Path(axe_selenium_python.__file__).parent / "node_modules" / "axe-core" / "axe.min.js"

# Columns of the table.
NAME, RANCHER, DRIVER, OWNER, AGE, DUE, USES, PHASE, PROBLEMS = range(9)


def texts(chromium, selector):
    """Return the text of all elements that match."""
    script = "return [...document.querySelectorAll(arguments[0])].map((element) => element.textContent)"
    return chromium.js(script, selector)


def ids(chromium):
    """Return the ids in the rows, in order."""
    return texts(chromium, "#rows > tr > th .sub")


def column(chromium, index):
    script = "return [...document.querySelectorAll('#rows > tr')].map((row) => row.children[arguments[0]].innerText)"
    return chromium.js(script, index)


def matching_ids(model, check):
    return {credential["id"].rpartition(":")[2] for credential in model["credentials"] if check(credential)}


def choose(chromium, name, text):
    Select(chromium.element(f"#filters [name={name}]")).select_by_visible_text(text)


def search(chromium, text):
    field = chromium.element("#filters [name=search]")
    field.clear()
    field.send_keys(text)


def reset(chromium):
    """Reset the filters, and wait until the page has applied this."""
    chromium.element("#filters [type=reset]").click()
    WebDriverWait(chromium.driver, 30).until(lambda _driver: chromium.element("#all").is_displayed())


def violations(chromium):
    """Return the violations that axe-core finds, without what it cannot determine."""
    chromium.js(AXE.read_text(encoding="utf-8"))
    script = "axe.run(document, {resultTypes: ['violations']}).then((found) => arguments[0](found.violations))"
    found = chromium.driver.execute_async_script(script)
    return [(credential["id"], [node["target"] for node in credential["nodes"]][:3]) for credential in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_requests_and_no_console_messages(chromium, page, scheme):
    chromium.scheme(scheme)
    page(fleet(80))
    chromium.element(".open").click()
    chromium.driver.execute_cdp_cmd("Page.printToPDF", {})
    ActionChains(chromium.driver).move_to_element(chromium.element("#uses")).perform()
    ActionChains(chromium.driver).move_to_element(chromium.element("#rotations")).perform()
    time.sleep(0.3)  # tooltips
    assert chromium.requests() == [chromium.driver.current_url]
    assert chromium.console_messages() == []


def test_content_security_policy_is_enforced(chromium, page):
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
    assert set(refused) >= {
        "script-src-elem", "script-src-attr", "img-src", "frame-src", "style-src-elem", "connect-src"}
    assert chromium.js("return window.ran") is None
    chromium.console_messages()


def test_hostile_names_are_shown_as_text(chromium, page):
    model = page(fleet(len(HOSTILE), names=HOSTILE, unread=False))
    for button in chromium.elements(".open"):
        button.click()
    time.sleep(0.2)
    names = [visible(credential["name"]) for credential in model["credentials"]]
    assert sorted(texts(chromium, "#rows .open bdi")) == sorted(names)
    assert chromium.js("return window.hostile") is None
    assert chromium.js("const all = []; for (const key in {}) all.push(key); return all") == []
    assert not chromium.elements("img, iframe, object, base") and len(chromium.elements("script")) == 3
    assert {link.get_attribute("href").partition("#")[0] for link in chromium.elements("main a")} <= {
        f"{RUNBOOKS}/credentials.md", f"{RUNBOOKS}/rotation.md"}
    for name in HOSTILE:
        search(chromium, visible(name).lower()[:30].strip())
        assert any(visible(name) in text for text in texts(chromium, "#rows .open bdi"))
    assert chromium.requests() == [chromium.driver.current_url] and chromium.console_messages() == []


def test_other_hostile_texts_are_shown_as_text(chromium, page):
    ranchers = fleet(len(HOSTILE), ranchers=(HOSTILE[2], HOSTILE[4], HOSTILE[14]), unread=False)
    for result in ranchers.values():
        for credential, text in zip(result["credentials"], HOSTILE):
            credential.update(
                owner=text, owner_name=text, driver=text, description=text,
                problems=[{"code": "drift", "level": "error", "message": text}],
                references=[{"kind": text, "api_version": text, "namespace": text, "name": text, "field": text}])
            credential["rotation"].update(issuer=text, reason=text, key_id=text, waiting_for=[text])
    ranchers[HOSTILE[3]] = {"msg": HOSTILE[4]}
    page(ranchers)
    for button in chromium.elements(".open"):
        button.click()
    choose(chromium, "rancher", visible(HOSTILE[14]))
    assert chromium.js("return window.hostile") is None and not chromium.elements("img, iframe")
    assert HOSTILE[4] in chromium.element("#notes").text
    assert chromium.requests() == [chromium.driver.current_url] and chromium.console_messages() == []


def test_the_page_shows_the_model(chromium, page):
    model = page(fleet(60))
    figures = dict(reversed(tile.text.split("\n")) for tile in chromium.elements(".figure"))
    assert figures == {name: str(model["figures"][key]) for name, key in (
        ("credentials", "credentials"), ("due", "due"), ("due within 30 days", "due_soon"),
        ("with errors", "with_errors"),
        ("with warnings", "with_warnings"), ("in rotation", "rotating"), ("unused", "unused"))}
    error = chromium.element("#notes .error").text
    assert "dr-site could not be read" in error and "connection refused" in error
    chromium.element("#notes summary").click()
    assert "lab: owner_gone: this connection may not list" in chromium.element("#notes .warning").text

    def table(name):
        rows = chromium.elements(f"#{name}-data tbody tr")
        cells = [row.find_elements("css selector", "th, td") for row in rows]
        return [[cell.get_attribute("textContent") for cell in row] for row in cells]

    assert table("ages") == [[column["share"], str(column["credentials"])] for column in model["ages"]]
    assert table("rotations") == [
        [week["week"], *(str(week[event]) for event in ("rotated", "retired", "given_up"))]
        for week in model["rotations"]]
    # A path for each bar that is not empty, and the name of each credential in the graph.
    assert len(chromium.elements("#ages svg path")) > len([column for column in model["ages"] if column["credentials"]])
    graph = chromium.element("#uses svg").text
    used = [credential for credential in model["credentials"] if credential["references"]]
    assert all(credential["name"][:40] in graph for credential in used[:20])

    chromium.element("#all").click()
    for credential, row in zip(model["credentials"], chromium.elements("#rows > tr")):
        text = row.text
        if credential["gone"]:
            assert "cc-gone1" in text and "dangling" in text
            continue
        source, phase = SOURCES[credential["key_age_source"]], credential["rotation"]["phase"]
        assert all(part in text for part in (credential["name"], credential["rancher"], source, phase)), text
        assert {link.get_attribute("href") for link in row.find_elements("css selector", "a")} == {
            f"{RUNBOOKS}/credentials.md#{problem['code']}" for problem in credential["problems"]}
        assert ("overdue" in text) == bool(credential["due"])


def test_details_of_a_row(chromium, page):
    model = page(fleet(60, unread=False))
    rotating = next(
        credential for credential in model["credentials"] if is_rotating(credential) and credential["references"])
    search(chromium, rotating["id"])
    button = chromium.element(".open")
    button.click()
    detail = chromium.element(f"#{button.get_attribute('aria-controls')}")
    assert button.get_attribute("aria-expanded") == "true"
    for reference in rotating["references"]:
        assert f"{reference['kind']} {reference['namespace']}/{reference['name']}" in detail.text
        assert reference["field"] in detail.text
    assert rotating["id"] in detail.text and rotating["rotation"]["old_key_id"] in detail.text
    links = [link.get_attribute("href") for link in detail.find_elements("css selector", "a")]
    assert f"{RUNBOOKS}/rotation.md#machine_jobs" in links
    button.click()
    assert not chromium.elements(".detail") and button.get_attribute("aria-expanded") == "false"


def test_sorting(chromium, page):
    model = page(fleet(49, unread=False))
    by_id = {credential["id"].rpartition(":")[2]: credential for credential in model["credentials"]}

    def age(credential):
        return -1 if credential["key_age_days"] is None else credential["key_age_days"]

    def due(credential):
        return float("inf") if credential["due_in_days"] is None else credential["due_in_days"]

    def name(credential):
        return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", credential["name"])]

    # The most severe problems first.
    assert ids(chromium) == [credential["id"].rpartition(":")[2] for credential in model["credentials"]]
    for index, key in ((AGE, age), (USES, lambda credential: len(credential["references"])), (DUE, due), (NAME, name)):
        header = chromium.elements("#columns th")[index]
        for direction in ("ascending", "descending"):
            header.find_element("css selector", "button").click()
            assert header.get_attribute("aria-sort") == direction and len(chromium.elements("[aria-sort]")) == 1
            keys = [key(by_id[credential]) for credential in ids(chromium)]
            assert len(keys) == 50 and keys == sorted(keys, reverse=direction == "descending")
    for index in (RANCHER, DRIVER, OWNER, PHASE):
        chromium.elements("#columns button")[index].click()
        cells = [text.split("\n")[0] for text in column(chromium, index)]
        assert cells == sorted(cells)


def test_filters_and_search(chromium, page):
    model = page(fleet(120))
    chromium.element("#all").click()
    code = next(problem["code"] for credential in model["credentials"] for problem in credential["problems"])

    def has(credential, key, value):
        return value in [problem[key] for problem in credential["problems"]]

    for name, text, check in (
        ("rancher", "lab", lambda credential: credential["rancher"] == "lab"),
        ("driver", "azure", lambda credential: credential["driver"] == "azure"),
        ("owner", "alice", lambda credential: credential["owner_name"] == "alice"),
        ("phase", "in rotation", is_rotating),
        ("phase", "idle", lambda credential: credential["rotation"] and not is_rotating(credential)),
        ("problem", code, lambda credential: has(credential, "code", code)),
        ("problem", "with warnings", lambda credential: has(credential, "level", "warning")),
        ("problem", "without problems", lambda credential: not credential["problems"]),
        ("due", "due", lambda credential: credential["due"]),
        ("due", "within 30 days", lambda credential: credential["due_in_days"] in range(30)),
        ("due", "never", lambda credential: credential["due_in_days"] is None),
    ):
        choose(chromium, name, text)
        expected = matching_ids(model, check)
        assert expected and set(ids(chromium)) <= expected, (name, text)
        assert len(ids(chromium)) == min(50, len(expected)), (name, text)
        assert chromium.element("#count").text.partition(",")[0] == f"{len(expected)} of 121"
        choose(chromium, name, "all")
    search(chromium, "PAYMENTS aws lab")
    expected = matching_ids(
        model, lambda credential: credential["rancher"] == "lab"
        and all(word in str(credential).lower() for word in ("payments", "aws")))
    assert set(ids(chromium)) <= expected and ids(chromium)
    choose(chromium, "due", "never")
    search(chromium, "no such thing")
    assert "No credential matches the filters." in chromium.element("#rows").text
    assert "No credential" in chromium.element("#uses-hint").text
    reset(chromium)
    assert chromium.element("#count").text == "121, 1 does not exist but is in use" and len(ids(chromium)) == 50
    for text, check in (
        ("with errors", lambda credential: has(credential, "level", "error")),
        ("unused", lambda credential: not credential["references"]),
    ):
        tile = next(credential for credential in chromium.elements(".figure") if credential.text.endswith(text))
        tile.click()
        assert tile.get_attribute("aria-pressed") == "true"
        count = chromium.element("#count").text.partition(",")[0]
        assert count == f"{len(matching_ids(model, check))} of 121"


def test_keyboard_operation(chromium, page):
    page(fleet(60))
    keys = ActionChains(chromium.driver)

    def press(key, times=1):
        keys.send_keys(*[key] * times).perform()
        return chromium.driver.switch_to.active_element

    assert press(Keys.TAB).text == "Skip to the table"
    press(Keys.ENTER)
    assert press(Keys.TAB).get_attribute("name") == "search"
    press("9")
    assert " of 61" in chromium.element("#count").text
    press(Keys.BACKSPACE)
    for _press in range(9):
        focused = press(Keys.TAB)
    assert focused.get_attribute("data-column") == "name", focused.get_attribute("outerHTML")
    assert chromium.js("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    press(Keys.ENTER)
    assert chromium.element("[aria-sort]").text.startswith("Name")
    assert chromium.driver.switch_to.active_element.get_attribute("data-column") == "name"
    assert press(Keys.TAB, 9).get_attribute("class") == "open"
    press(Keys.SPACE)
    assert len(chromium.elements(".detail")) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_accessibility_violations(chromium, page, scheme):
    chromium.scheme(scheme)
    page(fleet(60))
    for button in chromium.elements(".open")[:5]:
        button.click()
    chromium.element(".data summary").click()
    assert violations(chromium) == []


def test_color_scheme(chromium, page):
    page(fleet(20))
    looks = []
    for scheme in ("light", "dark"):
        chromium.scheme(scheme)
        time.sleep(0.2)
        looks.append(chromium.js(
            "return [getComputedStyle(document.body).backgroundColor, "
            "document.querySelector('#ages svg text').getAttribute('fill')]"))
    (light_page, light_chart), (dark_page, dark_chart) = looks
    assert light_page != dark_page and light_chart != dark_chart


@pytest.mark.parametrize("width", [360, 800, 1900])
def test_no_horizontal_scrolling(chromium, page, width):
    page(fleet(30, names=HOSTILE))
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    chromium.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        time.sleep(0.2)
        assert chromium.js("return document.documentElement.scrollWidth") <= width
        edges = chromium.js(
            "return [...document.querySelectorAll('.chart svg')].map((chart) => chart.getBoundingClientRect().right)")
        assert max(edges) <= width
    finally:
        chromium.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_print_contains_all_rows(chromium, page):
    page(fleet(120))
    printed = base64.b64decode(chromium.driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
    assert printed.startswith(b"%PDF") and len(re.findall(rb"/Type\s*/Page\b", printed)) > 4
    assert len(ids(chromium)) == 121


@pytest.mark.parametrize(
    "ranchers, message",
    [
        pytest.param(
            {"prod": {"credentials": []}},
            "There are no cloud credentials.",
            id="a Rancher without credentials",
        ),
        pytest.param({"prod": {"msg": "connection refused"}}, "No Rancher could be read.", id="an unreachable Rancher"),
    ],
)
def test_without_any_credential(chromium, page, ranchers, message):
    page(ranchers)
    assert message in chromium.element("#rows").text
    assert "No rotation is recorded." in chromium.element("#rotations").text
    assert chromium.console_messages() == [] and violations(chromium) == []


def test_2000_credentials_are_drawn_on_demand(chromium, page):
    """`python -m browser` measures the time."""
    model = page(fleet(2000))
    assert Path(chromium.driver.current_url.removeprefix("file://")).stat().st_size < 5e6
    assert len(ids(chromium)) == 50
    choose(chromium, "rancher", "lab")
    of_lab = matching_ids(model, lambda credential: credential["rancher"] == "lab")
    assert len(ids(chromium)) == 50 and len(of_lab) > 50 and set(ids(chromium)) < of_lab
    chromium.element("#all").click()
    assert set(ids(chromium)) == of_lab
    reset(chromium)
    chromium.element("#all").click()
    assert len(ids(chromium)) == len(model["credentials"])
