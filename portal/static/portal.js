// FirstRead portal: worklist that never re-orders under the cursor, and a study viewer. No dependencies.

const POLL_SECONDS = 4;
const IDLE_CHECK_SECONDS = 30;
const SESSION_CHECK_SECONDS = 15;
const SESSION_WARNING_SECONDS = 120; // of the 900 without activity
const KEPT_IMAGES = 96;
const AHEAD = 3;
const CINE_FRAMES_PER_SECOND = 15;
const CT_WINDOWS = [["As stored"], ["Soft tissue", 40, 400], ["Lung", -600, 1500], ["Bone", 480, 2500], ["Brain", 40, 80]];

const $ = (selector) => document.querySelector(selector);
const announce = (text) => { $("#announce").textContent = text; };

// --- what both pages share -------------------------------------------------------------------------------

let active = false; // whether the reader did something since the last request that counts
for (const kind of ["keydown", "pointerdown", "wheel"]) {
  addEventListener(kind, () => { active = true; }, { passive: true });
}

/** Fetch a path; a poll tells the server so unless the reader was active, for polling must not keep a session. */
async function ask(path) {
  const headers = active ? {} : { "X-FirstRead-Background": "1" };
  active = false;
  // A redirect leads to the sign-in, which is another site's page and not for fetch.
  const response = await fetch(path, { headers, redirect: "manual" });
  if (response.status === 401 || response.type === "opaqueredirect") {
    location.assign(`/sign-in?next=${encodeURIComponent(location.pathname)}`);
    throw new Error("the session has ended");
  }
  return response;
}

/** Warn before the session ends; the server decides, and activity in another window counts. */
function watchSession() {
  const bar = $("#session-warning");
  if (!bar) return;
  async function check() {
    const response = await ask("/api/session").catch(() => null);
    if (!response?.ok) return;
    const left = (await response.json()).seconds_left;
    const minutes = Math.max(1, Math.ceil(left / 60));
    if (left <= SESSION_WARNING_SECONDS) {
      const text = `You will be signed out in ${minutes} minute${minutes === 1 ? "" : "s"}.`;
      if (bar.querySelector("[data-text]").textContent !== text) bar.querySelector("[data-text]").textContent = text;
    }
    bar.hidden = left > SESSION_WARNING_SECONDS;
  }
  bar.querySelector("[data-stay]").addEventListener("click", check);
  setInterval(check, SESSION_CHECK_SECONDS * 1000);
}

function words(since) {
  const minutes = Math.max(0, Math.floor((Date.now() - Date.parse(since)) / 60000));
  const hours = Math.floor(minutes / 60);
  const rest = String(minutes % 60).padStart(2, "0");
  if (hours >= 24) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  if (hours) return `${hours} h ${rest} min`;
  return minutes ? `${minutes} min` : "< 1 min";
}

setInterval(() => {
  for (const time of document.querySelectorAll("time[data-since]")) time.textContent = words(time.dateTime);
}, 10000);

function onKeys(bindings) {
  addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type=range]), select, textarea");
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing) return;
    if ($("#help")?.open) return;
    if (bindings[event.key]?.(event) !== false && event.key in bindings) event.preventDefault();
  });
}

const openHelp = () => $("#help")?.showModal();
$("[data-open-help]")?.addEventListener("click", openHelp);

/** Names of patients in place of pseudonyms, on demand: each is a look that the server writes down, so each is asked for once. */
function namesSwitch(rows) {
  const button = $("#names");
  const known = new Map();
  const shown = { isOn: false, fill };
  if (!button) return shown;

  async function fill() {
    const missing = rows().map((row) => row.dataset.study).filter((uid) => !known.has(uid)).slice(0, 50);
    if (missing.length) {
      const asked = new URLSearchParams(missing.map((uid) => ["study_uid", uid]));
      const response = await ask(`/api/worklist/identities?${asked}`);
      if (!response.ok) throw new Error("no answer");
      for (const each of await response.json()) known.set(each.study_uid, each);
    }
    for (const row of rows()) write(row.querySelector(".c-patient"), known.get(row.dataset.study));
  }

  function write(cell, identity) {
    cell.dataset.pseudonym ??= cell.textContent;
    const name = identity?.available ? identity.name || identity.mrn : "identity unavailable";
    cell.textContent = shown.isOn && identity ? name : cell.dataset.pseudonym;
  }

  button.hidden = false;
  button.addEventListener("click", async () => {
    shown.isOn = !shown.isOn;
    button.setAttribute("aria-pressed", String(shown.isOn));
    if (!shown.isOn) return rows().forEach((row) => write(row.querySelector(".c-patient")));
    await fill().then(() => announce("Names are shown."), () => announce("Names cannot be shown now."));
  });
  return shown;
}

