"""The words of EVALUATION.md that no number changes."""

OPENING = """# How good the models are

`models/train.py` writes this page; every number comes from its run
(`make models`). [docs/models.md](../docs/models.md) says how to use the models.
The tests use captures that a model was not trained on, and networks that it was
not trained on. The second test is the one that counts for a new user, whose
network was in no training data."""

READING = """Shares have Wilson's 95 % interval and the counts behind them; F1 and AUC have
the 95 % interval of a bootstrap over captures. A false alarm of the series
model is one (client, server, port) with an alarm in any window of its whole
recording, which lasts up to a week."""

METHOD = """## How it was tested

- **Split by capture**: five folds of whole captures. All windows, exports and
  augmented copies of a capture are on one side.
- **Leave one source out**: a model is trained without one data set and tested
  on it. A source with miners only has no false alarms to count, and one without
  miners has no recall.
- **Threshold**: each of these models has its own, from its training captures
  alone: the least one, in steps of 0.01 from 0.50, at which forests that did not
  see a capture report at most 0.1 % of the benign series, counted in every export
  and augmentation that is trained on. The card's threshold comes from all
  captures in the same way. Rows that use it say so: a tested capture has
  influenced it.
- **Features** are computed by `pipelines/features_series.sql` and
  `pipelines/features_flow.sql`, run by Davy: the files that an operator runs.
- **Weights**: a capture counts by the square root of its rows, a source by the
  square root of its captures, per label.
- **Augmentation**, in training only: records of one direction and of both,
  timeouts of 300/60 and 1800/15 seconds, packet sampling, miners as if over TLS,
  packets with and without TCP timestamps, IPv6, and windows that begin half a
  window later. Single flows also come in both orders of their directions.
- The main tables test records of one direction at a router's timeouts (300 s
  active, 60 s idle), and single flows of both directions at the same timeouts.

Before you rely on a number:

- Features, tree depth, weights and augmentations were chosen among some thirty
  variants by the results of these same tests. The splits prevent that a model
  memorises a capture; they do not undo that choice.
- CESNET's rows have no addresses. Client port and server port identify a
  connection there, and connections with near client ports share a capture. So its
  miners are on both sides of the split by capture, and only the left-out source
  tests a new network. Its “hosts” are connections. Its flows are a sample.
  “Benign” there means “not to a known pool”: five connections to one uncommon
  port look like mining in every respect, and count as benign here. CESNET's
  connections do not influence a threshold, as they are not (client, server, port).
- The lab's captures are its client hosts: all of them share one hour and the same
  pools. Here too the left-out source is the stricter test.
- The raw fixtures in the shared data were left out: they are recordings of the
  same origins, and most of them are the same captures.

The NEMEA rule is `pipelines/miners.sql`, run over the same flows. The CDS forest
is the one that is in use, at its own threshold of 0.7. It scores flows, so the
greatest score among the flows of a series counts, from records of both
directions, for which it was made."""

SERIES = """## `miner_series`

One score per (client, server, port) and 15 minutes with at least three flows.
The card's threshold is {threshold:.2f}."""

FLOW = """## `cds_flow`

One score per flow, from the 13 features of the Cryptomining Detection System.
Each flow is tested twice, once in each order of its directions. The NEMEA rule
needs a series and is not tested here. The card's threshold is {threshold:.2f}."""

RENDERINGS = """The models of the split by capture on other exports of the same held-out
captures: one model serves all of them. “{untrained}” was never trained on.
Sampling keeps one packet in {sampling}. “As if over TLS” adds a TLS record around each
message of the miners, and a handshake; it has no benign rows."""

FILTER = """## `anomaly_flow`: a filter in front

The CDS's own documents propose an anomaly detector in front of the classifier, so
that the classifier sees fewer flows (their option C; option B is the classifier
alone). `anomaly_flow` is an isolation forest that was trained on benign flows only;
`pipelines/option_c.sql` scores what it finds unusual. Its threshold of {threshold}
lets half of the benign flows of the training pass; stricter ones are in the table.
That share was chosen when the table's rows for a quarter were known, so the rows
for a half are not those of an untouched test.

The filters below saw nothing of the tested capture, or source. “Passed” is the
share of the flows that the classifier still sees. “Found” and “false” are flows of
miners and benign ones at or above the threshold, without → with the filter: of
`cds_flow` (each model with its own threshold) and of the CDS forest (0.7)."""

FILTER_SOURCES = """What passes at the card's share, by source that was left out:"""

FILTER_CLOSING = """A filter finds nothing that the classifier alone does not find. It spares work, and
the classifier's errors on usual flows. Flows of miners are only somewhat more
unusual than others, so a filter that spares much loses many of them, and how much
it spares differs from network to network. With Davy it saves about a fifth of the
CPU time, mostly because fewer records are written
([benches/RESULTS.md](../benches/RESULTS.md#options-a-b-and-c)). Option B finds more."""

OTHERS = """Series that are neither known miners nor known to be harmless, scored by models
that were not trained on their source. Probes are connections of a second to one
pool after the other; P2P nodes of a currency do not mine. The unlabelled networks
have no labels to compare with: an alarm there may be right."""

ABLATION = """The series' timing (flow counts, durations, gaps, connections per flow) is
computed by the pipeline and not used by the model: within 15 minutes it shows
the exporter's timeouts more than the miner. “Recall at 1 %” takes the threshold
from the tested rows themselves, so it only compares sets of features."""

FLOW_RENDERINGS = """Held-out captures, by export. “Server first” exchanges `in` and `out`: which
side a collector saw first is chance. “As records of the CDS” are CJ-Sniffer's
captures as 71-column records, all of miners."""

THRESHOLDS = """The results with one threshold for all models. They show what a higher recall
costs. A threshold that is chosen from this table has seen the test."""

NEVER_SCORED = """Not counted above, because no window has three of their flows: miners of
{listed}. (CESNET's are connections of which the sample has one or two flows.)"""

LIMITS = """## Limits

- **Few miners.** Nearly all long recordings of real miners are CJ-Sniffer's, of
  one team. The lab and CESNET's sample are most of the others; peafowl, zeek and
  nesfit are a handful of short recordings.
- **Few benign series.** Some six hundred of them cannot prove a rate of 0.1 %:
  even with no alarm in 600, a rate of 0.6 % is possible. The benign sources have more
  kept-alive connections than an office has, and fewer kinds of application.
- **Labs.** The IoT sets, CJ-Sniffer and the lab are laboratories. CESNET's sample
  is the only labelled traffic of a provider.
- **The shipped model was trained on the lab.** What `pipelines/miners_forest.sql`
  finds in `models/capture/lab.csv.gz` shows that it runs, not how good it is.
- **What it cannot see.** Pools behind a VPN or Tor, miners that share a connection
  with other traffic, sampling far above 1:4, and series with fewer than three flows
  in every window: with an active timeout of 1800 s a miner that is never
  silent for the idle timeout is one of them.
- **Alike on the wire.** A database connection with a query every few seconds, a
  typed SSH session, telemetry: small, steady messages both ways. They keep the
  thresholds high. Sizes and rates alone do not distinguish them from mining; a
  list of known services does.
- **Single flows.** `cds_flow` is there for those who need a score per record in
  the CDS's own format. Its numbers on left-out sources show how little that finds."""

CLOSING = """## Repeat it

```sh
make models DATA=../shared/data
```

Two runs on one machine produce the same bytes: models, cards, this page and plots."""
