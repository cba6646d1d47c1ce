"""Builds the models from the labelled captures: `model.onnx`, `card.toml`, and EVALUATION.md with its plots.

    python3 models/train.py --data ../shared/data --davy PROGRAM

Two runs give the same bytes. `make models` sets up what this needs.
"""

import argparse
import sys
import time
from pathlib import Path

import pandas as pd
from training import (
    augment,
    card,
    data,
    evaluate,
    export,
    features,
    filtering,
    forest,
    isolation,
    package,
    recipes,
    report,
    rivals,
    study,
)

HERE = Path(__file__).resolve().parent


def main() -> int:
    arguments = parse()
    folders = data.Folders(arguments.data, HERE / "capture")
    missing = folders.missing()
    if missing:
        say(f"no training data: `{missing[0]}` is missing; name its folder: make models DATA=folder")
        return 2
    davy = features.Davy(arguments.davy, HERE.parent / "pipelines")
    say(f"reading {arguments.data}")
    records = data.load(folders)
    series, flows, flow_records = tables(records, folders, davy)
    built = [
        build(recipes.SERIES, series, arguments.out),
        build(recipes.FLOW, flows, arguments.out),
        build_filter(flows, arguments.out),
    ]
    if not arguments.skip_evaluation:
        cds = rivals.CdsForest(folders.shared / data.CDS_FOREST)
        studies = {
            recipes.SERIES.name: study.series_study(
                series, records, cds, flows.iloc[: len(records)], built[0].threshold, say
            ),
            recipes.FLOW.name: study.flow_study(flows, flow_records, cds, built[1].threshold, say),
        }
        ablations = [
            study.ablation(name, series, recipes.SERIES.with_features(chosen))
            for name, chosen in study.FEATURE_SETS.items()
        ]
        filtered = filtering.study(flows, studies[recipes.FLOW.name].flows, say)
        studies[isolation.RECIPE.name] = filtered
        report.write(arguments.out, records, series, studies, ablations, built)
        for model in built[:2]:
            model.numbers = package.numbers(studies[model.recipe.name])
        built[2].numbers = package.numbers_of_filter(filtered)
    for model in built:
        package.write(model, arguments.out)
    say("done")
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the labelled captures")
    parser.add_argument("--davy", type=Path, required=True, help="the program that computes the features")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to; by default the one of this script")
    parser.add_argument("--skip-evaluation", action="store_true", help="only train; the cards then have no evaluation")
    return parser.parse_args()


def tables(
    records: pd.DataFrame, folders: data.Folders, davy: features.Davy
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The features of series and of flows, and the records of the latter: those of `records` come first, in order."""
    started = time.monotonic()
    enriched = pd.concat([records, augment.augmented(records, forest.SEED)], ignore_index=True)
    series = evaluate.with_hosts(features.series(enriched, davy))
    native = pd.concat([records, data.read_cds_records(folders.shared / data.CDS_FLOWS)], ignore_index=True)
    flow_records = pd.concat([native, data.exchanged(native)], ignore_index=True)
    flows = features.flows(flow_records, davy)
    flows = flows.assign(row=flows.index, host=evaluate.clients_of_flows(flow_records).host)
    say(f"Davy computed features of {len(series)} windows and {len(flows)} flows in {time.monotonic() - started:.0f} s")
    return series, flows, flow_records


def build(recipe: forest.Recipe, table: pd.DataFrame, out: Path) -> package.Built:
    """Trains on everything, chooses the threshold out of fold, writes the ONNX file and checks it on every row."""
    rows = table[recipe.trains_on(table)]
    threshold = forest.threshold(rows, forest.out_of_fold(rows, recipe), recipe)
    model = forest.fit(rows, recipe)
    path = package.model_path(recipe, out)
    export.save(export.to_onnx(model, recipe.name), path)
    worst = export.check(path, model, forest.matrix(table, recipe))
    say(f"{recipe.name}: {len(rows)} rows, threshold {threshold:.2f}, ONNX Runtime differs by at most {worst:.1g}")
    root = model.estimators_[0].tree_
    return package.Built(recipe, model, rows, threshold, card.Edge(int(root.feature[0]), float(root.threshold[0])))


def build_filter(flows: pd.DataFrame, out: Path) -> package.Built:
    """The isolation forest, from benign flows alone; checked on every row, those of miners too."""
    recipe = isolation.RECIPE
    rows = isolation.benign(flows, recipe)
    model = isolation.fit(rows, recipe)
    threshold = isolation.threshold(model, rows, recipe, recipe.false_alarm_goal)
    path = package.model_path(recipe, out)
    export.save(isolation.to_onnx(model, recipe.name), path)
    worst = isolation.check(path, model, forest.matrix(flows, recipe))
    say(f"{recipe.name}: {len(rows)} rows, threshold {threshold:.3f}, ONNX Runtime differs by at most {worst:.1g}")
    return package.Built(recipe, model, rows, threshold, isolation.edge(model))


def say(text: str) -> None:
    print(f"models: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
