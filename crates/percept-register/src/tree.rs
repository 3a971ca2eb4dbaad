//! Nearest neighbours: a balanced k-d tree whose leaves hold 16 points side by side.
//!
//! Coordinates in it are f32 about the middle of the cloud; they only choose neighbours, sums are made of the f64 ones.
//! Many queries that lie near each other are asked together ([`Tree::neighbors_of_all`]): they see the same leaves.

use nalgebra::Vector3;
use rayon::prelude::*;

/// Points of a leaf.
const LEAF: usize = 16;
/// Leaves whose points are asked together, for one thread.
const LEAVES_A_TASK: usize = 16;

/// Points of a leaf, by coordinate, and their indices; what is empty lies far away.
#[derive(Clone, Debug)]
struct Leaf {
    x: [f32; LEAF],
    y: [f32; LEAF],
    z: [f32; LEAF],
    index: [u32; LEAF],
    count: usize,
    /// The box around the points.
    low: [f32; 3],
    high: [f32; 3],
}

/// An inner node. Children of node `n` are `2n + 1` and `2n + 2`.
#[derive(Clone, Copy, Debug, Default)]
struct Split {
    axis: u8,
    at: f32,
}

/// A k-d tree (Bentley 1975; distances to boxes as Arya and Mount 1993).
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    splits: Vec<Split>,
    leaves: Vec<Leaf>,
}

/// A neighbour that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Neighbor {
    /// Squared distance.
    pub(crate) squared: f32,
    /// Index of the point.
    pub(crate) index: u32,
}

impl Neighbor {
    const NONE: Self = Self { squared: f32::INFINITY, index: u32::MAX };
}

/// f32 as it is compared here: no coordinate is anything but finite.
fn f32_of(point: &Vector3<f64>) -> [f32; 3] {
    [point.x as f32, point.y as f32, point.z as f32]
}

impl Tree {
    /// Of points, about whose middle coordinates are counted.
    pub(crate) fn new(points: &[Vector3<f64>]) -> Self {
        let places: Vec<[f32; 3]> = points.iter().map(f32_of).collect();
        let mut order: Vec<u32> = (0..points.len() as u32).collect();
        let mut depth = 0;
        while points.len().div_ceil(1 << depth) > LEAF {
            depth += 1;
        }
        let mut tree =
            Self { splits: vec![Split::default(); (1 << depth) - 1], leaves: Vec::with_capacity(1 << depth) };
        tree.build(&places, &mut order, 0, depth);
        tree
    }

    fn build(&mut self, places: &[[f32; 3]], order: &mut [u32], node: usize, depth: u32) {
        if depth == 0 {
            let far = [f32::MAX; LEAF];
            let (low, high) = bounds(places, order);
            let mut leaf =
                Leaf { x: far, y: far, z: far, index: [u32::MAX; LEAF], count: order.len(), low, high };
            // Ties go to the first point of the cloud.
            order.sort_unstable();
            for (at, index) in order.iter().enumerate() {
                let [x, y, z] = places[*index as usize];
                (leaf.x[at], leaf.y[at], leaf.z[at], leaf.index[at]) = (x, y, z, *index);
            }
            self.leaves.push(leaf);
            return;
        }
        let (low, high) = bounds(places, order);
        let axis = (0..3)
            .fold(0, |best, axis| if high[axis] - low[axis] > high[best] - low[best] { axis } else { best });
        let middle = order.len() / 2;
        let at = if order.is_empty() {
            0.0
        } else {
            let by = |left: &u32, right: &u32| {
                places[*left as usize][axis].total_cmp(&places[*right as usize][axis]).then(left.cmp(right))
            };
            places[*order.select_nth_unstable_by(middle, by).1 as usize][axis]
        };
        self.splits[node] = Split { axis: axis as u8, at };
        let (left, right) = order.split_at_mut(middle);
        self.build(places, left, 2 * node + 1, depth - 1);
        self.build(places, right, 2 * node + 2, depth - 1);
    }

