"""The many-image viewer in a notebook (needs the extra ``notebooks``)."""

from __future__ import annotations

import anywidget
import traitlets

from mtkd.explore.viewer import script, style

_OPTIONS = ("reference", "baseline", "columns", "pick", "empty", "error", "source", "height")

_RENDER = """
export default {
  render({ model, el }) {
    const root = document.createElement("div");
    el.append(root);
    const given = %s;
    const options = () => Object.fromEntries(given.map((key) => [key, model.get(key) ?? undefined]));
    const viewer = mount(root, {
      panes: model.get("panes"), ...options(), view: model.get("view"),
      onView(view) { model.set("view", view); model.save_changes(); },
    });
    const onPanes = () => viewer.update(model.get("panes"), options());
    const onView = () => viewer.setView(model.get("view"));
    const names = ["panes", ...given].map((key) => `change:${key}`).join(" ");
    model.on(names, onPanes);
    model.on("change:view", onView);
    return () => { model.off(names, onPanes); model.off("change:view", onView); viewer.destroy(); };
  },
};
"""


class Viewer(anywidget.AnyWidget):
    """Images side by side that zoom and pan in step: ``Viewer(**value)`` of a ``mtkd.explore.viewer.Value``.

    ``view`` follows what the person looks at, and setting it moves there.
    """

    _esm = script() + _RENDER.replace("%s", str(list(_OPTIONS)))
    _css = style()

    panes = traitlets.List(traitlets.Dict()).tag(sync=True)
    reference = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    baseline = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    columns = traitlets.Int(None, allow_none=True).tag(sync=True)
    pick = traitlets.Int(None, allow_none=True).tag(sync=True)
    empty = traitlets.Unicode("Nothing to show yet").tag(sync=True)
    error = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    source = traitlets.Unicode("").tag(sync=True)
    height = traitlets.Int(None, allow_none=True).tag(sync=True)
    view = traitlets.Dict().tag(sync=True)
