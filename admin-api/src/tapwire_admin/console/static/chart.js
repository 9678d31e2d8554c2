// Sales over time: money as bars, volume as a line. The table beside it has the same numbers.

const where = document.getElementById("chart");
const { keys, money, volumes, labels } = JSON.parse(document.getElementById("chart-data").textContent);
const style = getComputedStyle(document.documentElement);
const colour = (name) => {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
};
const LABEL_GAP_PX = 14;
const font = `13px ${style.fontFamily}`;
const index = keys.map((_, place) => place);
const shortKey = (place) => keys[place] ?? "";

function axis(scale, side, show) {
  return { scale, side, font, stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1, show }, ticks: { show: false } };
}

// As many labels as find room beside each other, at even distances.
function labelled(chart) {
  const paper = document.createElement("canvas").getContext("2d");
  paper.font = font;
  const label_px = Math.max(...keys.map((key) => paper.measureText(key).width)) + LABEL_GAP_PX;
  const room_px = chart.bbox.width / devicePixelRatio;
  const step = Math.max(1, Math.ceil((label_px * keys.length) / room_px));
  return index.filter((place) => place % step === 0);
}

function draw() {
  const chart = new uPlot(
    {
      width: where.clientWidth,
      height: where.clientHeight - 40,
      scales: { x: { time: false, range: [-0.6, Math.max(keys.length, 2) - 0.4] }, money: { range: (_, _low, high) => [0, high * 1.1 || 1] }, volumes: { range: (_, _low, high) => [0, high * 1.1 || 1] } },
      axes: [{ ...axis("x", 2, false), splits: labelled, values: (_, splits) => splits.map(shortKey) }, axis("money", 3, true), axis("volumes", 1, false)],
      series: [
        { label: labels[0], value: (_, place) => (place === null ? "–" : shortKey(place)) },
        { label: labels[1], scale: "money", paths: uPlot.paths.bars({ size: [0.6, 60] }), fill: colour("--accent"), stroke: colour("--accent"), points: { show: false } },
        { label: labels[2], scale: "volumes", stroke: colour("--ink"), width: 2 },
      ],
    },
    [index, money, volumes],
    where,
  );
  new ResizeObserver(() => chart.setSize({ width: where.clientWidth, height: where.clientHeight - 40 })).observe(where);
}

document.fonts.ready.then(draw);
