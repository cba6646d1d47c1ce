"""The two models: their features with units and meaning, and how they are trained."""

from . import augment, data, features
from .forest import Recipe

# Columns of features_series.sql that the model leaves out: within 15 minutes they show the exporter's timeouts rather
# than the miner. EVALUATION.md has what they cost.
TIMING = [
    "flow_count",
    "connections_per_flow",
    "active_s",
    "duration_mean_s",
    "duration_max_s",
    "busy_share",
    "gap_mean_s",
    "gap_variation",
    "gap_max_share",
]

ABOUT_SERIES = {
    "packets_per_flow": ("packets", "Packets of both directions per flow."),
    "packets_per_minute_up": (
        "packets/min",
        "Packets that the client sends, per minute from the first flow's begin to the last one's end.",
    ),
    "packets_per_minute_down": ("packets/min", "Packets that the server sends, per minute."),
    "bytes_per_packet_up": ("B", "Mean size of the client's packets, with headers."),
    "bytes_per_packet_down": ("B", "Mean size of the server's packets, with headers."),
    "size_median_up": (
        "B",
        "Median over the flows of their mean packet size, client's side: one flow with a handshake does not move it.",
    ),
    "size_median_down": ("B", "Median over the flows of their mean packet size, server's side."),
    "size_variation_up": (
        "1",
        "Standard deviation of the flows' mean packet sizes, client's side, divided by their mean: 0 is all alike.",
    ),
    "size_variation_down": (
        "1",
        "Standard deviation of the flows' mean packet sizes, server's side, divided by their mean: 0 is all alike.",
    ),
    "packets_share_up": ("1", "Share of the packets that the client sends."),
    "bytes_share_up": ("1", "Share of the bytes that the client sends."),
    "steady_share": ("1", "Share of records with no TCP flag but ACK, or ACK and PSH."),
    "opens_share": ("1", "Share of records with a SYN."),
    "closes_share": ("1", "Share of records with a FIN or RST."),
    "flow_count": ("flows", "Flows in the window, in the direction that was seen more often."),
    "connections_per_flow": (
        "1",
        "Client ports per flow: 1 is a new connection each time, small is one long connection.",
    ),
    "active_s": ("s", "From the first flow's begin to the last one's end."),
    "duration_mean_s": ("s", "Mean duration of the records."),
    "duration_max_s": ("s", "Greatest duration of a record."),
    "busy_share": ("1", "Summed durations over the active time: the mean number of connections at a time."),
    "gap_mean_s": ("s", "Mean time from one flow's begin to the next one's."),
    "gap_variation": ("1", "Standard deviation of these gaps divided by their mean: 0 is a metronome."),
    "gap_max_share": ("1", "The longest gap as a share of the active time."),
}

ABOUT_FLOW = {
    "td": ("s", "Duration of the flow."),
    "ipkt": ("packets", "Packets in: of the direction that the collector saw first."),
    "ibyt": ("B", "Bytes in."),
    "opkt": ("packets", "Packets out: the way back, 0 where the record has one direction."),
    "obyt": ("B", "Bytes out."),
    "pktips": ("packets/s", "Packets in per second."),
    "pktops": ("packets/s", "Packets out per second."),
    "bytips": ("B/s", "Bytes in per second."),
    "bytops": ("B/s", "Bytes out per second."),
    "bytippkt": ("B", "Bytes in per packet in."),
    "bytoppkt": ("B", "Bytes out per packet out."),
    "bytipo": ("1", "Bytes in per byte out."),
    "pktipo": ("1", "Packets in per packet out."),
}

SERIES = Recipe(
    name="miner_series",
    features=[name for name in features.SERIES_FEATURES if name not in TIMING],
    unit=features.SERIES_KEY,
    false_alarm_goal=0.001,
    # Without addresses CESNET's units are connections: they do not say how many alarms a (client, server, port) gets.
    goal_without=[data.CESNET],
    threshold_min=0.5,
    n_inner_folds=4,
    # Both directions at 1800/15 is left for tests only.
    renderings=[data.ROUTER, data.BOTH_WAYS, data.LONG, *augment.RENDERINGS],
    rows_max=700,
    parameters={"n_estimators": 100, "max_depth": 10, "min_samples_leaf": 5, "max_features": "sqrt"},
)

FLOW = Recipe(
    name="cds_flow",
    features=features.FLOW_FEATURES,
    unit=["row"],
    false_alarm_goal=0.001,
    goal_without=[],
    threshold_min=0.5,
    n_inner_folds=2,
    renderings=data.FLOW_RENDERINGS,
    rows_max=700,
    parameters={
        "n_estimators": 100,
        "max_depth": 10,
        "min_samples_leaf": 3,
        "max_features": "sqrt",
        "max_samples": 0.5,
    },
)
