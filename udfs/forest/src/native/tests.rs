//! Every path against [`Forest::outputs`], to the bit. A random case that fails prints its seed; `case(seed)` replays it.

use super::{Kernel, Path};
use crate::forest::{Combine, Forest, Node, Parts, Transform, Tree};

const PATHS: [Path; 3] = [Path::Avx512, Path::Portable, Path::Plain];

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// Few values, so that thresholds and values meet; all that is special among floats.
const SPECIAL: [f32; 12] =
    [0.0, -0.0, 1e-45, -1e-45, 1.0, -1.0, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 0.1, f32::MIN_POSITIVE];

fn value(random: &mut Random, spread: usize) -> f32 {
    if random.chance(20) { SPECIAL[random.below(SPECIAL.len())] } else { random.below(spread) as f32 / 4.0 - 3.0 }
}

struct Shape {
    n_features: usize,
    n_trees: usize,
    depth: usize,
    n_nodes_max: usize,
    leaf_percent: usize,
    spread: usize,
    nan_left_percent: usize,
    are_leaves_f32: bool,
}

fn tree(random: &mut Random, shape: &Shape, n_outputs: usize) -> Tree {
    let mut tree = Tree { nodes: vec![Node::Leaf { leaf: 0, cover: 0.0 }], leaf_values: vec![] };
    let mut open = std::collections::VecDeque::from([(0_usize, 0_usize)]);
    while let Some((at, level)) = open.pop_front() {
        let is_leaf = level == shape.depth || shape.n_nodes_max < tree.nodes.len() || random.chance(shape.leaf_percent);
        if is_leaf {
            tree.nodes[at] = Node::Leaf { leaf: (tree.leaf_values.len() / n_outputs) as u32, cover: 0.0 };
            for _ in 0..n_outputs {
                let value = random.below(9) as f64 / 7.0 - 0.5;
                tree.leaf_values.push(if shape.are_leaves_f32 { f64::from(value as f32) } else { value });
            }
            continue;
        }
        let left = tree.nodes.len();
        // Children in either order, behind their parent.
        let (left, right) = if random.chance(50) { (left, left + 1) } else { (left + 1, left) };
        tree.nodes[at] = Node::Split {
            feature: random.below(shape.n_features) as u32,
            threshold: value(random, shape.spread),
            left: left as u32,
            right: right as u32,
            nan_left: random.chance(shape.nan_left_percent),
            cover: 0.0,
        };
        tree.nodes.extend([Node::Leaf { leaf: 0, cover: 0.0 }; 2]);
        open.extend([(left, level + 1), (right, level + 1)]);
    }
    tree
}

fn forest(random: &mut Random, shape: &Shape, transform: Transform) -> Forest {
    let is_pair = matches!(transform, Transform::Complement | Transform::LogisticComplement);
    let n_outputs = if is_pair { 2 } else { 1 + random.below(3) };
    let parts = Parts {
        n_features: shape.n_features,
        n_outputs,
        trees: (0..shape.n_trees).map(|_| tree(random, shape, n_outputs)).collect(),
        combine: if random.chance(50) { Combine::Mean } else { Combine::Sum },
        base: (0..n_outputs).map(|_| random.below(5) as f64 / 3.0).collect(),
        transform,
    };
    Forest::new(parts).unwrap()
}

fn rows(random: &mut Random, n_features: usize, n_rows: usize, spread: usize) -> Vec<Vec<f32>> {
    let nan_percent = [0, 0, 10][random.below(3)];
    let nan = |random: &mut Random| if random.chance(50) { f32::NAN } else { -f32::NAN };
    (0..n_features)
        .map(|_| {
            let cell = |random: &mut Random| {
                if random.chance(nan_percent) { nan(random) } else { value(random, spread) }
            };
            (0..n_rows).map(|_| cell(random)).collect()
        })
        .collect()
}