// --- worklist --------------------------------------------------------------------------------------------

function worklist() {
  const pill = $("#changes");
  const rows = () => [...document.querySelectorAll("tbody tr")];
  const links = () => [...document.querySelectorAll(".row-link")];

  function changesOf(fresh) {
    const shown = new Map(rows().map((row) => [row.dataset.study, row.dataset.fingerprint]));
    const changed = fresh.filter((row) => shown.get(row.study_uid) !== row.fingerprint).length;
    const gone = [...shown.keys()].filter((uid) => !fresh.some((row) => row.study_uid === uid)).length;
    return changed + gone;
  }

  const names = namesSwitch(rows);

  function inUse() {
    return Boolean($("tbody:hover") || document.activeElement?.closest("tbody"));
  }

  async function update() {
    const response = await ask("/");
    if (!response.ok) throw new Error("no answer");
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const focused = document.activeElement?.closest("tr")?.dataset.study;
    $("#worklist").replaceWith(page.querySelector("#worklist"));
    $("#freshness").replaceWith(page.querySelector("#freshness"));
    pill.hidden = true;
    if (focused) rows().find((row) => row.dataset.study === focused)?.querySelector(".row-link").focus();
    if (names.isOn) names.fill();
  }

  function step(by) {
    const all = links();
    if (!all.length) return;
    const at = all.indexOf(document.activeElement?.closest("tr")?.querySelector(".row-link"));
    const next = at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + by));
    all[next].focus();
    all[next].closest("tr").scrollIntoView({ block: "nearest" });
  }

  async function poll() {
    try {
      const response = await ask("/api/worklist");
      if (!response.ok) throw new Error("no answer");
      const fresh = await response.json();
      const changes = changesOf(fresh.rows);
      if (changes && inUse()) {
        pill.textContent = `${changes} change${changes === 1 ? "" : "s"} – press r`;
        if (pill.hidden) announce(pill.textContent);
        pill.hidden = false;
      } else if (changes) {
        await update();
        announce("The worklist was updated.");
      } else {
        pill.hidden = true;
        $("#freshness").textContent = `As of ${fresh.at.slice(11, 19)} UTC`;
      }
    } catch {
      $("#freshness").textContent = "Not up to date: the portal does not answer";
    } finally {
      setTimeout(poll, POLL_SECONDS * 1000);
    }
  }

  const refresh = () => update().then(() => announce("The worklist was updated."), () => {});
  pill.addEventListener("click", refresh);
  onKeys({ j: () => step(1), k: () => step(-1), r: refresh, "?": openHelp });
  setTimeout(poll, POLL_SECONDS * 1000);
}

// --- study -----------------------------------------------------------------------------------------------

/** Images as object URLs: answers are no-store, and scrolling must not ask again for what was just shown. */
class ImageStore {
  #kept = new Map();

  get(url) {
    let image = this.#kept.get(url);
    if (!image) {
      image = this.#load(url);
      image.catch(() => this.#kept.delete(url));
    }
    this.#kept.delete(url);
    this.#kept.set(url, image);
    if (this.#kept.size > KEPT_IMAGES) {
      const [oldest, dropped] = this.#kept.entries().next().value;
      this.#kept.delete(oldest);
      dropped.then((blob) => URL.revokeObjectURL(blob), () => {});
    }
    return image;
  }

  async #load(url) {
    const response = await ask(url);
    if (!response.ok) {
      const problem = await response.json().catch(() => ({}));
      throw new Error(problem.title ?? "The image cannot be loaded");
    }
    return URL.createObjectURL(await response.blob());
  }
}

class Viewer {
  constructor(uid, study) {
    this.uid = uid;
    this.images = new ImageStore();
    this.series = study.series.map((series) => ({
      ...series,
      frames: series.images.flatMap((image) =>
        Array.from({ length: image.frames }, (_, index) => ({ sop: image.sop_uid, frame: index + 1 }))),
    }));
    this.findings = study.models.flatMap((model) => model.findings).filter((finding) => finding.overlay_url);
    this.at = 0;
    this.position = 0;
    this.zoom = 1;
    this.window = 0;
    this.overlay = null; // the finding whose overlay is shown; none until the reader asks
    this.turn = 0;
    this.wire();
    this.show();
  }

  get frames() { return this.series[this.at].frames; }