    /// The two nearest points not farther than `limit` squared. The nearer `limit` is to the second one's distance, the
    /// faster.
    pub(crate) fn nearest_two(&self, query: &Vector3<f64>, limit: f32) -> [Neighbor; 2] {
        let mut best = [Neighbor { squared: limit, index: u32::MAX }; 2];
        self.search_two(f32_of(query), 0, [0.0; 3], &mut best);
        best
    }

    fn search_two(&self, query: [f32; 3], node: usize, offsets: [f32; 3], best: &mut [Neighbor; 2]) {
        let Some(split) = self.splits.get(node) else {
            let leaf = &self.leaves[node - self.splits.len()];
            let squared = leaf.squared(query);
            for (squared, index) in squared.into_iter().zip(leaf.index) {
                if squared <= best[1].squared {
                    let found = Neighbor { squared, index };
                    if before(&found, &best[0]) {
                        *best = [found, best[0]];
                    } else if before(&found, &best[1]) {
                        best[1] = found;
                    }
                }
            }
            return;
        };
        let axis = usize::from(split.axis);
        let offset = query[axis] - split.at;
        let (near, far) = if offset < 0.0 { (1, 2) } else { (2, 1) };
        self.search_two(query, 2 * node + near, offsets, best);
        let mut beyond = offsets;
        beyond[axis] = offset;
        if beyond.iter().map(|offset| offset * offset).sum::<f32>() <= best[1].squared {
            self.search_two(query, 2 * node + far, beyond, best);
        }
    }

    /// The squared distance between a query and a point of the cloud, as searches have it.
    pub(crate) fn squared(query: &Vector3<f64>, point: &Vector3<f64>) -> f32 {
        let ([a, b, c], [x, y, z]) = (f32_of(query), f32_of(point));
        let (x, y, z) = (x - a, y - b, z - c);
        x * x + y * y + z * z
    }

    /// The nearest point that is not farther than `limit` squared.
    pub(crate) fn nearest(&self, query: &Vector3<f64>, limit: f32) -> Option<Neighbor> {
        let mut best = Neighbor { squared: limit, index: u32::MAX };
        self.search_one(f32_of(query), 0, [0.0; 3], &mut best);
        (best.index != u32::MAX).then_some(best)
    }

    fn search_one(&self, query: [f32; 3], node: usize, offsets: [f32; 3], best: &mut Neighbor) {
        let Some(split) = self.splits.get(node) else {
            let leaf = &self.leaves[node - self.splits.len()];
            let squared = leaf.squared(query);
            for (squared, index) in squared.into_iter().zip(leaf.index) {
                let found = Neighbor { squared, index };
                if before(&found, best) {
                    *best = found;
                }
            }
            return;
        };
        let axis = usize::from(split.axis);
        let offset = query[axis] - split.at;
        let (near, far) = if offset < 0.0 { (1, 2) } else { (2, 1) };
        self.search_one(query, 2 * node + near, offsets, best);
        let mut beyond = offsets;
        beyond[axis] = offset;
        if beyond.iter().map(|offset| offset * offset).sum::<f32>() <= best.squared {
            self.search_one(query, 2 * node + far, beyond, best);
        }
    }

    /// All points nearer than `radius`, in the order of the tree.
    pub(crate) fn within(&self, query: &Vector3<f64>, radius: f64, found: &mut Vec<Neighbor>) {
        found.clear();
        self.collect(f32_of(query), 0, [0.0; 3], (radius * radius) as f32, found);
    }

    fn collect(
        &self,
        query: [f32; 3],
        node: usize,
        offsets: [f32; 3],
        limit: f32,
        found: &mut Vec<Neighbor>,
    ) {
        let Some(split) = self.splits.get(node) else {
            let leaf = &self.leaves[node - self.splits.len()];
            let squared = leaf.squared(query);
            let all = squared.iter().zip(leaf.index).take(leaf.count);
            let near = all.filter(|(squared, _)| **squared <= limit);
            found.extend(near.map(|(squared, index)| Neighbor { squared: *squared, index }));
            return;
        };
        let axis = usize::from(split.axis);
        let offset = query[axis] - split.at;
        let (near, far) = if offset < 0.0 { (1, 2) } else { (2, 1) };
        self.collect(query, 2 * node + near, offsets, limit, found);
        let mut beyond = offsets;
        beyond[axis] = offset;
        if beyond.iter().map(|offset| offset * offset).sum::<f32>() <= limit {
            self.collect(query, 2 * node + far, beyond, limit, found);
        }
    }

