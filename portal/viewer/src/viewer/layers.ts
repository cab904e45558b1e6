// What models have drawn: outlines of segments, heat maps, boxes. Off until the reader asks.

import type { Frame } from "./dicom.ts";
import { number, text } from "./dicom.ts";
import { keyOf, placed, type SegmentFrame, unpack } from "./segments.ts";
import { outlinesOf, pathOf } from "./outlines.ts";
import { type Finding, readPicture, type Segmentations } from "./source.ts";
import { svg } from "./svg.ts";

const COLOURS = ["#ffc400", "#5fd0ff", "#ff8fd0", "#9be564", "#ff9d5c", "#c9a7ff"];

export class Layers {
  isShown = false;
  opacity = 0.8;
  /** The one finding that is shown, or null for all. */
  only: Finding | null = null;
  readonly findings: Finding[];
  #source: Segmentations;
  #segments: Promise<Map<string, SegmentFrame[]>> | null = null;
  #made = new Map<string, Promise<SVGElement[]>>();

  constructor(source: Segmentations, findings: Finding[]) {
    this.#source = source;
    this.findings = findings.filter((each) => each.overlay_url || each.region || each.segment_number);
  }

  /** Return the marks of a frame; empty where there are none, or where they are hidden. */
  async of(frame: Frame): Promise<SVGElement[]> {
    if (!this.isShown) return [];
    const key = `${keyOf(frame.sop, frame.frame)}#${this.only ? this.findings.indexOf(this.only) : "all"}`;
    let made = this.#made.get(key);
    if (!made) {
      made = this.#make(frame);
      made.catch(() => this.#made.delete(key));
      this.#made.set(key, made);
    }
    return (await made).map((each) => each.cloneNode(true) as SVGElement);
  }

  /** Return whether something can be shown on some frame. */
  async exist(): Promise<boolean> {
    return this.findings.length > 0 || (await this.#segmentFrames()).size > 0;
  }

  /** Return the image that shows most of all findings, to begin with. */
  async first(): Promise<{ sop: string; frame: number } | null> {
    const finding = this.findings[0];
    if (finding) return { sop: finding.sop_uid, frame: finding.frame };
    const [key] = [...(await this.#segmentFrames()).keys()];
    const [sop, frame] = key?.split("#") ?? [];
    return sop ? { sop, frame: Number(frame) } : null;
  }

  async has(frame: Frame): Promise<boolean> {
    const own = this.findings.some((each) => each.sop_uid === frame.sop && each.frame === frame.frame);
    return own || (await this.#segmentFrames()).has(keyOf(frame.sop, frame.frame));
  }

  async #make(frame: Frame): Promise<SVGElement[]> {
    const segments = ((await this.#segmentFrames()).get(keyOf(frame.sop, frame.frame)) ?? [])
      .filter((each) => !this.only || this.only.segment_number === each.number);
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
      d: await outlineOf(this.#source, each), class: "layer-line", stroke: COLOURS[(each.number - 1) % COLOURS.length]!, "data-label": each.label,
    }));
    return [...(await Promise.all(pictures)), ...boxes, ...(await Promise.all(outlines))];
  }

  #segmentFrames(): Promise<Map<string, SegmentFrame[]>> {
    return (this.#segments ??= this.#source.read().then(placed).catch(() => {
      this.#segments = null;
      throw new Error("The segmentations cannot be loaded");
    }));
  }
}

async function outlineOf(source: Segmentations, { instance, index, number: segment }: SegmentFrame): Promise<string> {
  const bytes = await source.frame(instance, index + 1);
  const [rows, columns] = [number(instance, "00280010", 0), number(instance, "00280011", 0)];
  const isPacked = number(instance, "00280100", 8) === 1;
  const isLabelmap = text(instance, "00620001") === "LABELMAP";
  const data = isPacked ? unpack(bytes, rows * columns) : bytes.map((each) => Number(isLabelmap ? each === segment : each > 0));
  return outlinesOf({ rows, columns, data }).map(pathOf).join("");
}
