"""Strategies by name and put together at random."""

from hypothesis import strategies as st

import keras_mtl
from keras_mtl import aggregators
from keras_mtl import balancers
from keras_mtl import flatness


def made_without_arguments(family, base):
    """Names of the classes of a family that need no argument."""
    needing = {"Constant", "Fixed", "AutoLambda", "CRMOGM", "Grouped"}
    return [
        name
        for name in family.__all__
        if isinstance(getattr(family, name), type)
        and getattr(family, name) not in base
        and name not in needing
    ]


AGGREGATORS = made_without_arguments(
    aggregators,
    (
        aggregators.Aggregator,
        aggregators.GramianAggregator,
        aggregators.LinearAggregator,
    ),
)
BALANCERS = made_without_arguments(balancers, (balancers.Balancer,))
FLATNESS = made_without_arguments(flatness, (flatness.Flatness,))


#: Options of `Strategy`, most of them left as they are most of the time.
OPTIONS = st.one_of(
    st.just({}),
    st.just({"memory": "low"}),
    st.just({"gradients": "representation"}),
    st.just({"granularity": "layer"}),
    st.just({"accumulate": 2}),
)


@st.composite
def compositions(draw):
    """Returns a description of a `Strategy`; not all can be made."""
    return {
        "balancer": draw(st.sampled_from([None, *BALANCERS])),
        "flatness": draw(st.sampled_from([None, None, *FLATNESS])),
        "aggregator": draw(st.sampled_from([None, *AGGREGATORS])),
        **draw(OPTIONS),
    }


def descriptions():
    """`None`, names, and descriptions of compositions."""
    return st.one_of(
        st.none(),
        st.sampled_from(keras_mtl.strategies.names()),
        compositions(),
    )


def make_strategy(description):
    """Returns what `compile` takes; raises `ValueError` where parts clash."""
    if not isinstance(description, dict):
        return description
    families = {
        "balancer": balancers,
        "flatness": flatness,
        "aggregator": aggregators,
    }
    arguments = dict(description)
    for argument, family in families.items():
        name = arguments[argument]
        if name is not None:
            arguments[argument] = getattr(family, name)()
    return keras_mtl.Strategy(**arguments)
