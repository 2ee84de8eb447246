"""`to_flowkit` and `from_flowkit`: samples and strategies."""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from nti7flow.events.fcs import write_fcs
from nti7flow.events.made import make_sample
from nti7flow.events.sample import Sample
from nti7flow.gating.strategy import GatingStrategy
from nti7flow.interop.flowkit.package import load

if TYPE_CHECKING:
    import flowkit


@overload
def to_flowkit(given: Sample) -> flowkit.Sample: ...
@overload
def to_flowkit(given: GatingStrategy) -> flowkit.GatingStrategy: ...
def to_flowkit(given: Sample | GatingStrategy) -> flowkit.Sample | flowkit.GatingStrategy:
    """Return a sample or a strategy as FlowKit has it.

    Parameters
    ----------
    given : Sample or GatingStrategy
        A sample keeps its events (scale values, float64) and keywords; FlowKit calls it after its file. A strategy
        keeps its gates: FlowKit counts the same events with it. Populations without a gate, and what rests on them, are
        left out, because FlowKit has no word for them.

    Raises
    ------
    StrategyError
        FlowKit would not apply a gate as we do; says which and why.

    Examples
    --------
    >>> import nti7flow as nf
    >>> peer = nf.to_flowkit(nf.read_strategy("gates.xml"))  # doctest: +SKIP
    >>> peer.gate_sample(nf.to_flowkit(nf.read_fcs("tube.fcs"))).report  # doctest: +SKIP
    """
    if isinstance(given, Sample):
        return _sample_to_flowkit(given)
    if not isinstance(given, GatingStrategy):
        raise TypeError(f"a Sample or GatingStrategy was expected, found {type(given).__name__}")
    from nti7flow.interop.flowkit.writer import strategy_to_flowkit

    return strategy_to_flowkit(given)


@overload
def from_flowkit(given: flowkit.Sample) -> Sample: ...
@overload
def from_flowkit(given: flowkit.GatingStrategy, *, sample_id: str | None = None) -> GatingStrategy: ...
def from_flowkit(
    given: flowkit.Sample | flowkit.GatingStrategy, *, sample_id: str | None = None
) -> Sample | GatingStrategy:
    """Return a FlowKit sample or strategy as ours.

    Parameters
    ----------
    given : flowkit.Sample or flowkit.GatingStrategy
        Of a sample the raw events are taken (FlowKit's scale values); its compensation and transforms are not.
    sample_id : str, optional
        Take the gates that were made for this sample, where there are any.

    Returns
    -------
    Sample or GatingStrategy
        A strategy is for any tube: apply it, or bind it with `GatingStrategy.for_sample`.

    Raises
    ------
    StrategyError
        A gate that FlowKit would drop, guess or could not apply; lists all of them by name.
    """
    fk = load()
    if isinstance(given, fk.GatingStrategy):
        from nti7flow.interop.flowkit.reader import strategy_from_flowkit

        return strategy_from_flowkit(given, origin="flowkit", sample_id=sample_id)
    if not isinstance(given, fk.Sample):
        raise TypeError(f"a FlowKit Sample or GatingStrategy was expected, found {type(given).__name__}")
    return _sample_from_flowkit(given)


def _sample_to_flowkit(sample: Sample) -> Any:
    fk = load()
    if sample.time_step_s is None:  # FlowKit would multiply by whatever stands there
        sample = replace(sample, keywords={k: v for k, v in sample.keywords.items() if k != "$TIMESTEP"})
    with tempfile.TemporaryDirectory() as folder:  # FlowKit builds samples of files only, or rounds them to 32 bits
        path = Path(folder) / "events.fcs"
        write_fcs(sample, path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return fk.Sample(path, sample_id=sample.path.name, ignore_offset_error=True)


def _sample_from_flowkit(peer: Any) -> Sample:
    keywords = {_keyword(key): str(text) for key, text in peer.get_metadata().items()}
    markers = [str(label or "") for label in peer.pns_labels]
    return make_sample(
        peer.get_events(source="raw"), list(peer.pnn_labels), name=str(peer.id), markers=markers, keywords=keywords
    )


def _keyword(key: str) -> str:
    """FlowKit drops the $ of standard keywords, and their case."""
    from flowio.fcs_keywords import FCS_STANDARD_KEYWORDS

    standard = key in FCS_STANDARD_KEYWORDS or (key[:1] == "p" and key[1:2].isdigit())
    return f"${key.upper()}" if standard else key.upper()
