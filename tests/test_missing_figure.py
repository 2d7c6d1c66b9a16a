"""The map of missing values draws the numbers that it was given."""

from __future__ import annotations

import numpy as np
import pandas as pd

from onlm_lab.cohort.missing import missing_by
from onlm_lab.figures import plot_missing


def _missing() -> pd.DataFrame:
    rows = pd.DataFrame({"centre": ["A"] * 300 + ["<b>B"] * 100, "cea_ng_ml": 1.0, "suv_max": 1.0, "kps": 1.0})
    rows.loc[:0, "cea_ng_ml"] = np.nan
    rows.loc[300:, "suv_max"] = np.nan
    return missing_by(rows)


def test_every_tile_is_a_number_of_the_table():
    table = _missing()
    figure = plot_missing(table)
    tiles = figure.data[0]
    wanted = table.pivot(index="column", columns="group", values="fraction").loc[
        ["cea_ng_ml", "suv_max", "kps"], ["all", "<b>B", "A"]
    ]
    np.testing.assert_array_equal(np.array(tiles.z, float), wanted.to_numpy())
    assert (tiles.zmin, tiles.zmax) == (0, 1)
    written = {(x, y): t for trace in figure.data[1:] for x, y, t in zip(trace.x, trace.y, trace.text, strict=True)}
    assert written == {(0, 0): "&lt;1", (2, 0): "&lt;1", (0, 1): "25", (1, 1): "100"}
    light = {t.textfont.color: list(t.text) for t in figure.data[1:]}
    assert light["#ffffff"] == ["100"]


def test_the_figure_asks_says_how_many_and_escapes_names():
    figure = plot_missing(_missing(), names={"kps": "Karnofsky <i>"}, mark="MADE-UP DATA")
    assert figure.layout.title.text.endswith("?")
    assert figure.layout.title.subtitle.text.startswith("400 patients; 2 of 3 characteristics are missing in some")
    assert list(figure.layout.xaxis.ticktext) == ["All<br>n = 400", "&lt;b&gt;B<br>n = 100", "A<br>n = 300"]
    assert list(figure.layout.yaxis.ticktext) == ["CEA (ng/mL)", "SUVmax", "Karnofsky &lt;i&gt;"]
    assert any(a.text == "MADE-UP DATA" for a in figure.layout.annotations)


def test_many_centres_keep_their_tiles_without_numbers_and_an_empty_table_draws():
    rows = pd.DataFrame({"centre": [f"C{i:02d}" for i in range(40)], "kps": [np.nan, 1.0] * 20})
    figure = plot_missing(missing_by(rows))
    assert np.shape(figure.data[0].z) == (1, 41) and len(figure.data) == 1
    nobody = plot_missing(missing_by(rows.iloc[:0], columns=["kps"]))
    assert "0 patients" in nobody.layout.title.subtitle.text
