/* The page of a map. Coordinates of Leaflet are pixels of the picture: longitude is the column, latitude the row, counted upwards. */
"use strict";

(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const data = read("data");
  const tiles = read("tiles");
  const finest = data.levels - 1;
  const EMPTY = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==";
  const MOST_NAMES = 60;
  const FEW = 25;
  const LEAST_NAMED_PX = 14;
  const CHOSEN = "#ffe14d";

  /* -- small things -- */

  function element(tag, text, properties = {}) {
    const made = Object.assign(document.createElement(tag), properties);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  const squareMetres = (value) => `${value.toLocaleString("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 })} m²`;

  function say(text) {
    document.getElementById("said").textContent = text;
    clearTimeout(say.timer);
    say.timer = setTimeout(() => { document.getElementById("said").textContent = ""; }, 6000);
  }

  function brought({ middle, half, zero, terms, factors }, place) {
    const [x, y] = place.map((value, i) => (value - middle[i]) / half[i]);
    return zero.map((start, k) => terms.reduce((sum, [i, j], n) => sum + factors[n][k] * x ** i * y ** j, start));
  }

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch { // a page that was opened as a file may not have it
      const field = element("textarea", undefined, { value: text, className: "unseen" });
      document.body.append(field);
      field.select();
      const done = document.execCommand("copy");
      field.remove();
      if (!done) { say(`Not allowed to copy: ${text}`); return; }
    }
    say(`Copied ${text}`);
  }

  function placeLine(latitude, longitude, name) {
    const line = element("p", undefined, { className: "place" });
    const button = element("button", "Copy", { type: "button" });
    button.addEventListener("click", () => copy(`${latitude}, ${longitude}`));
    const link = element("a", "Go there", { href: `geo:${latitude},${longitude}?q=${latitude},${longitude}(${encodeURIComponent(name)})` });
    link.title = "Opens an app for maps, if there is one";
    line.append(element("span", `${latitude}, ${longitude}`, { className: "degrees" }), button, link);
    return line;
  }

  /* -- the map -- */

  const crs = L.extend({}, L.CRS.Simple, {
    scale: (zoom) => 2 ** (zoom - finest),
    zoom: (scale) => Math.log2(scale) + finest,
    distance: (a, b) => Math.hypot(a.lat - b.lat, a.lng - b.lng) * data.metres,
  });
  const at = ([col, row]) => L.latLng(-row, col);
  const extent = L.latLngBounds(at([0, data.height]), at([data.width, 0]));
  const touch = matchMedia("(pointer: coarse)").matches;
  const map = L.map("map", {
    crs,
    minZoom: -3,
    maxZoom: finest + 4,
    zoomSnap: 0.25,
    zoomDelta: 1,
    wheelPxPerZoomLevel: 90,
    maxBounds: extent.pad(2), // room for what is said of patches at the rim
    maxBoundsViscosity: 0.8,
    renderer: L.canvas({ padding: 0.4, tolerance: touch ? 8 : 2 }),
  });
  map.attributionControl.setPrefix(false);

  const Tiles = L.TileLayer.extend({
    getTileUrl: ({ x, y, z }) => {
      const tile = tiles[`${z}/${x}/${y}`];
      return tile ? `data:image/webp;base64,${tile}` : EMPTY;
    },
  });
  new Tiles("", {
    tileSize: data.tile,
    minZoom: -3,
    maxZoom: finest + 4,
    minNativeZoom: 0,
    maxNativeZoom: finest,
    bounds: extent,
    noWrap: true,
    keepBuffer: 1,
  }).addTo(map);
  L.control.scale({ imperial: false, maxWidth: 140 }).addTo(map);

  if (Math.abs(data.north) >= 1) {
    const North = L.Control.extend({
      onAdd: () => {
        const box = element("div", undefined, { className: "north", title: "North" });
        box.innerHTML = '<svg viewBox="-20 -20 40 40" width="40" height="40" role="img" aria-label="North">'
          + '<path d="M0 -17 L8 12 L0 6 L-8 12 Z"/><text x="0" y="4" text-anchor="middle">N</text></svg>';
        box.firstChild.style.transform = `rotate(${data.north}deg)`;
        return box;
      },
    });
    map.addControl(new North({ position: "topright" }));
  }

  /* -- patches -- */

  const items = [];
  const line = (colour, more) => ({ color: colour, weight: 2, opacity: 1, fillColor: colour, ...more });
  let chosen = null;

  function popupOf(patch) {
    const box = element("div", undefined, { className: "patch" });
    const facts = element("dl");
    for (const [name, value] of [
      ["mapped", squareMetres(patch.area)],
      ["ground within its outline", squareMetres(patch.gross)],
      [data.mean, patch.mean.toFixed(2)],
    ]) facts.append(element("dt", name), element("dd", value));
    const kind = element("p", data.classes[patch.class].name, { className: "kind" });
    kind.style.setProperty("--colour", data.classes[patch.class].colour);
    box.append(element("h3", patch.name), kind, facts, placeLine(...patch.place, patch.name));
    return box;
  }

  function highlight(item) {
    if (chosen) {
      chosen.outline.setStyle({ color: data.classes[chosen.patch.class].colour, weight: 2, dashArray: "5 4" });
      chosen.button.removeAttribute("aria-current");
    }
    chosen = item;
    if (item) {
      item.outline.setStyle({ color: CHOSEN, weight: 4, dashArray: null });
      item.outline.bringToFront();
      item.button.setAttribute("aria-current", "true");
    }
  }

  function choose(item, where) {
    highlight(item);
    L.popup({ maxWidth: 280, minWidth: 200, autoPanPaddingTopLeft: [62, 12], autoPanPaddingBottomRight: [8, 12] })
      .setLatLng(where ?? at(item.patch.centre))
      .setContent(popupOf(item.patch))
      .on("remove", () => { if (chosen === item) highlight(null); })
      .openOn(map);
  }

  for (const patch of data.patches) {
    const { colour, name } = data.classes[patch.class];
    const placed = (parts) => parts.map((rings) => rings.map((ring) => ring.map(at)));
    L.polygon(placed(patch.cells), line(colour, { weight: 1.5, fillOpacity: 0.28, interactive: false })).addTo(map);
    const outline = L.polygon(placed(patch.outline), line(colour, { dashArray: "5 4", fillOpacity: 0.01, bubblingMouseEvents: false }));
    const button = element("button", undefined, { type: "button" });
    const chip = element("span", undefined, { className: "chip" });
    chip.style.setProperty("--colour", colour);
    button.append(chip, element("b", patch.name), element("span", name, { className: "of" }), element("span", squareMetres(patch.area)));
    const item = { patch, outline, button };
    outline.addTo(map).on("click", (event) => choose(item, event.latlng));
    button.addEventListener("click", () => {
      map.fitBounds(outline.getBounds().pad(0.7), { maxZoom: Math.max(finest, whole), animate: false });
      choose(item);
      if (innerWidth < 800) document.getElementById("map").scrollIntoView({ block: "nearest" });
    });
    const row = element("li");
    row.append(button);
    document.getElementById("patches").append(row);
    items.push(item);
  }

  map.on("click", ({ latlng }) => {
    const [longitude, latitude] = brought(data.toDegrees, [latlng.lng, -latlng.lat]).map((value) => value.toFixed(7));
    L.popup({ maxWidth: 280 }).setLatLng(latlng).setContent(placeLine(latitude, longitude, data.title)).openOn(map);
  });

  /* -- names above patches, where there is room: of few in view all, else those that are large enough to be seen -- */

  const names = L.layerGroup().addTo(map);

  function writeNames() {
    names.clearLayers();
    const view = map.getBounds();
    const scale = crs.scale(map.getZoom());
    const { x: width, y: tall } = map.getSize();
    const seen = items.filter(({ patch }) => view.contains(at(patch.centre)));
    const taken = [];
    for (const { patch, outline } of seen) {
      const bounds = outline.getBounds();
      const height = scale * (bounds.getNorth() - bounds.getSouth());
      const size = Math.max(height, scale * (bounds.getEast() - bounds.getWest()));
      if (taken.length >= MOST_NAMES) break;
      if (seen.length > FEW && size < LEAST_NAMED_PX) continue;
      const small = height < 60; // else the name stands within
      const place = small ? L.latLng(bounds.getNorth(), bounds.getCenter().lng) : at(patch.centre);
      const { x, y } = map.latLngToContainerPoint(place);
      const middle = { x, y: small ? y - 14 : y };
      const beyond = middle.x < 24 || middle.x > width - 24 || middle.y < 10 || middle.y > tall - 10;
      if (beyond || (middle.x < 84 && middle.y < 170)) continue; // buttons are there
      if (taken.some((other) => Math.abs(other.x - middle.x) < 48 && Math.abs(other.y - middle.y) < 22)) continue;
      taken.push(middle);
      names.addLayer(L.tooltip({ permanent: true, direction: small ? "top" : "center", className: "name", interactive: false })
        .setLatLng(place).setContent(patch.name));
    }
  }
  map.on("moveend", writeNames);

  /* -- beside it -- */

  document.getElementById("source").textContent = (data.image ? `On ${data.image}, ${data.cm} cm a pixel` : "On plain ground") + `, ${data.crs}`;
  document.getElementById("count").textContent = data.patches.length === 1 ? "1 patch" : `${data.patches.length.toLocaleString("en")} patches`;
  for (const { name, colour, areas } of data.classes) {
    const chip = element("h3", name, { className: "kind" });
    chip.style.setProperty("--colour", colour);
    document.getElementById("legend").append(chip);
    for (const area of areas) {
      document.getElementById("legend").append(
        element("p", `${area.what}: ${squareMetres(area.counted_m2)} on the map; corrected for errors ${squareMetres(area.estimate_m2)}, `
          + `with 95 % between ${squareMetres(area.low_m2)} and ${squareMetres(area.high_m2)}`),
      );
    }
  }

  /* -- where am I, if the browser would tell -- */

  const here = { circle: L.circle(at([0, 0]), { radius: 1, interactive: false, color: "#0a5bd3", weight: 1, fillOpacity: 0.12 }),
    dot: L.circleMarker(at([0, 0]), { radius: 7, interactive: false, color: "#fff", weight: 2, fillColor: "#0a5bd3", fillOpacity: 1 }) };
  let watch = null;

  function located({ coords }, centre) {
    const place = at(brought(data.toPixels, [coords.longitude, coords.latitude]));
    if (!extent.pad(2).contains(place)) { say("You are not at this site"); return; }
    here.circle.setLatLng(place).setRadius(coords.accuracy / data.metres).addTo(map);
    here.dot.setLatLng(place).addTo(map);
    if (centre) map.panTo(place);
  }

  function offerLocation() {
    const Locate = L.Control.extend({
      onAdd: () => {
        const box = element("div", undefined, { className: "leaflet-bar locate" });
        const button = element("button", "◎", { type: "button", title: "Where am I?" });
        button.setAttribute("aria-label", "Where am I?");
        button.setAttribute("aria-pressed", "false");
        L.DomEvent.disableClickPropagation(box);
        button.addEventListener("click", () => {
          if (watch !== null) {
            navigator.geolocation.clearWatch(watch);
            watch = null;
            here.circle.remove();
            here.dot.remove();
          } else {
            let first = true;
            watch = navigator.geolocation.watchPosition((position) => { located(position, first); first = false; }, (error) => {
              if (error.code === error.PERMISSION_DENIED) {
                box.remove(); // it would be dead
                say("This browser does not say where you are");
              } else say("No position yet");
            }, { enableHighAccuracy: true });
          }
          button.setAttribute("aria-pressed", String(watch !== null));
        });
        box.append(button);
        return box;
      },
    });
    map.addControl(new Locate({ position: "topleft" }));
  }
  if (navigator.geolocation && isSecureContext) {
    const asked = navigator.permissions?.query({ name: "geolocation" }) ?? Promise.resolve({ state: "prompt" });
    asked.catch(() => ({ state: "prompt" })).then(({ state }) => { if (state !== "denied") offerLocation(); });
  }

  /* -- the first view: all of the site -- */

  const fit = () => map.fitBounds(extent, { animate: false, padding: [4, 4] });
  fit();
  const whole = map.getZoom();
  map.setMinZoom(Math.min(whole, 0) - 0.5);
  addEventListener("beforeprint", () => { map.invalidateSize({ animate: false }); fit(); });
  window.spurgekit = { map, data, at };
  document.body.dataset.ready = "";
})();
