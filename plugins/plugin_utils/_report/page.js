/* Copyright (c) 2026 ranchhand contributors
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Creates elements from data; text never becomes markup.
 */
"use strict";
(() => {
  const report = JSON.parse(document.getElementById("report").textContent);
  const LEVELS = ["error", "warning", "notice"];
  const ROWS = 50;
  const GRAPH = {credentials: 20, users: 6};
  const byId = (id) => document.getElementById(id);

  /* Create an element with attributes and children; a string becomes text, and null is left out. */
  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  }
  /* Text from a user, isolated so that right-to-left text does not reorder the text around it. */
  const isolated = (text) => make("bdi", null, text);
  const plural = (count, singular, many) =>
    `${count.toLocaleString("en")} ${count === 1 ? singular : many || singular + "s"}`;
  const runbook = (file, anchor) => `${report.runbook_url}/${file}.md#${encodeURIComponent(anchor)}`;
  const outside = (url, attributes, ...children) =>
    make("a", {href: url, rel: "noreferrer", target: "_blank", ...attributes}, ...children);
  const day = (time) => make("time", {datetime: time}, time.slice(0, 10));
  const moment = (time) => time.slice(0, 16).replace("T", " ");
  const user = ({kind, namespace, name}) => `${kind} ${namespace ? namespace + "/" : ""}${name}`;
  const ownerOf = (credential) => credential.owner_name || credential.owner || (credential.gone ? "" : "none");
  const driverOf = (credential) => credential.driver || (credential.gone ? "" : "none");
  const phaseOf = ({rotation, gone}) => rotation ? rotation.phase : gone ? "gone" : "unknown";
  const rank = ({problems}) => problems.length ? LEVELS.indexOf(problems[0].level) : LEVELS.length;
  const share = (credential) => credential.key_age_days === null || credential.max_age_days === null ? null
    : credential.key_age_days / Math.max(credential.max_age_days, 1);
  const soon = ({due, due_in_days: days}) => !due && days !== null && days < report.soon_days;

  for (const credential of report.credentials) {
    const {references, problems, rotation} = credential;
    credential.text = [credential.name, credential.id, credential.driver, credential.owner, credential.owner_name,
      credential.rancher, credential.description, ...references.map(user),
      ...problems.map((problem) => problem.code + " " + problem.message),
      ...(rotation ? [rotation.key_id, rotation.old_key_id] : [])].filter(Boolean).join("\n").toLowerCase();
  }

  /* ---- Parts that do not depend on the filters ---- */

  function notes() {
    for (const rancher of report.ranchers.filter(({up}) => !up)) {
      byId("notes").append(make("p", {class: "note error", role: "alert"},
        make("strong", null, isolated(rancher.name)), " could not be read. Its credentials are missing below. Reason: ",
        isolated(rancher.error)));
    }
    const skipped = report.ranchers.flatMap((rancher) => [
      ...rancher.problems_incomplete.map((text) => [rancher.name, text]),
      ...rancher.references_incomplete.map((kind) =>
        [rancher.name, `references may be missing: this connection may not list ${kind}`])]);
    if (skipped.length) {
      byId("notes").append(make("details", {class: "note warning"},
        make("summary", null,
          `${plural(skipped.length, "check was", "checks were")} skipped because permissions are missing`),
        make("ul", null, ...skipped.map(([name, text]) => make("li", null, isolated(name), ": ", isolated(text))))));
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

  /* Draw a chart with the current colours of the page, as ECharts does not read CSS variables. */
  function draw(id, options) {
    const css = getComputedStyle(document.documentElement);
    const colour = (name) => css.getPropertyValue("--" + name).trim();
    if (!charts[id]) charts[id] = echarts.init(byId(id), null, {renderer: "svg"});
    const textStyle = {color: colour("soft"), fontFamily: getComputedStyle(document.body).fontFamily};
    charts[id].setOption({animation: false, textStyle, ...options(colour)}, true);
  }

  /* A tooltip contains elements, as ECharts treats text as markup; it is confined, so that it needs no inline style. */
  function tooltip(colour, lines) {
    return {
      confine: true, backgroundColor: colour("card"), borderColor: colour("line"),
      textStyle: {color: colour("text"), fontSize: 13},
      formatter: (given) => make("div", null, ...lines(given).map((line) => make("div", null, line))),
    };
  }

  const emptiness = (colour, show, text) => ({
    show, text, left: "center", top: "middle",
    textStyle: {color: colour("soft"), fontSize: 14, fontWeight: "normal"},
  });

  function bars(colour, categories, labels) {
    return {
      grid: {left: 8, right: 8, top: 34, bottom: 4, containLabel: true},
      xAxis: {
        type: "category", data: categories, axisTick: {show: false}, axisLine: {lineStyle: {color: colour("line")}},
        axisLabel: {color: colour("soft"), hideOverlap: true, ...labels},
      },
      yAxis: {
        type: "value", minInterval: 1, axisLabel: {color: colour("soft")},
        splitLine: {lineStyle: {color: colour("line")}},
      },
    };
  }

  function drawAges() {
    const shown = report.ages;
    const none = !shown.some((bar) => bar.credentials);
    draw("ages", (colour) => ({
      ...bars(colour, shown.map((bar) => bar.share), {interval: 0, fontSize: 11}),
      title: emptiness(colour, none, "There are no keys."),
      tooltip: tooltip(colour, ({dataIndex}) =>
        [shown[dataIndex].share, plural(shown[dataIndex].credentials, "credential")]),
      series: [{
        type: "bar", barMaxWidth: 46,
        label: {
          show: true, position: "top", color: colour("text"),
          formatter: ({value}) => value ? value.toLocaleString("en") : "",
        },
        data: shown.map((bar, index) => ({
          value: bar.credentials,
          itemStyle: {
            color: colour(bar.over ? "bad" : index >= shown.length - 2 ? "quiet" : "accent"),
            borderRadius: [3, 3, 0, 0],
          },
        })),
      }],
    }));
  }

  const KINDS = [
    ["rotated", "new key in use", "accent"], ["retired", "old key retired", "good"], ["given_up", "aborted or rolled back", "bad"],
  ];

  function drawRotations() {
    const weeks = report.rotations;
    const none = !weeks.some((week) => week.rotated + week.retired + week.given_up);
    draw("rotations", (colour) => ({
      ...bars(colour, weeks.map(({week}) => week), {formatter: (week) => week.slice(5)}),
      legend: {top: 0, left: 0, itemWidth: 12, itemHeight: 10, textStyle: {color: colour("soft")}, selectedMode: false},
      title: emptiness(colour, none, "No rotation is recorded."),
      tooltip: {...tooltip(colour, (series) => [`Week of ${weeks[series[0].dataIndex].week}`,
        ...series.map(({seriesName, value}) => `${seriesName}: ${value}`)]), trigger: "axis"},
      series: KINDS.map(([key, name, shade]) => ({
        type: "bar", stack: "all", name, barMaxWidth: 22, itemStyle: {color: colour(shade)},
        data: weeks.map((week) => week[key]),
      })),
    }));
  }

  function describeCharts() {
    const over = report.ages.filter((bar) => bar.over).reduce((sum, bar) => sum + bar.credentials, 0);
    byId("ages").setAttribute("aria-label",
      `Bar chart: ${plural(over, "key is", "keys are")} older than the policy allows. The table contains the figures.`);
    dataTable("ages-data", ["Share of the allowed age", "Credentials"],
      report.ages.map((bar) => [bar.share, bar.credentials]));
    const total = (key) => report.rotations.reduce((sum, week) => sum + week[key], 0);
    const totals = KINDS.map(([key, name]) => `${name} ${total(key)}`).join(", ");
    byId("rotations").setAttribute("aria-label",
      `Bar chart by week, in total: ${totals}. The table contains the figures.`);
    dataTable("rotations-data", ["Week of", ...KINDS.map(([, name]) => name)],
      report.rotations.map((week) => [week.week, ...KINDS.map(([key]) => week[key])]));
  }

  /* The first credentials in the table that are in use, their owners, and their first references. */
  function drawUses(selection) {
    const used = selection.filter((credential) => credential.references.length);
    const shown = used.slice(0, GRAPH.credentials);
    const nodes = new Map();
    const links = new Map();
    const node = (kind, key, label, depth, shade) => {
      const name = JSON.stringify([kind, ...key]);
      if (!nodes.has(name)) nodes.set(name, {name, label, depth, shade});
      return name;
    };
    const link = (source, target) => {
      const {value} = links.get(source + target) || {value: 0};
      links.set(source + target, {source, target, value: value + 1});
    };
    for (const credential of shown) {
      const shade = ["bad", "warn", "accent", "accent"][rank(credential)];
      const own = node("credential", [credential.rancher, credential.id], credential.name, 1, shade);
      const users = [...new Map(credential.references.map((reference) => [user(reference), reference])).values()];
      const ownerName = ownerOf(credential) || "none";
      const label = report.ranchers.length > 1 ? `${ownerName} \u00b7 ${credential.rancher}` : ownerName;
      const owner = node("owner", [credential.rancher, credential.owner], label, 0, "quiet");
      for (const reference of users.slice(0, GRAPH.users)) {
        link(owner, own);
        const key = [credential.rancher, reference.kind, reference.namespace, reference.name];
        link(own, node("user", key, user(reference), 2, "good"));
      }
      if (users.length > GRAPH.users) {
        link(owner, own);
        link(own, node("more", [credential.rancher, credential.id], `${users.length - GRAPH.users} more`, 2, "quiet"));
      }
    }
    const count = shown.length < used.length
      ? `the first ${shown.length} of ${used.length.toLocaleString("en")} credentials`
      : plural(used.length, "credential");
    byId("uses-hint").textContent = used.length
      ? `Owners, credentials, and the objects that refer to them: ${count} in use that the table's filters select.`
      : "No credential that the table's filters select is in use.";
    byId("uses").setAttribute("aria-label",
      `Graph: ${byId("uses-hint").textContent} The details of each row contain the same information.`);
    byId("uses").hidden = !used.length;
    if (!used.length) return;
    const depths = [...nodes.values()].map(({depth}) => depth);
    const rows = Math.max(...[0, 1, 2].map((depth) => depths.filter((each) => each === depth).length));
    byId("uses").style.height = `${Math.max(120, rows * 24 + 16)}px`;
    const narrow = byId("uses").clientWidth < 700;
    const most = narrow ? 16 : 44;
    /* With a leading hair space, as ECharts caches texts in an object, where a name such as __proto__ has a meaning. */
    const cut = (text) =>
      "\u200a" + ([...text].length > most ? [...text].slice(0, most - 1).join("") + "\u2026" : text);
    draw("uses", (colour) => ({
      tooltip: tooltip(colour, ({dataType, data}) => dataType === "node" ? [nodes.get(data.name).label]
        : [nodes.get(data.source).label, "\u2192 " + nodes.get(data.target).label]),
      series: [{
        type: "sankey", left: 4, right: narrow ? 120 : 300, top: 8, bottom: 8, nodeWidth: 10, nodeGap: 9,
        draggable: false, layoutIterations: 16,
        emphasis: {focus: "trajectory"}, lineStyle: {color: colour("quiet"), opacity: 0.28, curveness: 0.5},
        label: {color: colour("text"), fontSize: 12, formatter: ({name}) => cut(nodes.get(name).label)},
        data: [...nodes.values()].map(({name, depth, shade}) =>
          ({name, depth, itemStyle: {color: colour(shade), borderWidth: 0}})),
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
    ["name", "Name", byText((credential) => credential.name)],
    ["rancher", "Rancher", byText((credential) => credential.rancher)],
    ["driver", "Driver", byText(driverOf)],
    ["owner", "Owner", byText(ownerOf)],
    ["age", "Key age", byNumber((credential) => credential.key_age_days === null ? -1 : credential.key_age_days)],
    ["due", "Due", byNumber(({due, due_in_days: days}) => due && days === null ? -Infinity : orLast(days))],
    ["uses", "Used by", byNumber((credential) => credential.references.length)],
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
    const distinct = (of) => [...new Set(report.credentials.map(of))].sort(byText((text) => text));
    const option = (value, text) => make("option", {value}, text);
    const fill = (name, options) => filters.elements[name].replaceChildren(
      option("", "all"), ...options.map(([value, text]) => option(value, text)));
    const same = (values) => values.map((value) => ["=" + value, value || "none"]);
    fill("rancher", same(distinct((credential) => credential.rancher)));
    fill("driver", same(distinct(driverOf)));
    fill("owner", same(distinct(ownerOf)));
    fill("phase", [["rotating", "in rotation"], ...same(distinct(phaseOf))]);
    const codes = new Set(["unused", ...report.credentials.flatMap(({problems}) => problems.map(({code}) => code))]);
    fill("problem", [["error", "with errors"], ["warning", "with warnings"], ["notice", "with notices"],
      ["none", "without problems"], ...same([...codes].sort())]);
    fill("due", [["due", "due"], ["soon", `within ${report.soon_days} days`], ["never", "never"]]);
  }

  const CHECKS = {
    search: (credential, words) => words.toLowerCase().split(/\s+/).every((word) => credential.text.includes(word)),
    rancher: (credential, value) => "=" + credential.rancher === value,
    driver: (credential, value) => "=" + driverOf(credential) === value,
    owner: (credential, value) => "=" + ownerOf(credential) === value,
    phase: (credential, value) => value === "rotating"
      ? !["idle", "unknown", "gone"].includes(phaseOf(credential)) : "=" + phaseOf(credential) === value,
    problem: ({problems}, value) => value === "none"
      ? !problems.length : problems.some((problem) => problem.level === value || "=" + problem.code === value),
    due: (credential, value) => ({
      due: credential.due, soon: soon(credential), never: !credential.due && credential.due_in_days === null,
    })[value],
  };

  function activeFilters() {
    return Object.keys(CHECKS).map((name) => [name, filters.elements[name].value.trim()]).filter(([, value]) => value);
  }

  function ageCell(credential) {
    if (credential.key_age_days === null) return make("td", null, credential.gone ? "" : "unknown");
    const used = share(credential);
    const bar = used === null ? null
      : make("span", {class: used >= 1 ? "bar over" : "bar", "aria-hidden": "true"}, make("i"));
    if (bar) bar.firstChild.style.width = `${Math.min(100, used * 100)}%`;
    const age = credential.max_age_days === null ? plural(credential.key_age_days, "day")
      : `${credential.key_age_days.toLocaleString("en")} of ${plural(credential.max_age_days, "day")}`;
    return make("td", null, age,
      bar, make("span", {class: "sub"}, credential.max_age_days === null ? "no policy; " : "",
        report.sources[credential.key_age_source]));
  }

  function dueCell(credential) {
    if (credential.gone) return make("td");
    if (credential.due) {
      const late = credential.due_in_days === null ? 0 : -1 - credential.due_in_days;
      return make("td", null, make("span", {class: "late"}, late > 0 ? `${plural(late, "day")} overdue` : "now"),
        credential.due_at ? make("span", {class: "sub"}, day(credential.due_at)) : null);
    }
    if (!credential.due_at) return make("td", null, "never");
    const when = credential.due_in_days ? `in ${plural(credential.due_in_days, "day")}` : "today";
    return make("td", null, when, make("span", {class: "sub"}, day(credential.due_at)));
  }

  function phaseCell(credential) {
    const rotation = credential.rotation;
    if (!rotation) {
      return make("td", null, phaseOf(credential),
        credential.gone ? null : make("span", {class: "sub"}, "no permission to read the records"));
    }
    return make("td", null, rotation.phase, rotation.running ? " (a run is active)" : null,
      rotation.phase === "idle" ? null : make("span", {class: "sub"}, `next: ${rotation.next_step}`));
  }

  const badge = (problem) => outside(runbook("credentials", problem.code),
    {class: "badge " + problem.level, title: problem.message}, problem.code,
    make("span", {class: "unseen"}, ` (${problem.level}; opens the runbook)`));

  function row(credential, index) {
    const open = make("button",
      {type: "button", class: "open", "aria-expanded": "false", "aria-controls": `detail-${index}`},
      make("span", null, isolated(credential.name)));
    const element = make("tr", null,
      make("th", {scope: "row"}, open, make("span", {class: "sub"}, credential.id.split(":").pop())),
      make("td", null, isolated(credential.rancher)),
      make("td", null, isolated(driverOf(credential))),
      make("td", null, isolated(ownerOf(credential))),
      ageCell(credential), dueCell(credential),
      make("td", null, credential.references.length ? credential.references.length.toLocaleString("en") : "\u2013"),
      phaseCell(credential),
      make("td", null, make("ul", {class: "badges"},
        ...credential.problems.map((problem) => make("li", null, badge(problem))))));
    open.addEventListener("click", () => {
      const closed = open.getAttribute("aria-expanded") === "false";
      open.setAttribute("aria-expanded", String(closed));
      if (closed) element.after(detail(credential, `detail-${index}`));
      else byId(`detail-${index}`).remove();
    });
    return element;
  }

  function part(title, items) {
    if (!items.length) return null;
    return make("div", null, make("h3", null, title),
      make("ul", null, ...items.map((item) => make("li", null, ...[].concat(item)))));
  }

  function detail(credential, id) {
    const rotation = credential.rotation || {transitions: []};
    const facts = [
      credential.description ? ["Description: ", isolated(credential.description)] : null,
      ["Id ", make("code", null, credential.id)],
      credential.created_at ? ["Created ", day(credential.created_at)] : null,
      credential.owner ? ["Owner ", isolated(ownerOf(credential)), ` (${credential.owner})`] : null,
      rotation.key_id
        ? ["Key ", make("code", null, rotation.key_id), rotation.issuer ? ` by issuer ${rotation.issuer}` : ""] : null,
      rotation.old_key_id ? ["Old key ", make("code", null, rotation.old_key_id)] : null,
      rotation.reason ? ["Reason for the rotation: ", isolated(rotation.reason)] : null,
      rotation.expires_at ? ["Key expires ", day(rotation.expires_at)] : null,
      rotation.next_step ? `Next step: ${rotation.next_step}` : null,
    ].filter(Boolean);
    const waiting = (rotation.waiting_for || []).map((text) => {
      const [, gate, rest] = text.match(/^([a-z0-9_]+)(: .*)$/s) || [];
      return gate ? [outside(runbook("rotation", gate), null, gate), rest] : text;
    });
    return make("tr", {id}, make("td", {colspan: COLUMNS.length}, make("div", {class: "detail"},
      part("Problems", credential.problems.map((problem) =>
        [outside(runbook("credentials", problem.code), null, problem.code), ": ", isolated(problem.message)])),
      part("Used by", credential.references.map((reference) =>
        [isolated(user(reference)), make("span", {class: "sub"}, reference.field)])),
      part("Rotation waits for", waiting),
      part("Recent transitions", rotation.transitions.map(([at, phase, what]) =>
        [`${moment(at)} ${phase}: `, isolated(what)])),
      part("Details", facts))));
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
    byId("figures").replaceChildren(...figures.map(([key, text, selects, look]) => {
      const count = report.figures[key];
      const tile = make("button", {type: "button", class: `figure ${look(count)}`, "aria-pressed": "false"},
        make("strong", null, count.toLocaleString("en")), make("span", null, text));
      tile.addEventListener("click", () => {
        filters.reset();
        for (const [name, value] of Object.entries(selects)) filters.elements[name].value = value;
        limit = ROWS;
        update();
      });
      return tile;
    }));
  }

  const rows = new Map();

  function show() {
    byId("rows").replaceChildren(...selection.slice(0, limit).map((credential) => {
      if (!rows.has(credential)) rows.set(credential, row(credential, rows.size));
      rows.get(credential).querySelector(".open").setAttribute("aria-expanded", "false");
      return rows.get(credential);
    }));
    if (!selection.length) {
      const why = report.credentials.length ? "No credential matches the filters."
        : report.figures.ranchers_unread ? "No Rancher could be read." : "There are no cloud credentials.";
      byId("rows").append(make("tr", null, make("td", {class: "empty", colspan: COLUMNS.length}, why)));
    }
    const left = selection.length - limit;
    byId("more").hidden = left <= 0;
    byId("some").textContent = `Show ${Math.min(ROWS, left)} more`;
    byId("all").textContent = `Show all ${selection.length.toLocaleString("en")}`;
  }

  function update() {
    const active = activeFilters();
    const [, , order] = COLUMNS.find(([name]) => name === sorting.column);
    selection = report.credentials.filter((credential) =>
      active.every(([name, value]) => CHECKS[name](credential, value)));
    /* The report is sorted by urgency; a stable sort keeps this order for equal values. */
    selection.sort((a, b) => sorting.down ? order(b, a) : order(a, b));
    for (const head of byId("columns").children) {
      const mine = head.firstChild.dataset.column === sorting.column;
      if (mine) head.setAttribute("aria-sort", sorting.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    figures.forEach(([, , selects], index) => {
      const same = JSON.stringify(Object.fromEntries(active)) === JSON.stringify(selects);
      byId("figures").children[index].setAttribute("aria-pressed", String(active.length > 0 && same));
    });
    const gone = selection.filter((credential) => credential.gone).length;
    byId("count").textContent = selection.length.toLocaleString("en")
      + (selection.length === report.credentials.length ? "" : ` of ${report.credentials.length.toLocaleString("en")}`)
      + (gone ? `, ${plural(gone, "does not exist but is in use", "do not exist but are in use")}` : "");
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
    /* ECharts draws for a fixed size; with a viewBox, the charts shrink to the paper. */
    for (const svg of document.querySelectorAll(".chart svg")) {
      svg.setAttribute("viewBox", `0 0 ${svg.clientWidth} ${svg.clientHeight}`);
    }
    limit = Infinity;
    show();
  });
  addEventListener("afterprint", () => {
    for (const svg of document.querySelectorAll(".chart svg")) svg.removeAttribute("viewBox");
  });
  addEventListener("resize", () => { for (const chart of Object.values(charts)) chart.resize(); });
  document.documentElement.dataset.ready = Math.round(performance.now());
})();
