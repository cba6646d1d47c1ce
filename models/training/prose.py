"""The words of EVALUATION.md that no number changes."""

OPENING = """# What the models are worth

Written by `models/train.py`; every number comes from its run (`make models`).
Two models are tested against captures that they saw nothing of, and against
networks that they saw nothing of. The second is what counts for a new user:
no network of the user's was in the training data.

Shares have Wilson's 95 % interval and the count behind them; F1 and AUC have
the 95 % interval of a bootstrap over captures. A false alarm of a series is
one (client, server, port) with an alarm in any window of its whole recording,
up to a week."""

METHOD = """## How it was tested

- **Split by capture**: five folds of whole captures. All windows, exports and
  augmented copies of a capture are on one side.
- **Leave one source out**: everything of a data set is left out of training,
  then tested. A source with miners only has no false alarms to count, one
  without miners no recall.
- **Threshold**: for each of these models anew, from its training captures alone:
  their scores by forests that did not see them, and the least threshold (in
  steps of 0.01, from 0.50) with at most 0.1 % of benign units alarmed. The
  card's threshold comes from all captures in the same way; rows that use it
  are marked, as a tested capture had a say in it. CESNET's connections have none:
  they are not (client, server, port).
- **Features** are computed by `pipelines/features_series.sql` and
  `pipelines/features_flow.sql`, run by Davy: the same files an operator runs.
- **Weights**: a source counts by the square root of its rows, per label.
- The main tables test records of one direction at a router's timeouts (300 s
  active, 60 s idle), and flows of both directions at the same timeouts.
- The choice of features (no timing), tree depth and weights was made with a look
  at these tables, among about twenty variants. The splits protect
  against learning a capture by heart, not against that.
- Raw fixtures of the same origins as the training data were kept out: most are
  the same captures once more.

The NEMEA rule is `pipelines/miners.sql`, run over the same flows. The CDS forest
is the one that is in use, at its own threshold; for series its greatest confidence among
the flows of the series counts, from records of both directions, for which it was made.

CESNET's rows have no addresses. Client port and server port name a connection
there, and connections with near client ports share a capture; so its miners
are on both sides of the split by capture, and only the left-out source is a
test of a new network. Its flows are a sample, and
“benign” means “not to a known pool”: five connections to one uncommon
port look like mining in every respect and count as false alarms here. “Hosts” are
connections in its rows.
The lab's captures are its client hosts, as all of them share one hour and the
same pools; again the left-out source is the stricter test."""

SERIES = """## `miner_series`

One score per (client, server, port) and 15 minutes with at least three flows.
The card's threshold is {threshold:.2f}."""

FLOW = """## `cds_flow`

One score per flow, from the 13 features of the Cryptomining Detection System.
Each flow is tested twice, once in each order of its directions. The NEMEA rule
needs a series and has no say here. The card's threshold is {threshold:.2f}."""

RENDERINGS = """The models of the split by capture on other exports of the same
held-out captures: one model serves all of them. “{untrained}” was never
trained on. Sampling keeps one packet in {sampling}; “as if over TLS” adds a TLS record
around each message of the miners, and a handshake, and has no benign rows of
its own."""

OTHERS = """Series that are neither known miners nor known to be harmless, by models that
saw nothing of their source. Probes are connections of a second to one pool after
the other; P2P nodes of a currency do not mine. Nobody knows what is in the
unlabelled networks: an alarm there may be right."""

ABLATION = """The series' timing (flow counts, durations, gaps, connections per flow) is
computed by the pipeline and left out by the model: within 15 minutes it tells
the exporter's timeouts more than the miner. “Recall at 1 %” takes the threshold
from the tested rows themselves, so it compares sets of features and promises
nothing."""

FLOW_RENDERINGS = """Held-out captures, by export. “Server first” exchanges `in` and `out`: which
side a collector saw first is chance. “As records of the CDS” are CJ-Sniffer's
captures as 71-column records, all of miners."""

THRESHOLDS = """What one threshold for all models would have given. It shows the price of a
higher recall; a threshold picked from it has seen the test."""

NEVER_SCORED = """Not counted above, as no window ever has three of their flows: miners of
{listed}. (CESNET's are connections of which the sample has one or two flows.)"""

LIMITS = """## Limits

- **Few miners.** Nearly all long recordings of real miners are CJ-Sniffer's, from
  one team. Without them, the lab and CESNET's sample teach what mining is. An
  interval that ends at 100 % says only that forty series were found.
- **Few benign series.** With about six hundred of them no rate of 0.1 % can be
  shown: zero of 600 leaves up to 0.6 % possible. The benign sources have more kept-alive
  connections than an office has, and fewer kinds of application.
- **Labs.** IoT sets, CJ-Sniffer and the lab are laboratories. CESNET's sample is the only
  labelled traffic of a provider, and it has no addresses.
- **What it cannot see.** Pools behind a VPN or Tor, miners that share a
  connection with other traffic, sampling of 1:100 and more, and series with fewer than
  three flows in every window.
- **Alike on the wire.** A database connection with a query every few seconds, a typed SSH session, a telemetry
  channel: small, steady messages both ways. Size and rate alone do not tell them
  from mining; a list of known services does."""

CLOSING = """## Do it again

```sh
make models DATA=../shared/data
```

Two runs on one machine give the same bytes: models, cards, this page and its plots."""
