// What models have drawn: outlines of segments, heat maps, boxes. Off until the reader asks.

import type { Solid } from "./cuts.ts";
import type { Frame } from "./dicom.ts";
import { number, text } from "./dicom.ts";
import { kept } from "./kept.ts";
import { keyOf, placed, type SegmentFrame, unpack } from "./segments.ts";
import { type Mask, outlinesOf, pathOf } from "./outlines.ts";
import { type Finding, readPicture, type Segmentations } from "./source.ts";
import { svg } from "./svg.ts";

const COLOURS = ["#ffc400", "#5fd0ff", "#ff8fd0", "#9be564", "#ff9d5c", "#c9a7ff"];

/** How a segment is drawn. */
export interface Look {
  colour: string;
  isHidden: boolean;
}

/** What is known of segmentations before they are read: that there are some, and how each segment is drawn. */
export interface Known {
  exist: boolean;
  look: (sop: string, segment: number) => Look | undefined;
}

type Drawn = SegmentFrame & { look?: Look };

export class Layers {
  isShown = false;
  opacity = 0.8;
  /** The one finding that is shown, or null for all. */
  only: Finding | null = null;
  readonly findings: Finding[];
  #source: Segmentations;
  #segments: Promise<Map<string, SegmentFrame[]>> | null = null;
  #made = new Map<string, Promise<SVGElement[]>>();
  #solids = new Map<string, Promise<Solid[]>>();
  #known: Known | null;

  constructor(source: Segmentations, findings: Finding[], known: Known | null = null) {
    this.#source = source;
    this.#known = known;
    this.findings = findings.filter((each) => each.overlay_url || each.region || each.segment_number);
  }

  /** Return the marks of a frame; empty where there are none, or where they are hidden. */
  async of(frame: Frame): Promise<SVGElement[]> {
    if (!this.isShown) return [];
    const made = await kept(this.#made, `${keyOf(frame.sop, frame.frame)}#${this.#which}`, () => this.#make(frame));
    return made.map((each) => each.cloneNode(true) as SVGElement);
  }

  /** Return the segments in a volume whose slices are these frames; none where they are hidden. */
  async solids(frames: Frame[]): Promise<Solid[]> {
    if (!this.isShown) return [];
    return kept(this.#solids, `${frames[0]?.series}#${this.#which}`, () => this.#solid(frames));
  }

  /** Return whether something can be shown on some frame. */
  async exist(): Promise<boolean> {
    if (this.#known) return this.#known.exist;
    return this.findings.length > 0 || (await this.#segmentFrames()).size > 0;
  }

  /** Draw anew what was drawn: looks have changed. */
  forget(): void {
    this.#made.clear();
    this.#solids.clear();
  }

  /** Return the image that shows most of all findings, to begin with; of segments, one of the series on the screen if it can be. */
  async first(shown: Frame[] = []): Promise<{ sop: string; frame: number } | null> {
    const finding = this.findings[0];
    if (finding) return { sop: finding.sop_uid, frame: finding.frame };
    const found = await this.#segmentFrames();
    const key = shown.map((each) => keyOf(each.sop, each.frame)).find((each) => found.has(each)) ?? [...found.keys()][0];
    const [sop, frame] = key?.split("#") ?? [];
    return sop ? { sop, frame: Number(frame) } : null;
  }

  async has(frame: Frame): Promise<boolean> {
    const own = this.findings.some((each) => each.sop_uid === frame.sop && each.frame === frame.frame);
    return own || (await this.#segmentFrames()).has(keyOf(frame.sop, frame.frame));
  }

  /** Which findings are shown. */
  get #which(): string {
    return this.only ? String(this.findings.indexOf(this.only)) : "all";
  }

  async #make(frame: Frame): Promise<SVGElement[]> {
    const segments = await this.#drawnOn(frame);
    const drawn = new Set(segments.map((each) => each.number));
    const findings = this.findings.filter((each) =>
      each.sop_uid === frame.sop && each.frame === frame.frame && (!this.only || each === this.only));
    const pictures = findings
      .filter((each) => each.overlay_url && !(each.segment_number && drawn.has(each.segment_number)) && !each.region)
      .map(async (each) => svg("image", {
        href: await readPicture(each.overlay_url), class: "layer-map", x: 0, y: 0, width: frame.columns, height: frame.rows,
        preserveAspectRatio: "none", "data-label": each.label,
      }));
    const boxes = findings.filter((each) => each.region).map((each) => {
      const { left, top, right, bottom } = each.region!;
      return svg("rect", { x: left, y: top, width: right - left, height: bottom - top, class: "layer-line", stroke: COLOURS[0]!, "data-label": each.label });
    });
    const outlines = segments.map(async (each) => svg("path", {
      d: outlinesOf(await readMask(this.#source, each)).map(pathOf).join(""), class: "layer-line", stroke: colourOf(each), "data-label": each.label,
    }));
    return [...(await Promise.all(pictures)), ...boxes, ...(await Promise.all(outlines))];
  }

  async #drawnOn(frame: Frame): Promise<Drawn[]> {
    return ((await this.#segmentFrames()).get(keyOf(frame.sop, frame.frame)) ?? [])
      .filter((each) => !this.only || this.only.segment_number === each.number)
      .map((each) => ({ ...each, look: this.#known?.look(text(each.instance, "00080018"), each.number) }))
      .filter(({ look }) => !look?.isHidden);
  }

  async #solid(frames: Frame[]): Promise<Solid[]> {
    const found = new Map<string, Solid>();
    await Promise.all(frames.map(async (frame, at) => {
      const { columns, rows } = frame;
      for (const each of await this.#drawnOn(frame)) {
        const mask = await readMask(this.#source, each);
        if (mask.columns !== columns || mask.rows !== rows) continue;
        const name = `${text(each.instance, "00080018")}#${each.number}`;
        const solid = found.get(name) ?? { label: each.label, colour: colourOf(each), columns, rows, slices: [] };
        const before = solid.slices[at];
        solid.slices[at] = before ? mask.data.map((value, index) => value | before[index]!) : mask.data;
        found.set(name, solid);
      }
    }));
    return [...found.values()];
  }

  #segmentFrames(): Promise<Map<string, SegmentFrame[]>> {
    return (this.#segments ??= this.#source.read().then(placed).catch(() => {
      this.#segments = null;
      throw new Error("The segmentations cannot be loaded");
    }));
  }
}

const colourOf = ({ look, number: segment }: Drawn): string => look?.colour ?? COLOURS[(segment - 1) % COLOURS.length]!;

async function readMask(source: Segmentations, { instance, index, number: segment }: SegmentFrame): Promise<Mask> {
  const bytes = await source.frame(instance, index + 1);
  const [rows, columns] = [number(instance, "00280010", 0), number(instance, "00280011", 0)];
  const isPacked = number(instance, "00280100", 8) === 1;
  const isLabelmap = text(instance, "00620001") === "LABELMAP";
  const data = isPacked ? unpack(bytes, rows * columns) : bytes.map((each) => Number(isLabelmap ? each === segment : each > 0));
  return { rows, columns, data };
}
