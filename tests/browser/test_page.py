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
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._report.model import (
    AGE_STATES,
    SOURCES,
    is_rotating,
    visible,
)
from ansible_collections.ranchhand.rancher.plugins.plugin_utils._report.today import SENTENCES
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from support.fleets import HOSTILE, fleet

from .conftest import RUNBOOKS

AXE = Path(axe_selenium_python.__file__).parent / "node_modules" / "axe-core" / "axe.min.js"

# Returns the lowest contrast of a text to its background (WCAG 2), and this text. Colors here are rgb(r, g, b).
CONTRAST = """
    const parts = (color) => color.match(/[\\d.]+/g).map(Number);
    const luminance = (color) => parts(color).slice(0, 3).map((value) => value / 255)
      .map((value) => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
      .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
    const background = (element) => {
      const color = getComputedStyle(element).backgroundColor;
      return parts(color)[3] === 0 ? background(element.parentElement) : color;
    };
    const texts = [...document.querySelectorAll("body *")].filter((element) => element.checkVisibility()
      && [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
    return texts.map((element) => {
      const both = [getComputedStyle(element).color, background(element)].map(luminance).sort((a, b) => b - a);
      return [(both[0] + 0.05) / (both[1] + 0.05), element.outerHTML.slice(0, 200)];
    }).sort(([a], [b]) => a - b)[0];
"""

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
    chromium.element("#uses summary").click()
    chromium.element(".copy").click()
    assert chromium.requests() == [chromium.driver.current_url.partition("#")[0]]
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
    assert not chromium.elements("img, iframe, object, base") and len(chromium.elements("script")) == 2
    here = chromium.driver.current_url.partition("#")[0]
    links = chromium.js("return [...document.querySelectorAll('main a')].map((link) => link.href.split('#')[0])")
    assert set(links) <= {here, f"{RUNBOOKS}/credentials.md", f"{RUNBOOKS}/rotation.md"}
    for name in HOSTILE:
        search(chromium, visible(name).lower()[:30].strip())
        assert any(visible(name) in text for text in texts(chromium, "#rows .open bdi"))
    assert chromium.requests() == [chromium.driver.current_url.partition("#")[0]] and chromium.console_messages() == []


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
    assert chromium.requests() == [chromium.driver.current_url.partition("#")[0]] and chromium.console_messages() == []


def test_the_page_shows_the_model(chromium, page):
    model = page(fleet(60))
    figures = [tile.text.split("\n") for tile in chromium.elements(".figure")]
    assert [(int(count), text, show) for count, text, show in figures] == [
        (len(model["credentials"]), "in total", "Show in the table"),
        *((model["figures"][f"with{key}"], f"with{text}", "Show in the table") for key, text in (
            ("_errors", " errors"), ("_warnings", " warnings only"), ("_notices", " notices only"),
            ("out_problems", "out problems")))]
    error = chromium.element("#notes .error").text
    assert "dr-site could not be read" in error and "connection refused" in error
    chromium.element("#notes summary").click()
    assert "lab: owner_gone: this connection may not list" in chromium.element("#notes .warning").text

    def table(name):
        rows = chromium.elements(f"#{name}-data tbody tr")
        cells = [row.find_elements("css selector", "th, td") for row in rows]
        return [[cell.get_attribute("textContent") for cell in row] for row in cells]

    states = [state for state in AGE_STATES if sum(row[state] for row in model["ages"])]
    assert [row[1:] for row in table("ages")] == [[str(row[state]) for state in states] for row in model["ages"]]
    assert [[int(cell) for cell in row[1:]] for row in table("rotations")] == [
        [week["completed"], week["failed"]] for week in model["rotations"]]
    assert re.fullmatch(r"\d+ \w{3,4} 2026", table("rotations")[-1][0])

    chromium.element("#all").click()
    for credential, row in zip(model["credentials"], chromium.elements("#rows > tr")):
        text = row.text
        if credential["gone"]:
            assert "cc-gone1" in text and SENTENCES["dangling"] in text
            continue
        source, phase = SOURCES[credential["key_age_source"]], credential["rotation"]["phase"]
        assert all(part in text for part in (credential["name"], credential["rancher"], source, phase)), text
        assert {link.get_attribute("href") for link in row.find_elements("css selector", "a")} == {
            f"{RUNBOOKS}/credentials.md#{problem['code']}" for problem in credential["problems"]}
        assert all(SENTENCES[problem["code"]] in text for problem in credential["problems"])
        assert bool(re.search(r"\d+ days? overdue|^now$", text, re.MULTILINE)) == bool(credential["due"])


