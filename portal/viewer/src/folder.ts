// The page of a study in a folder of the user's own.

import { $, all, onKeys, startPage } from "./shared/page.ts";
import { showFirst } from "./viewer/fallback.ts";
import type { Known } from "./viewer/layers.ts";
import { note } from "./viewer/note.ts";
import { begin, json, readSeries, type Segmentations, segmentationsOf } from "./viewer/source.ts";
import type { Viewer } from "./viewer/viewer.ts";

/** A region on a series, as the server has made it; `reason` where it is not drawn. */
interface Mask {
  key: string;
  colour: string;
  series_uid: string;
  sop_uid: string;
  segment: number;
  reason: string;
}

startPage();
const study = $("main").dataset.study ?? "";
onKeys({ w: () => location.assign("/"), r: () => location.reload() });

const rows = new Map(all("[data-region]").map((row) => [row.dataset.region ?? "", row]));
const masks = new Map<string, Mask>();
const nameOf = (sop: string, segment: number): string => `${sop}#${segment}`;
const isTicked = (key: string): boolean => rows.get(key)?.querySelector("input")?.checked ?? true;

const segmentations: Segmentations = {
  ...segmentationsOf(study),
  // Made when they are asked for: contours of a large structure set take their time.
  read: async () => {
    const say = (): void => note("The masks are being made.");
    say();
    const again = setInterval(say, 5000); // what is said goes away by itself
    const found = await json<Mask[]>(`/api/studies/${study}/masks`).finally(() => {
      clearInterval(again);
      note("");
    });
    for (const each of found) if (each.sop_uid) masks.set(nameOf(each.sop_uid, each.segment), each);
    sayReasons(found);
    const series = new Set(found.map((each) => each.series_uid).filter(Boolean));
    return (await Promise.all([...series].map((each) => readSeries(study, each)))).flat();
  },
};

const known: Known = {
  exist: rows.size > 0,
  look: (sop, segment) => {
    const mask = masks.get(nameOf(sop, segment));
    return mask && { colour: mask.colour, isHidden: !isTicked(mask.key) };
  },
};

/** Say beside each region on how many series it is not drawn, and why. */
function sayReasons(found: Mask[]): void {
  for (const [key, row] of rows) {
    const own = found.filter((each) => each.key === key);
    const refused = own.filter((each) => each.reason);
    const where = refused.length < own.length ? ` on ${refused.length} of ${own.length}` : "";
    $("[data-reason]", row).textContent = refused[0] ? `not drawn${where}: ${refused[0].reason}` : "";
  }
}

/** Mark the series that is on the screen. */
function mark(series: string): void {
  for (const each of all("[data-verdict]")) each.classList.toggle("is-shown", each.dataset.verdict === series);
}

const root = document.querySelector<HTMLElement>("#viewer");
if (root) void open(root);

async function open(place: HTMLElement): Promise<void> {
  try {
    const { series = "", sop = "", entry = "", many } = place.dataset;
    begin(study, series, sop, { entry, isOne: many === undefined });
    const { Viewer } = await import("./viewer/viewer.ts");
    const viewer: Viewer = await Viewer.open(place, study, { series, segmentations, known });
    Object.assign(place, { viewer }); // where tests find it
    for (const row of rows.values()) {
      row.querySelector("input")?.addEventListener("change", () => {
        viewer.overlays.layers.forget();
        viewer.draw();
      });
    }
    viewer.onChange((shown) => mark(shown.series));
    mark(series);
  } catch (error) {
    showFirst(place, error);
  }
}