/// All paths and all outputs of a forest, over columns.
fn check(forest: &Forest, columns: &[Vec<f32>], context: &str) {
    let n_rows = columns[0].len();
    let expected: Vec<Vec<f64>> = (0..n_rows)
        .map(|row| forest.outputs(&columns.iter().map(|column| column[row]).collect::<Vec<f32>>()))
        .collect();
    let columns: Vec<&[f32]> = columns.iter().map(Vec::as_slice).collect();
    for output in 0..forest.n_outputs() {
        for path in PATHS {
            let Some(kernel) = Kernel::with_path(forest, output, path).unwrap() else { continue };
            let mut scores = vec![f64::NAN; n_rows];
            kernel.score(&columns, &mut scores);
            for (row, score) in scores.iter().enumerate() {
                let expected = expected[row][output];
                let cells: Vec<f32> = columns.iter().map(|column| column[row]).collect();
                assert!(
                    score.to_bits() == expected.to_bits(),
                    "{context}: {path:?} output {output} row {row}: {score:e} is not {expected:e}; {cells:?}"
                );
            }
        }
    }
}

const N_ROWS: [usize; 12] = [0, 1, 2, 3, 7, 8, 9, 31, 32, 33, 100, 300];
const TRANSFORMS: [Transform; 5] = [
    Transform::Identity,
    Transform::Logistic,
    Transform::Softmax,
    Transform::Complement,
    Transform::LogisticComplement,
];

fn case(seed: u64) {
    let mut random = Random(seed);
    let depth = random.below(21);
    let shape = Shape {
        n_features: 1 + random.below(40),
        n_trees: 1 + random.below(20),
        depth,
        n_nodes_max: [40, 300, if cfg!(miri) { 100 } else { 3_000 }][random.below(3)],
        leaf_percent: [0, 5, 25][random.below(3)],
        spread: [3, 24, 100_000][random.below(3)],
        nan_left_percent: [0, 0, 50, 100][random.below(4)],
        are_leaves_f32: random.chance(50),
    };
    let transform = TRANSFORMS[random.below(TRANSFORMS.len())];
    let forest = forest(&mut random, &shape, transform);
    let n_rows = N_ROWS[random.below(N_ROWS.len())];
    let columns = rows(&mut random, shape.n_features, n_rows, shape.spread);
    check(&forest, &columns, &format!("seed {seed}"));
}

#[test]
fn random_forests_score_as_the_plain_walk_does() {
    // Under Miri a case takes seconds.
    let n_cases = if cfg!(miri) { 4 } else { 200 };
    (0..n_cases).for_each(case);
}

fn one_output(n_features: usize, trees: Vec<Tree>) -> Forest {
    let (combine, transform) = (Combine::Sum, Transform::Identity);
    Forest::new(Parts { n_features, n_outputs: 1, trees, combine, base: vec![0.0], transform }).unwrap()
}

fn split(feature: u32, threshold: f32, left: u32, right: u32) -> Node {
    Node::Split { feature, threshold, left, right, nan_left: false, cover: 0.0 }
}

fn leaf(leaf: u32) -> Node {
    Node::Leaf { leaf, cover: 0.0 }
}

/// A tree whose every split has a leaf on one side.
fn chain(depth: u32, goes_left: bool) -> Tree {
    let mut nodes = vec![];
    for level in 0..depth {
        let (near, far) = (2 * level + 1, 2 * level + 2);
        let threshold = if goes_left { depth as f32 - level as f32 } else { level as f32 };
        let (left, right) = if goes_left { (far, near) } else { (near, far) };
        // The split's position, which is the far child of the one above; then its near child.
        nodes.push(split(level % 2, threshold, left, right));
        nodes.push(leaf(level));
    }
    nodes.push(leaf(depth));
    Tree { nodes, leaf_values: (0..=depth).map(f64::from).collect() }
}

