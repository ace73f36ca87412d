"""Maps of the embeddings of every clip, the model's beside the baseline's, coloured by what is known (fig. 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cardiolens.validation.cohort import AGE_BANDS
from cardiolens.validation.drawing import COLOURS, board, capital, readable
from cardiolens.validation.request import Case
from cardiolens.validation.sections import Section, Table

if TYPE_CHECKING:
    from cardiolens.evaluation.figures import Drawn
    from cardiolens.validation.readings import Readings

_MOST_CONDITIONS = 12
_FEWEST = 5  # studies with a condition for it to get a map
_NEIGHBOURS = 10
_NAMES = {"tsne": "t-SNE", "umap": "UMAP", "pca": "PCA"}
Plane = npt.NDArray[np.float64]
Place = tuple[str, str, int]


def map_section(case: Case) -> Section:
    """Maps by view, sex, age group, LVEF, heart rate, scanner, site and condition; view mixing as a number."""
    section = Section("maps", "Maps of the embeddings")
    clips, chosen = _chosen(case)
    if len(clips) < _NEIGHBOURS + 2:
        section.notes.append(f"{len(clips)} clips are too few for a map.")
        return section
    how = _NAMES[case.settings.projection]
    section.words.append(
        f"Each point is one clip, {how} of its embedding; the colours were not used to place it. A network that has "
        "learned the heart rather than the picture mixes the views and keeps like hearts together."
    )
    if len(clips) < len(case.readings.clips):
        section.notes.append(f"A seeded draw of {len(clips):,} of {len(case.readings.clips):,} clips is shown.")
    sources = [case.readings, *([case.baseline] if case.baseline is not None else [])]
    places = [_project(case, source, chosen) for source in sources]
    if case.cohort.studies.loc[clips["key"], "patient"].nunique() > 1:
        section.tables.append(_mixing(case, sources, chosen, clips))
    else:
        section.notes.append("View mixing compares clips of different patients, and there is one only.")
    section.tables.append(_places(clips, places))
    titles = [source.title for source in sources]
    for name, title, values in _colourings(case, clips, section):
        section.figures.append(_figure(name, title, values, places, titles, how))
    return section


def _chosen(case: Case) -> tuple[pd.DataFrame, list[Place]]:
    """Clips to draw: those that model and baseline both read, at most `map_clips`."""
    clips = case.readings.clips[["key", "view", "plane"]]
    if case.baseline is not None:
        clips = clips[clips["key"].isin(case.baseline.keys)]
    if len(clips) > case.settings.map_clips:
        rng = np.random.default_rng(case.settings.seed)
        clips = clips.iloc[np.sort(rng.choice(len(clips), case.settings.map_clips, replace=False))]
    clips = clips.reset_index(drop=True)
    return clips, list(clips.itertuples(index=False, name=None))


def _rows(source: Readings, chosen: list[Place]) -> npt.NDArray[np.float32]:
    where = {
        place: number for number, place in enumerate(source.clips[["key", "view", "plane"]].itertuples(False, None))
    }
    rows: npt.NDArray[np.float32] = source.embeddings[[where[place] for place in chosen]]
    return rows


def _project(case: Case, source: Readings, chosen: list[Place]) -> Plane:
    from cardiolens.search import project

    return np.asarray(project(_rows(source, chosen), method=case.settings.projection, seed=case.settings.seed))


def _mixing(case: Case, sources: list[Readings], chosen: list[Place], clips: pd.DataFrame) -> Table:
    from cardiolens.search import view_mixing
    from cardiolens.search.maps import expected_share

    views = clips["view"].tolist()
    patients = case.cohort.studies.loc[clips["key"], "patient"].tolist()
    column = "neighbours of the same view"
    rows: list[dict[str, Any]] = []
    for source in sources:
        share = view_mixing(_rows(source, chosen), views, _NEIGHBOURS, patients=patients)
        rows.append({"encoder": source.title, column: share})
    rows.append({"encoder": "were the views mixed evenly", column: expected_share(views, patients)})
    frame = pd.DataFrame(rows)
    caption = (
        f"View mixing: of the {_NEIGHBOURS} clips of other patients nearest to a clip, in the full embedding, the "
        "share that show the same view (1: the views lie apart)"
    )
    return Table("view_mixing", caption, frame, frame.assign(**{column: frame[column].map("{:.3f}".format)}))


def _places(clips: pd.DataFrame, places: list[Plane]) -> Table:
    frame = clips.assign(x=places[0][:, 0], y=places[0][:, 1])
    if len(places) > 1:
        frame = frame.assign(x_baseline=places[1][:, 0], y_baseline=places[1][:, 1])
    return Table("maps", "Where each clip lies on the maps", frame, frame[:0])


def _colourings(case: Case, clips: pd.DataFrame, section: Section) -> list[tuple[str, str, pd.Series[Any]]]:
    """(file name, title, a value a clip); what is not known of anyone is said and left out."""
    studies = case.cohort.studies.loc[clips["key"]].reset_index(drop=True)
    labels = case.cohort.labels.reindex(clips["key"]).reset_index(drop=True)
    found: list[tuple[str, str, pd.Series[Any]]] = [("map_view", "View", clips["view"])]
    plain = (("sex", "Sex"), ("age_group", "Age"), ("heart_rate", "Heart rate, beats/min"), ("scanner", "Scanner"))
    for name, title in (*plain, ("site", "Site")):
        if studies[name].notna().any():
            if studies[name].nunique() > 1:
                found.append((f"map_{name}", title, studies[name]))
        else:
            section.notes.append(f"No map by {title.split(',')[0].lower()}: it is not known of any study.")
    if "lvef" in labels and labels["lvef"].notna().any():
        found.insert(1, ("map_lvef", "LVEF, %", labels["lvef"]))
    else:
        section.notes.append("No map by LVEF: no study has a true value.")
    by_study = case.cohort.labels.reindex(list(dict.fromkeys(clips["key"])))
    counts = {name: int((by_study[name] == 1).sum()) for name in by_study.columns if name != "lvef"}
    often = sorted((name for name, count in counts.items() if count >= _FEWEST), key=lambda name: -counts[name])
    for name in often[:_MOST_CONDITIONS]:
        marks = labels[name].map({1.0: "with", 0.0: "without"})
        found.append((f"map_{name}", f"{capital(readable(name))} ({counts[name]} studies)", marks))
    rare = [name for name in counts if name not in often[:_MOST_CONDITIONS]]
    if rare:
        listed = ", ".join(f"{readable(name)} ({counts[name]})" for name in rare)
        why = f"fewer than {_FEWEST} studies or beyond the {_MOST_CONDITIONS} most frequent"
        section.notes.append(f"No map for conditions of {why}: {listed}.")
    return found


def _figure(name: str, title: str, values: pd.Series[Any], places: list[Plane], titles: list[str], how: str) -> Drawn:
    from cardiolens.evaluation.figures import Drawn

    known = int(values.notna().sum())
    subtitle = f"{len(values):,} clips" + (f", of {known:,} it is known" if known < len(values) else "")
    figure, axes = board(len(places), columns=2, side=(4.6, 4.0), title=title, subtitle=subtitle)
    for each, place, of in zip(axes, places, titles, strict=True):
        each.set_title(of, fontsize=9, fontweight="normal", pad=6)
        each.set(xticks=[], yticks=[], xlabel=f"{how} 1", ylabel=f"{how} 2")
        each.grid(visible=False)
        _scatter(figure, each, place, values, last=each is axes[-1])
    return Drawn(name, title, f"{how} of the embeddings coloured by {title.lower()}: {', '.join(titles)}.", figure)


def _scatter(figure: Any, axes: Any, place: Plane, values: pd.Series[Any], *, last: bool) -> None:
    size = float(np.clip(9000 / (len(values) + 1), 3, 18))
    style = {"s": size, "linewidths": 0, "rasterized": True}
    unknown = values.isna().to_numpy()
    if unknown.any():
        axes.scatter(*place[unknown].T, c="#DDDDDD", **style)
    if values.dtype != object and not isinstance(values.dtype, pd.CategoricalDtype):
        edges = values.quantile([0.02, 0.98])
        numbers = values[~unknown].astype(float)
        drawn = axes.scatter(
            *place[~unknown].T, c=numbers, cmap="viridis", vmin=edges.iloc[0], vmax=edges.iloc[1], alpha=0.85, **style
        )
        if last:
            figure.colorbar(drawn, ax=axes, shrink=0.8, extend="both")
        return
    bands = [band for _, _, band in AGE_BANDS]
    levels = sorted(
        values.dropna().unique(), key=lambda level: (bands.index(level) if level in bands else -1, str(level))
    )
    colours = {"with": "#D55E00", "without": "#9FC5DC"} if set(levels) <= {"with", "without"} else {}
    for number, level in enumerate(sorted(levels, key=lambda level: level == "with")):
        own = (values == level).to_numpy()
        colour = colours.get(level, COLOURS[number % len(COLOURS)])
        axes.scatter(*place[own].T, c=colour, alpha=0.8, label=str(level), **style)
    if last:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=2.2, handletextpad=0.2)
