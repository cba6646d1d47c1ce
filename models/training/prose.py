"""The words of EVALUATION.md that no number changes."""

OPENING = """# What the models are worth

Written by `models/train.py`; every number comes from its run (`make models`).
Both models are tested on captures that they saw nothing of, and on networks
that they saw nothing of. The second test is the one that counts for a new user,
whose network was in no training data."""

READING = """Shares have Wilson's 95 % interval and the counts behind them; F1 and AUC have
the 95 % interval of a bootstrap over captures. A false alarm of the series
model is one (client, server, port) with an alarm in any window of its whole
recording, which lasts up to a week."""

METHOD = """## How it was tested

- **Split by capture**: five folds of whole captures. All windows, exports and
  augmented copies of a capture are on one side.
- **Leave one source out**: everything of a data set is left out of training,
  then tested. A source with miners only has no false alarms to count, one
  without miners no recall.
- **Threshold**: chosen for each of these models anew, from its training captures
  alone: the least one, in steps of 0.01 from 0.50, at which forests that did not
  see a capture alarm at most 0.1 % of the benign series, counted in every export
  and augmentation that is trained on. The card's threshold comes from all
  captures in the same way. Rows that use it are marked: a tested capture had a
  say in it.
- **Features** are computed by `pipelines/features_series.sql` and
  `pipelines/features_flow.sql`, run by Davy: the files that an operator runs.
- **Weights**: a capture counts by the square root of its rows, a source by the
  square root of its captures, per label.
- **Augmentation**, on the training side: records of one direction and of both,
  timeouts of 300/60 and 1800/15 seconds, packet sampling, miners as if over TLS,
  packets with and without TCP timestamps, IPv6, and windows that begin half a
  window later. For single flows also the order of the two directions.
- The main tables test records of one direction at a router's timeouts (300 s
  active, 60 s idle), and single flows of both directions at the same timeouts.

What a reader should know before believing a number:

- Features, tree depth, weights and augmentations were chosen among some thirty
  variants with a look at these same tests. The splits keep a model from learning
  a capture by heart; they do not undo that choice.
- CESNET's rows have no addresses. Client port and server port name a connection
  there, and connections with near client ports share a capture. So its miners
  stand on both sides of the split by capture, and only the left-out source tests
  a new network. Its “hosts” are connections. Its flows are a sample. “Benign”
  there means “not to a known pool”: five connections to one uncommon port look
  like mining in every respect, and count as benign here. CESNET's connections
  have no say in a threshold, as they are not (client, server, port).
- The lab's captures are its client hosts: all of them share one hour and the same
  pools. Again the left-out source is the stricter test.
- The raw fixtures in the shared data were kept out: they are recordings of the
  same origins, most of them the same captures once more.

The NEMEA rule is `pipelines/miners.sql`, run over the same flows. The CDS forest
is the one that is in use, at its own threshold of 0.7. Of a series its greatest
confidence among the flows counts, from records of both directions, for which
it was made."""

SERIES = """## `miner_series`

One score per (client, server, port) and 15 minutes with at least three flows.
The card's threshold is {threshold:.2f}."""

FLOW = """## `cds_flow`

One score per flow, from the 13 features of the Cryptomining Detection System.
Each flow is tested twice, once in each order of its directions. The NEMEA rule
needs a series and has no say here. The card's threshold is {threshold:.2f}."""

RENDERINGS = """The models of the split by capture on other exports of the same held-out
captures: one model serves all of them. “{untrained}” was never trained on.
Sampling keeps one packet in {sampling}. “As if over TLS” adds a TLS record around each
message of the miners, and a handshake; it has no benign rows of its own."""

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

- **Few miners.** Nearly all long recordings of real miners are CJ-Sniffer's, of
  one team. Without them the lab and CESNET's sample teach what mining is. The
  rest (peafowl, zeek, nesfit) is a handful of short recordings.
- **Few benign series.** With some six hundred of them a rate of 0.1 % cannot be
  shown: none of 600 leaves up to 0.6 % possible. The benign sources have more
  kept-alive connections than an office has, and fewer kinds of application.
- **Labs.** The IoT sets, CJ-Sniffer and the lab are laboratories. CESNET's sample
  is the only labelled traffic of a provider.
- **The shipped model has seen the lab.** What `pipelines/miners_forest.sql` finds
  in `models/capture/lab.csv.gz` shows that it runs, not how good it is.
- **What it cannot see.** Pools behind a VPN or Tor, miners that share a connection
  with other traffic, sampling far above 1:4, and series with fewer than three flows
  in every window: with an active timeout of 1800 s a miner that is never
  silent for the idle timeout is one of them.
- **Alike on the wire.** A database connection with a query every few seconds, a
  typed SSH session, telemetry: small, steady messages both ways. They keep the
  thresholds high. Sizes and rates alone do not tell them from mining; a list of
  known services does.
- **Single flows.** `cds_flow` is there for those who need a score per record in
  the CDS's own format. Its numbers on left-out sources say what that is worth."""

CLOSING = """## Do it again

```sh
make models DATA=../shared/data
```

Two runs on one machine give the same bytes: models, cards, this page and its plots."""