    /// Calls `finish` with the index of each point of the tree and its `k` nearest, itself among them, nearest first;
    /// fewer where the tree has fewer. Answers come in the order of the points.
    pub(crate) fn neighbors_of_all<T: Copy + Default + Send>(
        &self,
        k: usize,
        finish: impl Fn(usize, &[Neighbor]) -> T + Sync,
    ) -> Vec<T> {
        let count = self.leaves.iter().map(|leaf| leaf.count).sum();
        let task = |leaves: &[Leaf]| {
            let mut answers = Vec::with_capacity(leaves.len() * LEAF);
            let mut lists = vec![Neighbor::NONE; k * LEAF];
            for leaf in leaves {
                lists.fill(Neighbor::NONE);
                self.search_leaf(leaf, k, &mut lists);
                for (at, list) in lists.chunks(k).take(leaf.count).enumerate() {
                    let found = list.iter().position(|neighbor| neighbor.index == u32::MAX).unwrap_or(k);
                    answers.push((leaf.index[at], finish(leaf.index[at] as usize, &list[..found])));
                }
            }
            answers
        };
        let answers: Vec<_> = self.leaves.par_chunks(LEAVES_A_TASK).map(task).collect();
        let mut ordered = vec![T::default(); count];
        for (index, answer) in answers.into_iter().flatten() {
            ordered[index as usize] = answer;
        }
        ordered
    }

    /// The `k` nearest of each point of a leaf, sorted.
    fn search_leaf(&self, queries: &Leaf, k: usize, lists: &mut [Neighbor]) {
        let mut search =
            Together { queries, k, lists, low: queries.low, high: queries.high, worst: f32::INFINITY };
        self.search_box(&mut search, 0, [0.0; 3]);
    }

    fn search_box(&self, search: &mut Together<'_>, node: usize, offsets: [f32; 3]) {
        let Some(split) = self.splits.get(node) else {
            search.leaf(&self.leaves[node - self.splits.len()]);
            return;
        };
        let axis = usize::from(split.axis);
        // How far the box of the queries is from either side.
        let (to_left, to_right) =
            ((search.low[axis] - split.at).max(0.0), (split.at - search.high[axis]).max(0.0));
        let left_first = search.low[axis] + search.high[axis] < 2.0 * split.at;
        let sides = if left_first { [(1, to_left), (2, to_right)] } else { [(2, to_right), (1, to_left)] };
        for (child, offset) in sides {
            let mut beyond = offsets;
            beyond[axis] = beyond[axis].max(offset);
            if beyond.iter().map(|offset| offset * offset).sum::<f32>() <= search.worst {
                self.search_box(search, 2 * node + child, beyond);
            }
        }
    }
}

fn bounds(places: &[[f32; 3]], order: &[u32]) -> ([f32; 3], [f32; 3]) {
    let mut low = [f32::INFINITY; 3];
    let mut high = [f32::NEG_INFINITY; 3];
    for index in order {
        let place = places[*index as usize];
        for axis in 0..3 {
            low[axis] = low[axis].min(place[axis]);
            high[axis] = high[axis].max(place[axis]);
        }
    }
    (low, high)
}

impl Leaf {
    /// The squared distance to the box. Rounded as those to points are, it is never above any of them.
    fn squared_to_box(&self, query: [f32; 3]) -> f32 {
        let beyond = |axis: usize| {
            let (below, above) = (self.low[axis] - query[axis], query[axis] - self.high[axis]);
            let beyond = if below > above { below } else { above };
            if beyond > 0.0 { beyond } else { 0.0 }
        };
        let [x, y, z] = [beyond(0), beyond(1), beyond(2)];
        x * x + y * y + z * z
    }

    fn squared(&self, [x, y, z]: [f32; 3]) -> [f32; LEAF] {
        let mut squared = [0.0; LEAF];
        let places = self.x.iter().zip(&self.y).zip(&self.z);
        for (squared, ((a, b), c)) in squared.iter_mut().zip(places) {
            let (x, y, z) = (a - x, b - y, c - z);
            *squared = x * x + y * y + z * z;
        }
        squared
    }
}