fn grid(n_features: usize, n_rows: usize) -> Vec<Vec<f32>> {
    let n_rows = if cfg!(miri) { n_rows.min(12) } else { n_rows };
    let mut random = Random(7);
    (0..n_features).map(|_| (0..n_rows).map(|row| (row + random.below(5)) as f32 - 2.0).collect()).collect()
}

#[test]
fn a_chain_two_hundred_levels_deep_is_walked_to_its_end() {
    for goes_left in [false, true] {
        let forest = one_output(2, vec![chain(200, goes_left), chain(3, goes_left), chain(13, !goes_left)]);
        check(&forest, &grid(2, 260), &format!("chain, left: {goes_left}"));
    }
}

#[test]
fn a_tree_of_one_leaf_adds_its_value() {
    let stump = Tree { nodes: vec![leaf(0)], leaf_values: vec![0.1] };
    check(&one_output(3, vec![stump.clone()]), &grid(3, 40), "one leaf");
    check(&one_output(2, vec![stump.clone(), chain(20, true), stump]), &grid(2, 70), "leaves beside a chain");
}

#[test]
fn thresholds_that_are_all_equal_split_as_one() {
    let mut random = Random(3);
    let shape = Shape {
        n_features: 2,
        n_trees: 5,
        depth: 12,
        n_nodes_max: 5_000,
        leaf_percent: 0,
        spread: 1,
        nan_left_percent: 0,
        are_leaves_f32: true,
    };
    let mut trees: Vec<Tree> = (0..shape.n_trees).map(|_| tree(&mut random, &shape, 1)).collect();
    for node in trees.iter_mut().flat_map(|tree| &mut tree.nodes) {
        if let Node::Split { threshold, .. } = node {
            *threshold = 20.0;
        }
    }
    check(&one_output(2, trees), &grid(2, 64), "equal thresholds");
}

#[test]
fn more_thresholds_than_ranks_take_fewer_levels() {
    let mut random = Random(11);
    let shape = Shape {
        n_features: 1,
        n_trees: if cfg!(miri) { 2 } else { 70 },
        depth: 11,
        n_nodes_max: 3_000,
        leaf_percent: 0,
        spread: 10_000_000,
        nan_left_percent: 0,
        are_leaves_f32: true,
    };
    let forest = forest(&mut random, &shape, Transform::Identity);
    let columns = rows(&mut random, 1, 20, shape.spread);
    check(&forest, &columns, "many thresholds");
}

#[test]
fn thousands_of_small_trees_beside_a_deep_one_take_fewer_levels() {
    let n_trees = if cfg!(miri) { 2 } else { 9_000 };
    let trees = std::iter::once(chain(13, true)).chain((0..n_trees).map(|_| chain(1, false))).collect();
    check(&one_output(2, trees), &grid(2, 40), "many trees");
}

#[test]
fn the_fastest_path_that_is_possible_is_chosen() {
    let forest = one_output(2, vec![chain(20, true)]);
    let paths = PATHS.iter().filter(|path| Kernel::with_path(&forest, 0, **path).unwrap().is_some());
    let kernel = Kernel::compile(&forest, 0).unwrap();
    assert_eq!(Some(kernel.path()), paths.copied().next());
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512vbmi") {
        assert_eq!(kernel.name(), "avx512");
    }
    assert!(Kernel::compile(&forest, 1).is_err());
}

#[test]
fn thousands_of_features_are_scored() {
    let mut random = Random(5);
    let shape = Shape {
        n_features: 4_096,
        n_trees: 30,
        depth: 9,
        n_nodes_max: 1_000,
        leaf_percent: 3,
        spread: 24,
        nan_left_percent: 50,
        are_leaves_f32: true,
    };
    let forest = forest(&mut random, &shape, Transform::Identity);
    let columns = rows(&mut random, 4_096, if cfg!(miri) { 3 } else { 33 }, 24);
    check(&forest, &columns, "wide");
}
