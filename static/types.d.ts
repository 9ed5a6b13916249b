// What the scripts of the pages and of the viewer know of the world outside: Plotly, and what the API answers.

interface Layout {
  meta: { stillmotion: import("./viewer/numbers.js").PackedNumbers };
  images: { source: string }[];
  xaxis: { range: number[] };
  yaxis: { range: number[] };
  [name: string]: any;
}

interface Figure {
  layout: Layout;
}

/** An axis as it is drawn: its range, and where it lies in the plot's element. */
interface DrawnAxis {
  range: number[];
  _offset: number;
  _length: number;
}

/** What a hit of a click, a hover or a selection tells. */
interface PlotEvent {
  points: { pointIndex: number; x: number; data: { meta: { role: string } } }[];
}

interface PlotElement extends HTMLElement {
  layout: Layout;
  _fullLayout: { xaxis: DrawnAxis; yaxis: DrawnAxis };
  _context: object;
  on(event: string, hear: (event: PlotEvent) => void): void;
  removeAllListeners(event: string): void;
}

type Traces = Record<string, any>[];

declare const Plotly: {
  Icons: Record<string, object>;
  newPlot(element: HTMLElement, data: Traces, layout: object, options: object): Promise<PlotElement>;
  react(element: HTMLElement, data: Traces, layout: object, options: object): Promise<PlotElement>;
  update(element: HTMLElement, data: object, layout: object, traces: number[]): Promise<void>;
  relayout(element: HTMLElement, layout: object): Promise<void>;
  purge(element: HTMLElement): void;
};

/** An element of a page as its id or class finds it; what it is, the page says. */
type PageElement = HTMLElement &
  Pick<HTMLInputElement, "value" | "type" | "min" | "max" | "checked" | "disabled" | "files"> &
  Pick<HTMLAnchorElement, "href"> &
  Pick<HTMLImageElement, "src" | "alt"> &
  Pick<HTMLDialogElement, "showModal" | "close" | "returnValue">;

interface Clip {
  id: string;
  name: string;
  width: number;
  height: number;
  frames: number;
  fps: number;
  bytes: number;
  remark: string;
  created_at: string;
  tags: string[];
}

interface Work {
  id: string;
  state: "queued" | "running" | "done" | "failed" | "cancelled";
  stage: string;
  progress: number;
  eta_seconds: number | null;
  queue_position: number | null;
  starts_in_seconds: number | null;
  error: string | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  links: Record<string, string>;
}

interface Run extends Work {
  clip: string;
  name: string;
  tags: string[];
  deleted_at: string | null;
  method: string;
  method_title: string;
  is_prediction: boolean;
  weights: string | null;
  grid: number | null;
  point_count: number;
  start: number;
  query_frame: number;
  direction: "forward" | "backward" | "both";
  frames: number;
  frame_step: number;
  tracked_frames: number | null;
  estimate: number | null;
}

interface Outlook {
  name: string;
  chunks: number;
  seconds: number;
  bytes: number;
  motion: number;
}

interface Job extends Work {
  kind: string;
  title: string;
  name: string;
  settings: Record<string, any>;
  result: Record<string, any> | null;
  weights: string | null;
}

interface Method {
  name: string;
  title: string;
  summary: string;
  available: boolean;
  reason: string | null;
  from_one_image: boolean;
  weights: string[];
}

interface Dataset {
  name: string;
  error: string | null;
  is_complete: boolean;
  samples: number;
  samples_by_split: Record<string, number>;
  videos: number;
  failures: number;
  bytes: number;
  method_title: string;
  grid: number;
  horizon: number;
  links: Record<string, string>;
  sources: { source: string; samples: number }[];
}

interface Sample {
  key: string;
  source: string;
  split: string;
  start: number;
  motion: number;
  moving: number;
  visible: number;
  quality: number | null;
  links: Record<string, string>;
}

interface SampleDetail extends Sample {
  facts: {
    source: string;
    start: number;
    count: number;
    frame_step: number;
    fps: number;
    image_size: [number, number];
    size: [number, number];
  };
}

type ClipErrors = Record<"mean_final" | "median_final" | "mean_path", number | null>;

type Metrics = Record<"epe" | "epe_moving" | "ade" | "cosine" | "min_ade" | "coverage", number | null> & {
  within: Record<string, number | null>;
  hypotheses: number;
  points: number;
  moving: number;
};

interface Comparison {
  frames: number[];
  size: [number, number];
  grid: number;
  points: number;
  pixels: ClipErrors;
  metrics: Metrics;
  zero_pixels: ClipErrors;
  zero_metrics: Metrics;
  starts: [number, number][];
  final_error: (number | null)[];
  displacement: (number | null)[];
  true_displacement: (number | null)[];
}
