/* Copyright (c) 2026 ranchhand contributors
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Elements are made out of data; text never becomes markup.
 */
"use strict";
(() => {
  const report = JSON.parse(document.getElementById("report").textContent);
  const LEVELS = ["error", "warning", "notice"];
  const ROWS = 50;
  const GRAPH = {credentials: 20, users: 6};
  const byId = (id) => document.getElementById(id);

  /* An element with its attributes and children; a child that is a string becomes text, null is left out. */
  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  }
  /* Somebody's text, which may run from right to left without turning around what stands beside it. */
  const theirs = (text) => make("bdi", null, text);
  const plural = (count, one, many) => `${count.toLocaleString("en")} ${count === 1 ? one : many || one + "s"}`;
  const runbook = (file, anchor) => `${report.runbook_url}/${file}.md#${encodeURIComponent(anchor)}`;
  const outside = (url, attributes, ...children) => make("a", {href: url, rel: "noreferrer", target: "_blank", ...attributes}, ...children);
  const day = (time) => make("time", {datetime: time}, time.slice(0, 10));
  const moment = (time) => time.slice(0, 16).replace("T", " ");
  const user = (reference) => `${reference.kind} ${reference.namespace ? reference.namespace + "/" : ""}${reference.name}`;
  const ownerOf = (one) => one.owner_name || one.owner || (one.gone ? "" : "nobody");
  const driverOf = (one) => one.driver || (one.gone ? "" : "none");
  const phaseOf = (one) => one.rotation ? one.rotation.phase : one.gone ? "gone" : "unknown";
  const rank = (one) => one.problems.length ? LEVELS.indexOf(one.problems[0].level) : LEVELS.length;
  const share = (one) => one.key_age_days === null || one.max_age_days === null ? null : one.key_age_days / Math.max(one.max_age_days, 1);
  const soon = (one) => !one.due && one.due_in_days !== null && one.due_in_days < report.soon_days;

  for (const one of report.credentials) {
    one.text = [one.name, one.id, one.driver, one.owner, one.owner_name, one.rancher, one.description, ...one.references.map(user),
      ...one.problems.map((problem) => problem.code + " " + problem.message), ...(one.rotation ? [one.rotation.key_id, one.rotation.old_key_id] : [])]
      .filter(Boolean).join("\n").toLowerCase();
  }

  /* ---- What does not change ---- */

  function notes() {
    for (const one of report.ranchers.filter((rancher) => !rancher.up)) {
      byId("notes").append(make("p", {class: "note error", role: "alert"},
        make("strong", null, theirs(one.name)), " could not be read, so nothing of it is below: ", theirs(one.error)));
    }
    const unjudged = report.ranchers.flatMap((one) => [
      ...one.problems_incomplete.map((text) => [one.name, text]),
      ...one.references_incomplete.map((kind) => [one.name, `uses may be missing: this connection may not list ${kind}`])]);
    if (unjudged.length) {
      byId("notes").append(make("details", {class: "note warning"},
        make("summary", null, `${plural(unjudged.length, "thing")} could not be judged, for want of rights`),
        make("ul", null, ...unjudged.map(([name, text]) => make("li", null, theirs(name), ": ", theirs(text))))));
    }
    const time = report.generated_at;
    byId("generated").append(plural(report.figures.ranchers, "Rancher"), " \u00b7 as of ",
      make("time", {datetime: time}, `${moment(time)} UTC`));
  }

  function dataTable(id, header, rows) {
    byId(id).replaceChildren(make("table", null,
      make("thead", null, make("tr", null, ...header.map((text) => make("th", {scope: "col"}, text)))),
      make("tbody", null, ...rows.map(([first, ...others]) => make("tr", null, make("th", {scope: "row"}, first),
        ...others.map((text) => make("td", null, String(text))))))));
  }

  /* ---- Charts ---- */

  const charts = {};

  /* Draw a chart, with the colours that the page has now; ECharts knows no CSS variables. */
  function draw(id, options) {
    const css = getComputedStyle(document.documentElement);
    const colour = (name) => css.getPropertyValue("--" + name).trim();
    if (!charts[id]) charts[id] = echarts.init(byId(id), null, {renderer: "svg"});
    charts[id].setOption({animation: false, textStyle: {color: colour("soft"), fontFamily: getComputedStyle(document.body).fontFamily}, ...options(colour)},
      true);
  }

  /* Elements, as tooltips would take text for markup; confined, as the arrow of those that are not needs a style of its own. */
  function tooltip(colour, lines) {
    return {
      confine: true, backgroundColor: colour("card"), borderColor: colour("line"), textStyle: {color: colour("text"), fontSize: 13},
      formatter: (given) => make("div", null, ...lines(given).map((line) => make("div", null, line))),
    };
  }

  const emptiness = (colour, show, text) =>
    ({show, text, left: "center", top: "middle", textStyle: {color: colour("soft"), fontSize: 14, fontWeight: "normal"}});

  function bars(colour, categories, labels) {
    return {
      grid: {left: 8, right: 8, top: 34, bottom: 4, containLabel: true},
      xAxis: {
        type: "category", data: categories, axisTick: {show: false}, axisLine: {lineStyle: {color: colour("line")}},
        axisLabel: {color: colour("soft"), hideOverlap: true, ...labels},
      },
      yAxis: {type: "value", minInterval: 1, axisLabel: {color: colour("soft")}, splitLine: {lineStyle: {color: colour("line")}}},
    };
  }

  function drawAges() {
    const shown = report.ages;
    const none = !shown.some((one) => one.credentials);
    draw("ages", (colour) => ({
      ...bars(colour, shown.map((one) => one.share), {interval: 0, fontSize: 11}),
      title: emptiness(colour, none, "No key to count"),
      tooltip: tooltip(colour, ({dataIndex}) => [shown[dataIndex].share, plural(shown[dataIndex].credentials, "credential")]),
      series: [{
        type: "bar", barMaxWidth: 46,
        label: {show: true, position: "top", color: colour("text"), formatter: ({value}) => value ? value.toLocaleString("en") : ""},
        data: shown.map((one, index) => ({
          value: one.credentials,
          itemStyle: {color: colour(one.over ? "bad" : index >= shown.length - 2 ? "quiet" : "accent"), borderRadius: [3, 3, 0, 0]},
        })),
      }],
    }));
  }

  const KINDS = [["rotated", "new key in use", "accent"], ["retired", "old key retired", "good"], ["given_up", "given up", "bad"]];

  function drawRotations() {
    const weeks = report.rotations;
    const none = !weeks.some((one) => one.rotated + one.retired + one.given_up);
    draw("rotations", (colour) => ({
      ...bars(colour, weeks.map((one) => one.week), {formatter: (week) => week.slice(5)}),
      legend: {top: 0, left: 0, itemWidth: 12, itemHeight: 10, textStyle: {color: colour("soft")}, selectedMode: false},
      title: emptiness(colour, none, "No record of a rotation yet"),
      tooltip: {...tooltip(colour, (series) => [`Week of ${weeks[series[0].dataIndex].week}`,
        ...series.map((one) => `${one.seriesName}: ${one.value}`)]), trigger: "axis"},
      series: KINDS.map(([key, name, shade]) => ({
        type: "bar", stack: "all", name, barMaxWidth: 22, itemStyle: {color: colour(shade)}, data: weeks.map((one) => one[key]),
      })),
    }));
  }

  function describeCharts() {
    const over = report.ages.filter((one) => one.over).reduce((sum, one) => sum + one.credentials, 0);
    byId("ages").setAttribute("aria-label", `Bars: ${plural(over, "key is", "keys are")} older than the policy allows. The figures are in the table below.`);
    dataTable("ages-data", ["Allowed age used", "Credentials"], report.ages.map((one) => [one.share, one.credentials]));
    const sum = (key) => report.rotations.reduce((total, one) => total + one[key], 0);
    byId("rotations").setAttribute("aria-label",
      `Bars per week: ${KINDS.map(([key, name]) => `${name} ${sum(key)}`).join(", ")} in all. The figures are in the table below.`);
    dataTable("rotations-data", ["Week of", ...KINDS.map(([, name]) => name)],
      report.rotations.map((one) => [one.week, ...KINDS.map(([key]) => one[key])]));
  }

  /* Owner, credential, users: of the first ones in the table that are used at all, each with its first users. */
  function drawUses(selection) {
    const used = selection.filter((one) => one.references.length);
    const shown = used.slice(0, GRAPH.credentials);
    const nodes = new Map();
    const links = new Map();
    const node = (kind, key, label, depth, shade) => {
      const name = JSON.stringify([kind, ...key]);
      if (!nodes.has(name)) nodes.set(name, {name, label, depth, shade});
      return name;
    };
    const link = (source, target) => links.set(source + target, {source, target, value: 1 + (links.get(source + target) || {value: 0}).value});
    for (const one of shown) {
      const own = node("credential", [one.rancher, one.id], one.name, 1, ["bad", "warn", "accent", "accent"][rank(one)]);
      const users = [...new Map(one.references.map((reference) => [user(reference), reference])).values()];
      const owned = one.gone ? "nobody" : ownerOf(one);
      const owner = node("owner", [one.rancher, one.owner], report.ranchers.length > 1 ? `${owned} \u00b7 ${one.rancher}` : owned, 0, "quiet");
      for (const reference of users.slice(0, GRAPH.users)) {
        link(owner, own);
        link(own, node("user", [one.rancher, reference.kind, reference.namespace, reference.name], user(reference), 2, "good"));
      }
      if (users.length > GRAPH.users) {
        link(owner, own);
        link(own, node("more", [one.rancher, one.id], `${users.length - GRAPH.users} more`, 2, "quiet"));
      }
    }
    byId("uses-hint").textContent = used.length
      ? `Owner, credential, and what uses it: ${shown.length < used.length ? `the first ${shown.length} of ${used.length.toLocaleString("en")}`
        : plural(used.length, "credential")} of the table's selection that ${used.length === 1 ? "is" : "are"} used at all.`
      : "No credential of the table's selection is used.";
    byId("uses").setAttribute("aria-label", `Graph: ${byId("uses-hint").textContent} The table says the same in the details of each row.`);
    byId("uses").hidden = !used.length;
    if (!used.length) return;
    const rows = Math.max(...[0, 1, 2].map((depth) => [...nodes.values()].filter((one) => one.depth === depth).length));
    byId("uses").style.height = `${Math.max(120, rows * 24 + 16)}px`;
    const narrow = byId("uses").clientWidth < 700;
    const most = narrow ? 16 : 44;
    /* With a hair space before it, as ECharts' cache of texts takes a name such as __proto__ for the one of its object. */
    const cut = (text) => "\u200a" + ([...text].length > most ? [...text].slice(0, most - 1).join("") + "\u2026" : text);
    draw("uses", (colour) => ({
      tooltip: tooltip(colour, ({dataType, data}) => dataType === "node" ? [nodes.get(data.name).label]
        : [nodes.get(data.source).label, "\u2192 " + nodes.get(data.target).label]),
      series: [{
        type: "sankey", left: 4, right: narrow ? 120 : 300, top: 8, bottom: 8, nodeWidth: 10, nodeGap: 9, draggable: false, layoutIterations: 16,
        emphasis: {focus: "trajectory"}, lineStyle: {color: colour("quiet"), opacity: 0.28, curveness: 0.5},
        label: {color: colour("text"), fontSize: 12, formatter: ({name}) => cut(nodes.get(name).label)},
        data: [...nodes.values()].map((one) => ({name: one.name, depth: one.depth, itemStyle: {color: colour(one.shade), borderWidth: 0}})),
        links: [...links.values()],
      }],
    }));
    charts.uses.resize();
  }

  /* ---- The table ---- */

  const byText = (of) => (a, b) => of(a).localeCompare(of(b), "en", {numeric: true});
  const byNumber = (of) => (a, b) => of(a) - of(b);
  const orLast = (value) => value === null ? Infinity : value;
  const COLUMNS = [
    ["name", "Name", byText((one) => one.name)],
    ["rancher", "Rancher", byText((one) => one.rancher)],
    ["driver", "Driver", byText(driverOf)],
    ["owner", "Owner", byText(ownerOf)],
    ["age", "Age of the key", byNumber((one) => one.key_age_days === null ? -1 : one.key_age_days)],
    ["due", "Due", byNumber((one) => one.due && one.due_in_days === null ? -Infinity : orLast(one.due_in_days))],
    ["uses", "Used by", byNumber((one) => one.references.length)],
    ["phase", "Rotation", byText(phaseOf)],
    ["problems", "Problems", byNumber(rank)],
  ];
  const sorting = {column: "problems", down: false};
  const filters = byId("filters");
  let limit = ROWS;
  let selection = [];

  function columns() {
    byId("columns").replaceChildren(...COLUMNS.map(([name, title]) => {
      const button = make("button", {type: "button", "data-column": name}, title);
      button.addEventListener("click", () => {
        sorting.down = sorting.column === name && !sorting.down;
        sorting.column = name;
        update();
      });
      return make("th", {scope: "col", class: "w-" + name}, button);
    }));
  }

  function fillFilters() {
    const distinct = (of) => [...new Set(report.credentials.map(of))].sort((a, b) => a.localeCompare(b, "en", {numeric: true}));
    const option = (value, text) => make("option", {value}, text);
    const fill = (name, options) => filters.elements[name].replaceChildren(option("", "all"), ...options.map(([value, text]) => option(value, text)));
    const same = (values) => values.map((value) => ["=" + value, value || "none"]);
    fill("rancher", same(distinct((one) => one.rancher)));
    fill("driver", same(distinct(driverOf)));
    fill("owner", same(distinct(ownerOf)));
    fill("phase", [["rotating", "in rotation"], ...same(distinct(phaseOf))]);
    const codes = new Set(["unused"].concat(...report.credentials.map((one) => one.problems.map((problem) => problem.code))));
    fill("problem", [["error", "with errors"], ["warning", "with warnings"], ["notice", "with notices"], ["none", "without any"], ...same([...codes].sort())]);
    fill("due", [["due", "due"], ["soon", `within ${report.soon_days} days`], ["never", "never"]]);
  }

  const CHECKS = {
    search: (one, words) => words.toLowerCase().split(/\s+/).every((word) => one.text.includes(word)),
    rancher: (one, value) => "=" + one.rancher === value,
    driver: (one, value) => "=" + driverOf(one) === value,
    owner: (one, value) => "=" + ownerOf(one) === value,
    phase: (one, value) => value === "rotating" ? !["idle", "unknown", "gone"].includes(phaseOf(one)) : "=" + phaseOf(one) === value,
    problem: (one, value) => value === "none" ? !one.problems.length : one.problems.some((problem) => problem.level === value || "=" + problem.code === value),
    due: (one, value) => ({due: one.due, soon: soon(one), never: !one.due && one.due_in_days === null})[value],
  };

  function chosen() {
    return Object.keys(CHECKS).map((name) => [name, filters.elements[name].value.trim()]).filter(([, value]) => value);
  }

  function ageCell(one) {
    if (one.key_age_days === null) return make("td", null, one.gone ? "" : "unknown");
    const used = share(one);
    const bar = used === null ? null : make("span", {class: used >= 1 ? "bar over" : "bar", "aria-hidden": "true"}, make("i"));
    if (bar) bar.firstChild.style.width = `${Math.min(100, used * 100)}%`;
    const age = one.max_age_days === null ? plural(one.key_age_days, "day") : `${one.key_age_days.toLocaleString("en")} of ${plural(one.max_age_days, "day")}`;
    return make("td", null, age,
      bar, make("span", {class: "sub"}, one.max_age_days === null ? "no policy; " : "", report.sources[one.key_age_from]));
  }

  function dueCell(one) {
    if (one.gone) return make("td");
    if (one.due) {
      const late = one.due_in_days === null ? 0 : -1 - one.due_in_days;
      return make("td", null, make("span", {class: "late"}, late > 0 ? `${plural(late, "day")} overdue` : "now"),
        one.due_at ? make("span", {class: "sub"}, day(one.due_at)) : null);
    }
    return one.due_at ? make("td", null, one.due_in_days ? `in ${plural(one.due_in_days, "day")}` : "today", make("span", {class: "sub"}, day(one.due_at)))
      : make("td", null, "never");
  }

  function phaseCell(one) {
    const rotation = one.rotation;
    if (one.gone) return make("td");
    if (!rotation) return make("td", null, "unknown", make("span", {class: "sub"}, "the records may not be read"));
    return make("td", null, rotation.phase, rotation.running ? " (a run is at it)" : null,
      rotation.phase === "idle" ? null : make("span", {class: "sub"}, `next: ${rotation.next_step}`));
  }

  const badge = (problem) => outside(runbook("credentials", problem.code), {class: "badge " + problem.level, title: problem.message}, problem.code,
    make("span", {class: "unseen"}, ` (${problem.level}; opens the runbook)`));

  function row(one, index) {
    const open = make("button", {type: "button", class: "open", "aria-expanded": "false", "aria-controls": `detail-${index}`},
      make("span", null, theirs(one.name)));
    const element = make("tr", null,
      make("th", {scope: "row"}, open, make("span", {class: "sub"}, one.id.split(":").pop())),
      make("td", null, theirs(one.rancher)),
      make("td", null, theirs(driverOf(one))),
      make("td", null, theirs(ownerOf(one))),
      ageCell(one), dueCell(one),
      make("td", null, one.references.length ? one.references.length.toLocaleString("en") : "\u2013"),
      phaseCell(one),
      make("td", null, make("ul", {class: "badges"}, ...one.problems.map((problem) => make("li", null, badge(problem))))));
    open.addEventListener("click", () => {
      const closed = open.getAttribute("aria-expanded") === "false";
      open.setAttribute("aria-expanded", String(closed));
      if (closed) element.after(detail(one, `detail-${index}`));
      else byId(`detail-${index}`).remove();
    });
    return element;
  }

  function part(title, items) {
    return items.length ? make("div", null, make("h3", null, title), make("ul", null, ...items.map((item) => make("li", null, ...[].concat(item))))) : null;
  }

  function detail(one, id) {
    const rotation = one.rotation || {transitions: []};
    const facts = [
      one.description ? ["Description: ", theirs(one.description)] : null,
      ["Id ", make("code", null, one.id)],
      one.created_at ? ["Created ", day(one.created_at)] : null,
      one.owner ? ["Owner ", theirs(ownerOf(one)), ` (${one.owner})`] : null,
      rotation.key_id ? ["Key ", make("code", null, rotation.key_id), rotation.issuer ? ` by issuer ${rotation.issuer}` : ""] : null,
      rotation.old_key_id ? ["Old key ", make("code", null, rotation.old_key_id)] : null,
      rotation.reason ? ["Reason of the rotation: ", theirs(rotation.reason)] : null,
      rotation.expires_at ? ["Key ends by itself ", day(rotation.expires_at)] : null,
      rotation.next_step ? `Next step: ${rotation.next_step}` : null,
    ].filter(Boolean);
    const waiting = (rotation.waiting_for || []).map((text) => {
      const [, gate, rest] = text.match(/^([a-z0-9_]+)(: .*)$/s) || [];
      return gate ? [outside(runbook("rotation", gate), null, gate), rest] : text;
    });
    return make("tr", {id}, make("td", {colspan: COLUMNS.length}, make("div", {class: "detail"},
      part("Problems", one.problems.map((problem) => [outside(runbook("credentials", problem.code), null, problem.code), ": ", theirs(problem.message)])),
      part("Used by", one.references.map((reference) => [theirs(user(reference)), make("span", {class: "sub"}, reference.field)])),
      part("Rotation waits for", waiting),
      part("Lately", rotation.transitions.map(([at, phase, what]) => [`${moment(at)} ${phase}: `, theirs(what)])),
      part("About", facts))));
  }

  const figures = [
    ["credentials", "credentials", {}, () => ""],
    ["due", "due", {due: "due"}, (count) => count ? "error" : "good"],
    ["due_soon", `due within ${report.soon_days} days`, {due: "soon"}, (count) => count ? "warning" : ""],
    ["with_errors", "with errors", {problem: "error"}, (count) => count ? "error" : "good"],
    ["with_warnings", "with warnings", {problem: "warning"}, (count) => count ? "warning" : "good"],
    ["rotating", "in rotation", {phase: "rotating"}, () => ""],
    ["unused", "unused", {problem: "=unused"}, () => ""],
  ];

  function tiles() {
    byId("figures").replaceChildren(...figures.map(([key, text, wanted, look]) => {
      const count = report.figures[key];
      const tile = make("button", {type: "button", class: `figure ${look(count)}`, "aria-pressed": "false"},
        make("strong", null, count.toLocaleString("en")), make("span", null, text));
      tile.addEventListener("click", () => {
        filters.reset();
        for (const [name, value] of Object.entries(wanted)) filters.elements[name].value = value;
        limit = ROWS;
        update();
      });
      return tile;
    }));
  }

  const rows = new Map();

  function show() {
    byId("rows").replaceChildren(...selection.slice(0, limit).map((one) => {
      if (!rows.has(one)) rows.set(one, row(one, rows.size));
      rows.get(one).querySelector(".open").setAttribute("aria-expanded", "false");
      return rows.get(one);
    }));
    if (!selection.length) {
      const why = report.credentials.length ? "No credential is like that."
        : report.figures.ranchers_unread ? "No Rancher could be read." : "There are no cloud credentials.";
      byId("rows").append(make("tr", null, make("td", {class: "empty", colspan: COLUMNS.length}, why)));
    }
    const left = selection.length - limit;
    byId("more").hidden = left <= 0;
    byId("some").textContent = `Show ${Math.min(ROWS, left)} more`;
    byId("all").textContent = `Show all ${selection.length.toLocaleString("en")}`;
  }

  function update() {
    const wanted = chosen();
    const [, , order] = COLUMNS.find(([name]) => name === sorting.column);
    selection = report.credentials.filter((one) => wanted.every(([name, value]) => CHECKS[name](one, value)));
    /* The report comes in the order of urgency, which stays where nothing else is asked for. */
    selection.sort((a, b) => sorting.down ? order(b, a) : order(a, b));
    for (const head of byId("columns").children) {
      const mine = head.firstChild.dataset.column === sorting.column;
      if (mine) head.setAttribute("aria-sort", sorting.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    figures.forEach(([, , asked], index) => {
      const same = JSON.stringify(Object.fromEntries(wanted)) === JSON.stringify(asked);
      byId("figures").children[index].setAttribute("aria-pressed", String(wanted.length > 0 && same));
    });
    const gone = selection.filter((one) => one.gone).length;
    byId("count").textContent = selection.length.toLocaleString("en")
      + (selection.length === report.credentials.length ? "" : ` of ${report.credentials.length.toLocaleString("en")}`)
      + (gone ? `, ${plural(gone, "of them is gone but used", "of them are gone but used")}` : "");
    show();
    drawUses(selection);
  }

  const drawAll = () => { drawAges(); drawRotations(); drawUses(selection); };

  notes();
  tiles();
  columns();
  fillFilters();
  describeCharts();
  drawAges();
  drawRotations();
  update();

  const again = () => { limit = ROWS; update(); };
  filters.elements.search.addEventListener("input", again);
  filters.addEventListener("change", ({target}) => { if (target.name !== "search") again(); });
  filters.addEventListener("reset", () => setTimeout(again));
  filters.addEventListener("submit", (event) => event.preventDefault());
  byId("some").addEventListener("click", () => { limit += ROWS; show(); });
  byId("all").addEventListener("click", () => { limit = Infinity; show(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  matchMedia("print").addEventListener("change", drawAll);
  addEventListener("beforeprint", () => {
    for (const note of document.querySelectorAll("details.note")) note.open = true;
    /* So that they shrink to the paper; ECharts draws for one size. */
    for (const svg of document.querySelectorAll(".chart svg")) svg.setAttribute("viewBox", `0 0 ${svg.clientWidth} ${svg.clientHeight}`);
    limit = Infinity;
    show();
  });
  addEventListener("afterprint", () => { for (const svg of document.querySelectorAll(".chart svg")) svg.removeAttribute("viewBox"); });
  addEventListener("resize", () => { for (const chart of Object.values(charts)) chart.resize(); });
  document.documentElement.dataset.ready = Math.round(performance.now());
})();