  url({ sop, frame }) {
    const [, center, width] = CT_WINDOWS[this.window];
    const window = this.series[this.at].modality === "CT" && width ? `?c=${center}&w=${width}` : "";
    return `/studies/${this.uid}/instances/${sop}/frames/${frame}.png${window}`;
  }

  wire() {
    const on = (id, kind, act) => $(id)?.addEventListener(kind, act);
    on("#slider", "input", (event) => this.go(Number(event.target.value) - 1));
    on("#play", "click", () => this.play());
    on("#preset", "change", (event) => this.setWindow(Number(event.target.value)));
    on("#zoom-in", "click", () => this.setZoom(this.zoom * 1.25));
    on("#zoom-out", "click", () => this.setZoom(this.zoom / 1.25));
    on("#zoom-fit", "click", () => this.setZoom(1));
    on("#opacity", "input", () => this.setOpacity());
    on("#overlay-toggle", "click", () => this.toggle());
    on("#view", "wheel", (event) => this.wheel(event));
    for (const button of document.querySelectorAll("[data-series]")) {
      button.addEventListener("click", () => this.choose(Number(button.dataset.series)));
    }
    for (const button of document.querySelectorAll("[data-overlay]")) {
      const finding = this.findings.find((each) => each.overlay_url === button.dataset.overlay);
      button.addEventListener("click", () => this.toggle(finding));
    }
    const preset = $("#preset");
    CT_WINDOWS.forEach(([name], index) => preset.add(new Option(name, index)));
    $("#overlay-tools").hidden = !this.findings.length;
    $("#image").addEventListener("load", () => this.fit());
    new ResizeObserver(() => this.fit()).observe($("#view"));
    const digits = Object.fromEntries(CT_WINDOWS.map((_, index) => [String(index + 1), () => this.setWindow(index)]));
    onKeys({
      ...digits, o: () => this.toggle(), "[": () => this.setOpacity(-10), "]": () => this.setOpacity(10),
      ArrowDown: (event) => this.arrow(event, 1), ArrowUp: (event) => this.arrow(event, -1),
      ArrowRight: (event) => this.sideways(event, 1), ArrowLeft: (event) => this.sideways(event, -1),
      Home: (event) => this.arrow(event, -Infinity), End: (event) => this.arrow(event, Infinity),
      "+": () => this.setZoom(this.zoom * 1.25), "-": () => this.setZoom(this.zoom / 1.25), 0: () => this.setZoom(1),
      " ": (event) => (event.target.closest("button, a") || this.frames.length < 2 ? false : this.play()),
    });
  }

  arrow(event, by) {
    if (event.target.matches("input") || this.frames.length < 2) return false;
    this.go(this.position + by);
    return true;
  }

  sideways(event, by) {
    if (event.target.matches("input") || this.series.length < 2) return false;
    this.choose(Math.min(this.series.length - 1, Math.max(0, this.at + by)));
    return true;
  }

  wheel(event) {
    if (this.frames.length < 2 || event.ctrlKey) return;
    event.preventDefault();
    this.go(this.position + Math.sign(event.deltaY));
  }

  choose(index) {
    this.stop();
    this.at = index;
    this.position = 0;
    this.zoom = 1;
    this.show();
  }

  go(position) {
    this.position = Math.min(this.frames.length - 1, Math.max(0, position));
    return this.show();
  }

  play() {
    if (this.playing) { this.stop(); return; }
    const turn = async () => {
      const began = performance.now();
      await this.go((this.position + 1) % this.frames.length);
      const left = 1000 / CINE_FRAMES_PER_SECOND - (performance.now() - began);
      if (this.playing) this.playing = setTimeout(turn, Math.max(0, left));
    };
    this.playing = setTimeout(turn, 0);
    this.reflect();
  }

  stop() {
    clearTimeout(this.playing);
    this.playing = null;
    this.reflect();
  }

  setWindow(index) {
    if (this.series[this.at].modality !== "CT") return;
    this.window = index;
    this.show();
    announce(`Window ${CT_WINDOWS[index][0]}`);
  }

  setZoom(zoom) {
    this.zoom = Math.min(8, Math.max(0.5, zoom));
    this.fit();
  }

  setOpacity(by = 0) {
    const slider = $("#opacity");
    slider.value = Number(slider.value) + by;
    $("#overlay").style.opacity = slider.value / 100;
    if (by && this.overlay) announce(`Opacity ${slider.value} percent`);
  }

