// The report's figures in the page's colours, and its pictures in large.

const figures = JSON.parse(document.getElementById("figures").textContent);

/** Replace `var(--name)` by what the page's theme says; figures name their colours so. */
function resolved(value, style) {
  if (typeof value === "string" && value.startsWith("var(--")) return style.getPropertyValue(value.slice(4, -1)).trim();
  if (Array.isArray(value)) return value.map((item) => resolved(item, style));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, resolved(item, style)]));
  }
  return value;
}

function themed(layout, style) {
  const axis = {
    gridcolor: "var(--grid-line)", zerolinecolor: "var(--grid-line)", linecolor: "var(--line-strong)",
    automargin: true, title: { standoff: 10, font: { size: 13, color: "var(--muted)" } },
  };
  const merged = {
    margin: { l: 58, r: 18, t: layout.legend ? 30 : 12, b: 48 },
    height: 340,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12.5, color: "var(--text)" },
    hoverlabel: { bgcolor: "var(--raised)", bordercolor: "var(--line-strong)", font: { color: "var(--text)" } },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: "var(--muted)", activecolor: "var(--accent)" },
    ...layout,
  };
  for (const name of ["xaxis", "yaxis"]) {
    if (layout[name]) merged[name] = { ...axis, ...layout[name], title: { ...axis.title, ...layout[name].title } };
  }
  if (layout.polar) {
    const { angularaxis, radialaxis, ...rest } = layout.polar;
    merged.polar = {
      bgcolor: "rgba(0,0,0,0)",
      angularaxis: { gridcolor: axis.gridcolor, linecolor: axis.linecolor, ...angularaxis },
      radialaxis: { gridcolor: axis.gridcolor, linecolor: axis.gridcolor, ...radialaxis },
      ...rest,
    };
  }
  return resolved(merged, style);
}

function draw() {
  const style = getComputedStyle(document.documentElement);
  for (const [id, { data, layout }] of Object.entries(figures)) {
    const options = {
      displaylogo: false,
      responsive: true,
      modeBarButtons: [["toImage"]],
      toImageButtonOptions: { filename: id, scale: 3 },
    };
    Plotly.react(document.getElementById(`figure-${id}`), resolved(data, style), themed(layout, style), options);
  }
}

draw();
matchMedia("(prefers-color-scheme: light)").addEventListener("change", draw);

const dialog = document.querySelector("dialog");
for (const button of document.querySelectorAll(".tile button")) {
  button.addEventListener("click", () => {
    dialog.querySelector("img").src = button.querySelector("img").src;
    dialog.querySelector("p").textContent = button.closest(".tile").querySelector("figcaption").innerText.split("\n").join(" · ");
    dialog.showModal();
  });
}
dialog.addEventListener("click", () => dialog.close());