def test_today_lists_what_to_do_in_order_of_urgency(chromium, page):
    model = page(fleet(60))
    assert len(chromium.elements("#today > li")) == 6
    chromium.element("#today-all").click()
    shown = [item.text for item in chromium.elements("#today > li")]
    assert len(shown) == len(model["today"]) and chromium.driver.switch_to.active_element.tag_name in ("a", "button")
    for task, text in zip(model["today"], shown):
        remedy = task["remedy"]
        for part in (task["why"], task["detail"], task["name"] or task["rancher"], remedy["what"]):
            assert part in text
        assert (remedy["command"] or remedy["page"] or "") in text
        assert task["id"] is None or f"owner: {task['owner'] or 'none'}" in text
    assert shown[0].startswith("now") and shown[-1].startswith("when you have time")
    task = next(task for task in model["today"] if task["id"] and task["remedy"]["command"])
    link = next(link for link in chromium.elements("#today a") if link.text == task["name"])
    link.click()
    WebDriverWait(chromium.driver, 30).until(lambda _driver: len(ids(chromium)) == 1)
    assert ids(chromium) == [task["id"].rpartition(":")[2]]


def test_a_command_is_copied_or_selected(chromium, page):
    model = page(fleet(60))
    command = next(task["remedy"]["command"] for task in model["today"] if task["remedy"]["command"])
    button = chromium.element(".copy")
    button.click()
    WebDriverWait(chromium.driver, 30).until(lambda _driver: button.text in ("Copied", "Selected"))
    assert button.text == "Copied" or chromium.js("return String(getSelection())") == command


def test_charts(chromium, page):
    """A bar for each policy, with a part for each state that has keys; one unit of height for each rotation."""
    model = page(fleet(60))
    bars = chromium.js(
        "return [...document.querySelectorAll('.stack')].map((bar) => [...bar.children].map((part) => "
        "[part.className, Number(part.textContent), getComputedStyle(part).backgroundColor]))")
    assert [[(name.split()[1], count) for name, count, _color in stack] for stack in bars] == [
        [(state, row[state]) for state in AGE_STATES if row[state]] for row in model["ages"]]
    colors = {(name, color) for stack in bars for name, _count, color in stack}
    assert len(colors) == len(dict(colors)) == len({color for _name, color in colors})
    weeks = chromium.js(
        "return [...document.querySelectorAll('.week')].map((week) => ['completed', 'failed'].map((name) => "
        "week.querySelector('.' + name)?.offsetHeight || 0))")
    unit = max(sum(week) for week in weeks) / max(week["completed"] + week["failed"] for week in model["rotations"])
    assert [[round(height / unit) for height in week] for week in weeks] == [
        [week["completed"], week["failed"]] for week in model["rotations"]]
    assert any(week["failed"] for week in model["rotations"])
    assert re.search(r"\d+ \w{3,4} 2026", chromium.element(".labels").text)


def test_who_uses_what(chromium, page):
    model = page(fleet(60, unread=False))
    used = [credential for credential in model["credentials"] if credential["references"]]
    assert f"{len(used)} credentials in use" in chromium.element("#uses-hint").text
    names = texts(chromium, "#uses > ul > li > details > ul > li > details > summary > bdi")
    assert sorted(names) == sorted(credential["name"] for credential in used)
    credential = next(credential for credential in used if len(credential["references"]) > 2)
    reference = credential["references"][1]
    field = chromium.element("#uses-search input")
    field.send_keys(reference["name"])
    assert credential["name"] in texts(chromium, "#uses summary bdi")
    leaves = chromium.elements("#uses details details li")
    assert leaves and all(reference["name"] in leaf.text for leaf in leaves)
    assert reference["field"] in " ".join(leaf.text for leaf in leaves)
    field.send_keys(" no such thing")
    assert "No credential" in chromium.element("#uses-hint").text