  /** Show or hide a finding's overlay; without one, that of the current image, else of the first finding. */
  toggle(finding) {
    const here = this.frames[this.position];
    const isHere = (each) => each.sop_uid === here.sop && each.frame === here.frame;
    const wanted = finding ?? this.overlay ?? this.findings.find(isHere) ?? this.findings[0];
    if (!wanted) { announce("There is no AI overlay."); return; }
    this.overlay = this.overlay === wanted ? null : wanted;
    announce(this.overlay ? `Overlay of ${wanted.label} shown` : "Overlay hidden");
    if (this.overlay && !isHere(wanted)) this.find(wanted);
    this.show();
  }

  find({ sop_uid: sop, frame: number }) {
    this.series.forEach((series, index) => {
      const position = series.frames.findIndex((frame) => frame.sop === sop && frame.frame === number);
      if (position >= 0) { this.at = index; this.position = position; }
    });
  }

  async show() {
    const turn = ++this.turn;
    const frame = this.frames[this.position];
    const isHere = this.overlay?.sop_uid === frame.sop && this.overlay.frame === frame.frame;
    const overlay = isHere ? this.overlay : null;
    this.reflect();
    try {
      const [image, layer] = await Promise.all([
        this.images.get(this.url(frame)), overlay && this.images.get(overlay.overlay_url),
      ]);
      if (turn !== this.turn) return; // the reader is already elsewhere
      $("#image").src = image;
      $("#image").alt = `${this.series[this.at].modality} image ${this.position + 1} of ${this.frames.length}`;
      if (layer) $("#overlay").src = layer;
      $("#overlay").hidden = $("#legend").hidden = !layer;
      $("#image-problem").hidden = true;
      $("#frame").hidden = false;
      this.setOpacity();
    } catch (error) {
      if (turn !== this.turn) return;
      // Never the previous image under the new position.
      $("#frame").hidden = $("#legend").hidden = true;
      $("#image-problem").textContent = error.message;
      $("#image-problem").hidden = false;
    }
    for (const next of this.frames.slice(this.position + 1, this.position + 1 + AHEAD)) {
      this.images.get(this.url(next)).catch(() => {});
    }
  }

  reflect() {
    const series = this.series[this.at];
    const count = this.frames.length;
    $("#where").textContent = [series.modality, series.view, series.description].filter(Boolean).join(" · ");
    $("#scroll").hidden = count < 2;
    $("#play").hidden = count < 2;
    $("#play").setAttribute("aria-pressed", String(Boolean(this.playing)));
    $("#play").textContent = this.playing ? "Stop" : "Play";
    $("#slider").max = count;
    $("#slider").value = this.position + 1;
    $("#position").textContent = `${this.position + 1} / ${count}`;
    $("#presets").hidden = series.modality !== "CT";
    $("#preset").value = String(this.window);
    $("#overlay-toggle").setAttribute("aria-pressed", String(Boolean(this.overlay)));
    for (const button of document.querySelectorAll("[data-series]")) {
      if (Number(button.dataset.series) === this.at) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
    for (const button of document.querySelectorAll("[data-overlay]")) {
      const shown = this.overlay?.overlay_url === button.dataset.overlay;
      button.setAttribute("aria-pressed", String(shown));
      button.textContent = shown ? "Hide overlay" : "Show on the image";
    }
  }

  fit() {
    const image = $("#image");
    const view = $("#view");
    if (!image.naturalWidth) return;
    const room = Math.min(view.clientWidth / image.naturalWidth, view.clientHeight / image.naturalHeight);
    const scale = Math.min(room, 6) * this.zoom;
    const frame = $("#frame");
    frame.classList.add("is-sized");
    frame.style.width = `${Math.floor(image.naturalWidth * scale)}px`;
    frame.style.height = `${Math.floor(image.naturalHeight * scale)}px`;
  }
}

async function study() {
  const main = $("main");
  const path = `/api/studies/${main.dataset.study}`;
  // At once: the way back must not wait for images.
  onKeys({ w: () => location.assign("/"), r: () => location.reload(), "?": openHelp });
  if ($("#view")) {
    const response = await ask(path);
    if (response.ok) new Viewer(main.dataset.study, await response.json());
  }
  const pill = $("#changes");
  pill.addEventListener("click", () => location.reload());
  setInterval(async () => {
    const answer = await ask(path).catch(() => null);
    if (!answer?.ok || !pill.hidden) return;
    if ((await answer.json()).summary.fingerprint !== main.dataset.fingerprint) {
      pill.hidden = false;
      announce(pill.textContent);
    }
  }, IDLE_CHECK_SECONDS * 1000);
}

watchSession();
if (document.body.matches(".page-worklist:not(.is-still)")) worklist();
if (document.body.classList.contains("page-study")) study();
