/**
 * Box plots and curves as SVG text, as much as the report needs. Pure.
 *
 * Readable on light and dark pages: lines and letters in middle tones, no background.
 */

const WIDTH = 760;
const HEIGHT = 300;
const LEFT = 64;
const RIGHT = 16;
const TOP = 34;
const BOTTOM = 44;
const COLOURS = ["#2f7ed8", "#d9822b", "#3a9a5b", "#b0489b", "#8a6d3b", "#6f6fd0", "#c0392b", "#4a9aa5"];
const INK = "#7a7f87";

/** Points of one line; x and y in the units of the axes. */
export interface Curve {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Axes {
  readonly title: string;
  readonly x: string;
  readonly y: string;
}

/** Samples of one box. */
export interface Box {
  readonly name: string;
  readonly samples: readonly number[];
}

/** Lines over x. `marks` are vertical lines, faults for example; `thin` lines behind the others have their names as tooltips only. */
export function curves(
  axes: Axes,
  lines: readonly Curve[],
  marks: readonly number[] = [],
  thin: readonly Curve[] = [],
): string {
  const all = [...lines, ...thin].flatMap(({ points }) => points);
  const xMax = Math.max(1, ...all.map(([x]) => x));
  const yMax = roundUp(Math.max(0, ...all.map(([, y]) => y)));
  const at = (x: number): number => LEFT + ((WIDTH - LEFT - RIGHT) * x) / xMax;
  const height = (y: number): number => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * y) / yMax;
  const parts = [frame(axes, yMax, height)];
  for (let tick = 0; tick <= 6; tick += 1) {
    const x = (xMax * tick) / 6;
    parts.push(text(at(x), HEIGHT - BOTTOM + 16, shortNumber(x), "middle"));
  }
  for (const mark of marks) {
    parts.push(line(at(mark), TOP, at(mark), HEIGHT - BOTTOM, INK, ' stroke-dasharray="2 4"'));
  }
  const path = ({ points }: Curve): string =>
    points.map(([x, y]) => `${at(x).toFixed(1)},${height(y).toFixed(1)}`).join(" ");
  for (const curve of thin) {
    parts.push(
      `<polyline points="${path(curve)}" fill="none" stroke="${INK}" stroke-width="0.5" stroke-opacity="0.6"><title>${escaped(curve.name)}</title></polyline>`,
    );
  }
  for (const [index, curve] of lines.entries()) {
    const colour = colourOf(index);
    parts.push(`<polyline points="${path(curve)}" fill="none" stroke="${colour}" stroke-width="1.6"/>`);
    parts.push(
      text(
        LEFT + 8 + (index * (WIDTH - LEFT - RIGHT)) / Math.max(6, lines.length),
        TOP - 4,
        escaped(curve.name),
        "start",
        colour,
      ),
    );
  }
  return svg(axes.title, parts);
}

/** One box per name: quartiles and median, whiskers to the least and the largest, every sample as a dot. */
export function boxes(axes: Axes, all: readonly Box[]): string {
  const yMax = roundUp(Math.max(...all.flatMap(({ samples }) => samples), 0));
  const height = (y: number): number => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * y) / yMax;
  const parts = [frame(axes, yMax, height)];
  const step = (WIDTH - LEFT - RIGHT) / Math.max(1, all.length);
  for (const [index, { name, samples }] of all.entries()) {
    const x = LEFT + step * (index + 0.5);
    const sorted = [...samples].sort((a, b) => a - b);
    const colour = colourOf(index);
    const [low, first, median, third, high] = [0, 0.25, 0.5, 0.75, 1].map((share) => quantile(sorted, share));
    if (low === undefined || first === undefined || median === undefined) continue;
    if (third === undefined || high === undefined) continue;
    parts.push(line(x, height(low), x, height(high), colour));
    const top = height(third);
    const size = Math.max(1, height(first) - top);
    parts.push(
      `<rect x="${(x - 18).toFixed(1)}" y="${top.toFixed(1)}" width="36" height="${size.toFixed(1)}" fill="${colour}" fill-opacity="0.25" stroke="${colour}"/>`,
      line(x - 18, height(median), x + 18, height(median), colour, ' stroke-width="2.5"'),
      text(x, HEIGHT - BOTTOM + 16, escaped(name), "middle"),
      text(x, HEIGHT - BOTTOM + 30, `n=${samples.length}`, "middle"),
    );
    for (const sample of sorted) {
      parts.push(
        `<circle cx="${(x + 26).toFixed(1)}" cy="${height(sample).toFixed(1)}" r="2" fill="${colour}"/>`,
      );
    }
  }
  return svg(axes.title, parts);
}

/** Linear between the two nearest samples; undefined without any. `sorted` rises. */
export function quantile(sorted: readonly number[], share: number): number | undefined {
  const place = share * (sorted.length - 1);
  const below = sorted[Math.floor(place)];
  const above = sorted[Math.ceil(place)];
  if (below === undefined || above === undefined) return undefined;
  return below + (above - below) * (place - Math.floor(place));
}

function frame({ title, x, y }: Axes, yMax: number, height: (y: number) => number): string {
  const parts = [text(LEFT, 16, escaped(title), "start", INK, 'font-weight="bold"')];
  parts.push(text(WIDTH - RIGHT, HEIGHT - 4, escaped(x), "end"), text(LEFT - 8, TOP - 6, escaped(y), "end"));
  for (let tick = 0; tick <= 4; tick += 1) {
    const value = (yMax * tick) / 4;
    parts.push(line(LEFT, height(value), WIDTH - RIGHT, height(value), INK, ' stroke-opacity="0.3"'));
    parts.push(text(LEFT - 8, height(value) + 4, shortNumber(value), "end"));
  }
  return parts.join("\n");
}

function svg(title: string, parts: readonly string[]): string {
  const open = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="sans-serif" font-size="11">`;
  return `${open}\n<title>${escaped(title)}</title>\n${parts.join("\n")}\n</svg>\n`;
}

function line(x1: number, y1: number, x2: number, y2: number, colour: string, more = ""): string {
  const [a, b, c, d] = [x1, y1, x2, y2].map((value) => value.toFixed(1));
  return `<line x1="${a}" y1="${b}" x2="${c}" y2="${d}" stroke="${colour}"${more}/>`;
}

function text(x: number, y: number, words: string, anchor: string, colour = INK, more = ""): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" fill="${colour}" ${more}>${words}</text>`;
}

function colourOf(index: number): string {
  return COLOURS[index % COLOURS.length] ?? INK;
}

/** The next number of the row 1, 2, 5, 10, 20 ... */
function roundUp(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5].find((step) => step * power >= value) ?? 10) * power;
}

function shortNumber(value: number): string {
  if (value >= 10_000) return `${+(value / 1000).toFixed(1)}k`;
  return String(+value.toFixed(2));
}

function escaped(words: string): string {
  return words.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
