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
  const TASKS = 6;
  /* Credentials of the tree up to which it shows them all, and branches below one. */
  const OPEN = 100;
  const BRANCHES = 200;
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
  const sentence = (code) => report.sentences[code] || code;
  const rank = ({problems}) => problems.length ? LEVELS.indexOf(problems[0].level) : LEVELS.length;
  const share = (credential) => credential.key_age_days === null || credential.max_age_days === null ? null
    : credential.key_age_days / Math.max(credential.max_age_days, 1);
  const soon = ({due, due_in_days: days}) => !due && days !== null && days < report.soon_days;

  for (const credential of report.credentials) {
    const {references, problems, rotation} = credential;
    credential.text = [credential.name, credential.id, credential.driver, credential.owner, credential.owner_name,
      credential.rancher, credential.description, ...references.map(user),
      ...problems.map((problem) => [sentence(problem.code), problem.code, problem.message].join(" ")),
      ...(rotation ? [rotation.key_id, rotation.old_key_id] : [])].filter(Boolean).join("\n").toLowerCase();
  }

  /* A task of a credential names only its place; the rest is in the credential and its problem. */
  const tasks = report.today.map((entry) => {
    if (entry.credential === undefined) return entry;
    const credential = report.credentials[entry.credential];
    const {level, message} = credential.problems.find(({code}) => code === entry.code);
    return {...entry, rancher: credential.rancher, id: credential.id, name: credential.name, level, detail: message,
      owner: credential.owner_name || credential.owner, why: sentence(entry.code)};
  });

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

  /* The part of the URL that selects credentials in the table. */
  const selecting = (values) => "#" + new URLSearchParams(values);
  const linkTo = (values, ...children) => make("a", {href: selecting(values)}, ...children);

  /* Copy a command; a page that is opened as a file may lack the clipboard, so that the text is selected instead. */
  function copyButton(code) {
    const button = make("button", {type: "button", class: "copy"}, "Copy");
    const select = () => {
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    };
    button.addEventListener("click", () => {
      if (!navigator.clipboard) select();
      else navigator.clipboard.writeText(code.textContent).then(() => { button.textContent = "Copied"; }, select);
    });
    return button;
  }

  function remedy({code: problem, remedy: {what, command, page}}) {
    if (command) {
      const code = make("code", {class: "command"}, command);
      return [`${what}: `, code, copyButton(code)];
    }
    if (page) return [`${what}. In Rancher: `, isolated(page)];
    return report.sentences[problem] ? [outside(runbook("credentials", problem), null, what), "."] : [what, "."];
  }

  const task = (entry) => make("li", {class: entry.level},
    make("p", {class: "object"}, make("span", {class: "badge " + entry.level}, report.when[entry.level]), " ",
      entry.id ? linkTo({search: entry.id, rancher: "=" + entry.rancher}, isolated(entry.name))
        : isolated(entry.rancher),
      make("span", {class: "sub"}, ...(entry.id
        ? [isolated(entry.rancher), " \u00b7 owner: ", isolated(entry.owner || "none")] : ["Rancher"]))),
    make("p", null, entry.why, make("span", {class: "sub"}, isolated(entry.detail))),
    make("p", {class: "remedy"}, ...remedy(entry)));

  function today() {
    const show = (count) => {
      byId("today").replaceChildren(...tasks.slice(0, count).map(task));
      byId("today-more").hidden = count >= tasks.length;
    };
    const counts = LEVELS.map((level) => [report.when[level], tasks.filter((entry) => entry.level === level).length]);
    byId("today-hint").textContent = tasks.length
      ? counts.filter(([, count]) => count).map(([when, count]) => `${count.toLocaleString("en")} ${when}`).join(", ")
        + ". The commands need the inventory of this report."
      : "There is nothing to do.";
    byId("today-all").textContent = `Show all ${tasks.length.toLocaleString("en")}`;
    byId("today-all").addEventListener("click", () => {
      show(Infinity);
      byId("today").children[TASKS].querySelector("a, button")?.focus();
    });
    show(TASKS);
  }

  function dataTable(id, header, rows) {
    byId(id).replaceChildren(make("table", null,
      make("thead", null, make("tr", null, ...header.map((text) => make("th", {scope: "col"}, text)))),
      make("tbody", null, ...rows.map(([first, ...others]) => make("tr", null, make("th", {scope: "row"}, first),
        ...others.map((text) => make("td", null, String(text))))))));
  }

  /* ---- Charts ---- */

  const STATES = {
    fine: "fine", due_soon: `due within ${report.soon_days} days`, overdue: "overdue", no_policy: "no policy",
    unknown: "age unknown",
  };
  const RESULTS = {completed: "completed", failed: "aborted or rolled back"};
  const total = (rows, key) => rows.reduce((sum, row) => sum + row[key], 0);

  /* What each color means, with numbers, of what exists. */
  function legend(names, rows) {
    return make("ul", {class: "legend"}, ...Object.keys(names).filter((key) => total(rows, key)).map((key) =>
      make("li", null, make("i", {class: "state " + key}), `${names[key]}: ${total(rows, key).toLocaleString("en")}`)));
  }

  /* One bar for each policy, as long as its share of the largest one; a part is as wide as its number. */
  function drawAges() {
    const rows = report.ages;
    const sum = (row) => report.age_states.reduce((count, state) => count + row[state], 0);
    const most = Math.max(...rows.map(sum));
    const policy = ({max_age_days: days}) => days === null ? "no policy" : plural(days, "day");
    byId("ages").replaceChildren(legend(STATES, rows), make("div", {class: "bars"}, ...rows.flatMap((row) => {
      const bar = make("span", {class: "stack"}, ...report.age_states.filter((state) => row[state]).map((state) => {
        const part = make("i", {class: "state " + state}, row[state].toLocaleString("en"));
        part.style.flexGrow = row[state];
        return part;
      }));
      bar.style.width = `${100 * sum(row) / most}%`;
      return [make("span", null, policy(row)), make("span", null, bar)];
    })));
    byId("ages-hint").replaceChildren(...(rows.length
      ? ["Keys by the maximum age that their policy allows. Show those that are ", linkTo({due: "due"}, "due"), " or ",
        linkTo({due: "soon"}, `due within ${report.soon_days} days`), "."]
      : ["There are no keys."]));
    byId("ages").setAttribute("aria-label",
      `Bar chart: ${plural(total(rows, "overdue"), "key is", "keys are")} older than the policy allows. `
      + "The table contains the figures.");
    const used = report.age_states.filter((state) => total(rows, state));
    dataTable("ages-data", ["Maximum age", ...used.map((state) => STATES[state])],
      rows.map((row) => [policy(row), ...used.map((state) => row[state])]));
  }

  const dateFormat = new Intl.DateTimeFormat("en-GB",
    {day: "numeric", month: "short", year: "numeric", timeZone: "UTC"});
  const dateOf = (week) => dateFormat.format(new Date(week + "T00:00:00Z"));

  /* One column for each week; a rotation counts once, in the week in which it ended. */
  function drawRotations() {
    const weeks = report.rotations;
    const sum = (week) => week.completed + week.failed;
    const most = Math.max(...weeks.map(sum));
    const column = (week) => {
      const parts = ["failed", "completed"].filter((key) => week[key]).map((key) => {
        const part = make("i", {class: "state " + key});
        part.style.height = `${100 * week[key] / most}%`;
        return part;
      });
      return make("span", {class: "week"}, ...parts);
    };
    const labels = weeks.map(({week}, index) =>
      make("span", null, (weeks.length - 1 - index) % 8 === 4 ? make("span", null, dateOf(week)) : null));
    byId("rotations").replaceChildren(...(most ? [legend(RESULTS, weeks),
      make("div", {class: "weeks"}, make("span", {class: "scale"}, `${most} per week`), ...weeks.map(column)),
      make("div", {class: "weeks labels"}, ...labels)] : []));
    const active = plural(report.figures.rotating, "rotation is", "rotations are");
    byId("rotations-hint").replaceChildren(
      most ? "Rotations that ended, by week, as far back as the records reach. " : "No rotation has ended. ",
      linkTo({phase: "rotating"}, `${active} in progress`), ".");
    const sums = Object.keys(RESULTS).map((key) => `${RESULTS[key]} ${total(weeks, key)}`).join(", ");
    byId("rotations").setAttribute("aria-label",
      `Bar chart of ended rotations by week, in total: ${sums}. The table contains the figures.`);
    dataTable("rotations-data", ["Week of", ...Object.values(RESULTS)],
      weeks.map((week) => [dateOf(week.week), ...Object.keys(RESULTS).map((key) => week[key])]));
  }

  /* ---- Who uses what: owners, their credentials, and the objects that refer to them ---- */

  /* A branch that is filled when it is opened for the first time. */
  function branch(summary, content, open) {
    const element = make("details", null, make("summary", null, ...summary));
    const fill = () => { if (element.children.length === 1) element.append(content()); };
    element.addEventListener("toggle", () => { if (element.open) fill(); });
    if (open) fill();
    element.open = open;
    return element;
  }

  const twigs = (items, create) => make("ul", null,
    ...items.slice(0, BRANCHES).map((item) => make("li", null, create(item))),
    items.length > BRANCHES
      ? make("li", {class: "hint"}, `${(items.length - BRANCHES).toLocaleString("en")} more; search for one`) : null);

  const includesAll = (text, words) => words.every((word) => text.toLowerCase().includes(word));

  /* The objects that refer to a credential, each with the fields; with words, those that match, or all if none does. */
  function usersOf(credential, words) {
    const users = new Map();
    for (const reference of credential.references) {
      const name = user(reference);
      users.set(name, [...(users.get(name) || []), reference.field]);
    }
    const matching = [...users].filter(([name]) => includesAll(name, words));
    return matching.length ? matching : [...users];
  }

  function credentialBranch(credential, words) {
    const users = usersOf(credential, words);
    const level = LEVELS[rank(credential)];
    return branch(
      [isolated(credential.name),
        level ? make("span", {class: "badge " + level}, level) : null,
        make("span", {class: "sub"}, plural(users.length, "object"))],
      () => twigs(users, ([name, fields]) => make("span", null, isolated(name),
        make("span", {class: "sub"}, fields.filter(Boolean).join(", ")))),
      words.length > 0);
  }

  function drawUses() {
    const words = byId("uses-search").elements.uses.value.toLowerCase().split(/\s+/).filter(Boolean);
    const owners = new Map();
    const used = selection.filter((credential) => credential.references.length && includesAll(
      [credential.name, credential.id, ownerOf(credential), credential.rancher,
        ...credential.references.map(user)].join("\n"), words));
    for (const credential of used) {
      const key = JSON.stringify([credential.rancher, ownerOf(credential)]);
      owners.set(key, [...(owners.get(key) || []), credential]);
    }
    const branches = [...owners.values()].sort(
      byText(([credential]) => `${ownerOf(credential)}\n${credential.rancher}`));
    byId("uses").replaceChildren(twigs(branches, (credentials) => branch(
      [isolated(ownerOf(credentials[0]) || "none"), make("span", {class: "sub"}, isolated(credentials[0].rancher),
        ` \u00b7 ${plural(credentials.length, "credential")}`)],
      () => twigs(credentials, (credential) => credentialBranch(credential, words)),
      used.length <= OPEN)));
    byId("uses-hint").textContent = used.length
      ? `Owners, their credentials, and the objects that refer to them: ${plural(used.length, "credential")} in use.`
      : "No credential that the filters select is in use.";
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
    fill("problem", [["error", "errors"], ["warning", "warnings only"], ["notice", "notices only"], ["none", "none"],
      ...[...codes].map((code) => ["=" + code, sentence(code)]).sort(byText(([, text]) => text))]);
    fill("due", [["due", "due"], ["soon", `within ${report.soon_days} days`], ["never", "never"]]);
  }

  const CHECKS = {
    search: (credential, words) => words.toLowerCase().split(/\s+/).every((word) => credential.text.includes(word)),
    rancher: (credential, value) => "=" + credential.rancher === value,
    driver: (credential, value) => "=" + driverOf(credential) === value,
    owner: (credential, value) => "=" + ownerOf(credential) === value,
    phase: (credential, value) => value === "rotating"
      ? !["idle", "unknown", "gone"].includes(phaseOf(credential)) : "=" + phaseOf(credential) === value,
    problem: (credential, value) => value === "none" || LEVELS.includes(value)
      ? (LEVELS[rank(credential)] || "none") === value
      : credential.problems.some(({code}) => "=" + code === value),
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

  /* Each sentence once, also if several objects have the same problem; the details contain the messages. */
  function problemList(credential) {
    const levels = new Map([...credential.problems].reverse().map(({code, level}) => [code, level]));
    return make("ul", {class: "problems"}, ...[...levels].reverse().map(([code, level]) => make("li", {class: level},
      outside(runbook("credentials", code), null, sentence(code),
        make("span", {class: "unseen"}, ` (${level}; opens the runbook)`)))));
  }

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
      make("td", null, problemList(credential)));
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
        [outside(runbook("credentials", problem.code), null, sentence(problem.code)), " ", isolated(problem.message),
          make("span", {class: "sub"}, make("code", null, problem.code))])),
      part("Same key in", credential.also_in.map(({rancher, id, name}) =>
        [isolated(`${rancher}: ${name}`), make("span", {class: "sub"}, make("code", null, id))])),
      part("Used by", credential.references.map((reference) =>
        [isolated(user(reference)), make("span", {class: "sub"}, reference.field)])),
      part("Rotation waits for", waiting),
      part("Recent transitions", rotation.transitions.map(([at, phase, what]) =>
        [`${moment(at)} ${phase}: `, isolated(what)])),
      part("Details", facts))));
  }

  /* Each credential is in one of the figures after the first. */
  const FIGURES = [
    ["all", "in total", {}, ""],
    ["with_errors", "with errors", {problem: "error"}, "error"],
    ["with_warnings", "with warnings only", {problem: "warning"}, "warning"],
    ["with_notices", "with notices only", {problem: "notice"}, ""],
    ["without_problems", "without problems", {problem: "none"}, "good"],
  ];

  function tiles() {
    const counts = {...report.figures, all: report.credentials.length};
    byId("figures").replaceChildren(...FIGURES.map(([key, text, selects, look]) => {
      const tile = make("button", {type: "button", class: `figure ${counts[key] ? look : ""}`, "aria-pressed": "false"},
        make("strong", null, counts[key].toLocaleString("en")), make("span", null, text),
        make("span", {class: "show"}, "Show in the table"));
      tile.addEventListener("click", () => {
        apply(new URLSearchParams(selects));
        byId("credentials").scrollIntoView();
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
    FIGURES.forEach(([, , selects], index) => {
      const same = JSON.stringify(Object.fromEntries(active)) === JSON.stringify(selects);
      byId("figures").children[index].setAttribute("aria-pressed", String(same));
    });
    const gone = selection.filter((credential) => credential.gone).length;
    byId("count").textContent = selection.length.toLocaleString("en")
      + (selection.length === report.credentials.length ? "" : ` of ${report.credentials.length.toLocaleString("en")}`)
      + (gone ? `, ${plural(gone, "does not exist but is in use", "do not exist but are in use")}` : "");
    show();
    drawUses();
    keepState(active);
  }

  /* ---- The state in the URL: filters, search, sorting ---- */

  let keeping;

  /* Browsers limit how often a page may change its URL, so that typing changes it once. */
  function keepState(active) {
    clearTimeout(keeping);
    keeping = setTimeout(() => writeState(active), 150);
  }

  function writeState(active) {
    const state = new URLSearchParams(active);
    if (sorting.column !== "problems" || sorting.down) state.set("sort", (sorting.down ? "-" : "") + sorting.column);
    const uses = byId("uses-search").elements.uses.value.trim();
    if (uses) state.set("uses", uses);
    const text = state.toString();
    if (text !== location.hash.slice(1)) history.replaceState(null, "", text ? "#" + text : location.pathname);
  }

  /* Set the filters, the search and the sorting; a value that this report does not have selects all. */
  function apply(state) {
    for (const name of Object.keys(CHECKS)) {
      const field = filters.elements[name];
      field.value = state.get(name) || "";
      if (field.selectedIndex === -1) field.value = "";
    }
    const [, down, column] = /^(-?)(\w+)$/.exec(state.get("sort") || "") || [];
    const known = COLUMNS.some(([name]) => name === column);
    sorting.column = known ? column : "problems";
    sorting.down = known && down === "-";
    byId("uses-search").elements.uses.value = state.get("uses") || "";
    limit = ROWS;
    update();
  }

  const stateOfUrl = () => new URLSearchParams(location.hash.slice(1));

  notes();
  today();
  tiles();
  columns();
  fillFilters();
  drawAges();
  drawRotations();
  apply(stateOfUrl());

  const again = () => { limit = ROWS; update(); };
  filters.elements.search.addEventListener("input", again);
  filters.addEventListener("change", ({target}) => { if (target.name !== "search") again(); });
  filters.addEventListener("reset", () => setTimeout(again));
  filters.addEventListener("submit", (event) => event.preventDefault());
  byId("uses-search").addEventListener("input", update);
  byId("uses-search").addEventListener("submit", (event) => event.preventDefault());
  byId("some").addEventListener("click", () => { limit += ROWS; show(); });
  byId("all").addEventListener("click", () => { limit = Infinity; show(); });
  addEventListener("hashchange", () => {
    if (!location.hash.includes("=")) return;
    apply(stateOfUrl());
    byId("credentials").scrollIntoView();
  });
  addEventListener("beforeprint", () => {
    for (const note of document.querySelectorAll("details.note")) note.open = true;
    limit = Infinity;
    show();
  });
  document.documentElement.dataset.ready = Math.round(performance.now());
})();