def test_the_url_contains_the_state(chromium, page):
    model = page(fleet(60))
    choose(chromium, "rancher", "lab")
    search(chromium, "prod")
    chromium.elements("#columns button")[AGE].click()
    chromium.elements("#columns button")[AGE].click()
    chromium.element("#uses-search input").send_keys("alice & co")
    state = "#search=prod&rancher=%3Dlab&sort=-age&uses=alice+%26+co"
    WebDriverWait(chromium.driver, 30).until(lambda driver: driver.current_url.endswith(state))
    url, shown = chromium.driver.current_url, ids(chromium)
    assert shown
    chromium.open_url(url)
    assert ids(chromium) == shown and chromium.driver.current_url == url
    assert chromium.element("#uses-search input").get_attribute("value") == "alice & co"
    assert chromium.elements("#columns th")[AGE].get_attribute("aria-sort") == "descending"
    reset(chromium)
    chromium.open_url(f"{url.partition('#')[0]}#rancher=%3Dgone&sort=__proto__&due=due&search=<img>")
    assert chromium.element("#filters [name=rancher]").get_attribute("value") == ""
    assert chromium.element("#rows").text == "No credential matches the filters."
    chromium.open_url(f"{url.partition('#')[0]}#due=due")
    assert set(ids(chromium)) == matching_ids(model, lambda credential: credential["due"])


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


def test_details_name_the_other_ranchers_with_the_key(chromium, page):
    results = fleet(2, ranchers=("prod-eu", "prod-us"), unread=False, names=HOSTILE[2:3])
    [first, second] = [credential for result in results.values() for credential in result["credentials"]]
    model = page({
        rancher: {"credentials": [{**credential, "key_digest": "1f"}]}
        for rancher, credential in (("prod-eu", first), ("prod-us", second))})
    copy = next(credential for credential in model["credentials"] if credential["is_copy"])
    (other,) = copy["also_in"]
    choose(chromium, "rancher", copy["rancher"])
    chromium.element(".open").click()
    detail = chromium.element(".detail").text
    assert "Same key in" in detail and f"{other['rancher']}: {HOSTILE[2]}" in detail and other["id"] in detail


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

    def worst(credential):
        return credential["problems"][0]["level"] if credential["problems"] else None

    for name, text, check in (
        ("rancher", "lab", lambda credential: credential["rancher"] == "lab"),
        ("driver", "azure", lambda credential: credential["driver"] == "azure"),
        ("owner", "alice", lambda credential: credential["owner_name"] == "alice"),
        ("phase", "in rotation", is_rotating),
        ("phase", "idle", lambda credential: credential["rotation"] and not is_rotating(credential)),
        ("problem", SENTENCES[code], lambda credential: has(credential, "code", code)),
        ("problem", "warnings only", lambda credential: worst(credential) == "warning"),
        ("problem", "none", lambda credential: not credential["problems"]),
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
        ("with errors", lambda credential: worst(credential) == "error"),
        ("notices only", lambda credential: worst(credential) == "notice"),
    ):
        tile = next(credential for credential in chromium.elements(".figure") if text in credential.text)
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
    chromium.element("#uses details details summary").click()
    assert violations(chromium) == []
    lowest, text = chromium.js(CONTRAST)
    assert lowest >= 4.5, text


def test_color_scheme(chromium, page):
    page(fleet(20))
    looks = []
    for scheme in ("light", "dark"):
        chromium.scheme(scheme)
        time.sleep(0.2)
        looks.append(chromium.js(
            "return [getComputedStyle(document.body).backgroundColor, "
            "getComputedStyle(document.querySelector('#ages .bars .state')).backgroundColor]"))
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
            "return [...document.querySelectorAll('.stack, .weeks span, #today li, .figure')]"
            ".map((element) => element.getBoundingClientRect().right)")
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
    assert len(chromium.elements("#today li")) == sum("msg" in result for result in ranchers.values())
    assert "No rotation has ended." in chromium.element("#rotations-hint").text
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