/// Queries of one leaf and what they have found so far.
struct Together<'a> {
    queries: &'a Leaf,
    k: usize,
    lists: &'a mut [Neighbor],
    low: [f32; 3],
    high: [f32; 3],
    /// The largest distance that any of them still wants to hear of.
    worst: f32,
}

impl Together<'_> {
    fn leaf(&mut self, leaf: &Leaf) {
        let k = self.k;
        let mut worst = 0.0_f32;
        for at in 0..self.queries.count {
            let query = [self.queries.x[at], self.queries.y[at], self.queries.z[at]];
            let list = &mut self.lists[k * at..k * (at + 1)];
            let mut last = list[k - 1];
            if leaf.squared_to_box(query) > last.squared {
                worst = worst.max(last.squared);
                continue;
            }
            let squared = leaf.squared(query);
            for (squared, index) in squared.into_iter().zip(leaf.index).take(leaf.count) {
                if squared > last.squared {
                    continue;
                }
                let found = Neighbor { squared, index };
                if found.squared == last.squared && found.index > last.index {
                    continue;
                }
                let mut place = k - 1;
                while place > 0 && before(&found, &list[place - 1]) {
                    list[place] = list[place - 1];
                    place -= 1;
                }
                list[place] = found;
                last = list[k - 1];
            }
            worst = worst.max(last.squared);
        }
        self.worst = worst;
    }
}

fn before(left: &Neighbor, right: &Neighbor) -> bool {
    left.squared < right.squared || left.squared == right.squared && left.index < right.index
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud(count: usize) -> Vec<Vector3<f64>> {
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / f64::from(1 << 24)
        };
        (0..count).map(|_| Vector3::new(next() * 10.0, next() * 5.0, next())).collect()
    }

    fn brute(points: &[Vector3<f64>], query: &Vector3<f64>) -> Vec<Neighbor> {
        let [x, y, z] = f32_of(query);
        let squared = |point: &Vector3<f64>| {
            let [a, b, c] = f32_of(point);
            let (x, y, z) = (a - x, b - y, c - z);
            x * x + y * y + z * z
        };
        let all = points.iter().enumerate();
        let mut all: Vec<_> =
            all.map(|(index, point)| Neighbor { squared: squared(point), index: index as u32 }).collect();
        all.sort_by(|left, right| left.squared.total_cmp(&right.squared).then(left.index.cmp(&right.index)));
        all
    }

    #[test]
    fn neighbours_are_those_of_brute_force() {
        for count in [1, 2, 5, 16, 17, 33, 500] {
            let mut points = cloud(count);
            points.push(points[0]);
            let tree = Tree::new(&points);
            let k = 7.min(points.len());
            let all = tree.neighbors_of_all(k, |index, list| {
                assert_eq!(list, &brute(&points, &points[index])[..k], "{count}, point {index}");
                index
            });
            assert_eq!(all, (0..points.len()).collect::<Vec<_>>());
            for query in cloud(40).iter().map(|point| point * 1.3) {
                let want = brute(&points, &query);
                assert_eq!(tree.nearest(&query, f32::INFINITY), want.first().copied(), "{count}");
                let two = tree.nearest_two(&query, f32::INFINITY);
                assert_eq!(two[..], want[..2], "{count}");
                assert_eq!(tree.nearest_two(&query, two[1].squared), two);
                let mut found = Vec::new();
                tree.within(&query, 2.0, &mut found);
                found.sort_by(|left, right| {
                    left.squared.total_cmp(&right.squared).then(left.index.cmp(&right.index))
                });
                let near: Vec<_> = want.into_iter().filter(|neighbor| neighbor.squared <= 4.0).collect();
                assert_eq!(found, near);
            }
        }
    }

    #[test]
    fn what_is_too_far_is_not_found() {
        let tree = Tree::new(&[Vector3::new(1.0, 0.0, 0.0)]);
        assert_eq!(tree.nearest(&Vector3::zeros(), 0.9), None);
        assert_eq!(Tree::new(&[]).nearest(&Vector3::zeros(), f32::INFINITY), None);
    }
}
