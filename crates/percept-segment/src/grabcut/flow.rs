//! The least cut between two terminals: Boykov and Kolmogorov 2004, "An experimental comparison of
//! min-cut/max-flow algorithms for energy minimization in vision".
//!
//! Two trees grow from the terminals along arcs with capacity left. Where they meet there is a path; flow goes along
//! it, and nodes whose arc to their parent is now full look for another parent or leave the tree.

use std::collections::VecDeque;

const NONE: u32 = u32::MAX;
const TERMINAL: u32 = u32::MAX - 1;
const ORPHAN: u32 = u32::MAX - 2;

/// Nodes between a source and a sink.
pub(super) struct FlowGraph {
    nodes: Vec<Node>,
    /// In pairs: arc `i ^ 1` goes the other way.
    arcs: Vec<Arc>,
    active: VecDeque<u32>,
    orphans: Vec<u32>,
    time: u32,
}

#[derive(Clone)]
struct Node {
    first: u32,
    /// Capacity left from the source, or if negative to the sink.
    terminal: f64,
    /// The arc to the parent, or what there is instead of one.
    parent: u32,
    /// When `distance` to the terminal was last known to be right.
    time: u32,
    distance: u32,
    /// 0 in the source's tree, 1 in the sink's: what turns an arc into the direction of the flow.
    tree: u32,
    queued: bool,
}

struct Arc {
    to: u32,
    next: u32,
    left: f64,
}

impl FlowGraph {
    /// One node a number: its capacity from the source, or if negative to the sink.
    pub(super) fn new(terminals: Vec<f64>) -> Self {
        let node = |terminal| Node {
            first: NONE,
            terminal,
            parent: NONE,
            time: 0,
            distance: 0,
            tree: 0,
            queued: false,
        };
        let nodes = terminals.into_iter().map(node).collect();
        Self { nodes, arcs: Vec::new(), active: VecDeque::new(), orphans: Vec::new(), time: 0 }
    }

    /// Joins two nodes with this capacity both ways.
    pub(super) fn join(&mut self, a: usize, b: usize, capacity: f64) {
        for (from, to) in [(a, b), (b, a)] {
            let index = self.arcs.len() as u32;
            self.arcs.push(Arc { to: to as u32, next: self.nodes[from].first, left: capacity });
            self.nodes[from].first = index;
        }
    }

    /// Which nodes are on the source's side of the least cut.
    pub(super) fn cut(mut self) -> Vec<bool> {
        for index in 0..self.nodes.len() {
            let node = &mut self.nodes[index];
            if node.terminal != 0.0 {
                (node.parent, node.distance, node.tree) = (TERMINAL, 1, u32::from(node.terminal < 0.0));
                self.activate(index as u32);
            }
        }
        while let Some(meeting) = self.grow() {
            self.augment(meeting);
            self.time += 1;
            while let Some(orphan) = self.orphans.pop() {
                self.adopt(orphan);
            }
        }
        self.nodes.iter().map(|node| node.parent != NONE && node.tree == 0).collect()
    }

    fn activate(&mut self, index: u32) {
        if !std::mem::replace(&mut self.nodes[index as usize].queued, true) {
            self.active.push_back(index);
        }
    }

    /// The arcs from a node.
    fn arcs_of(&self, index: u32) -> impl Iterator<Item = u32> + use<'_> {
        let first = self.nodes[index as usize].first;
        std::iter::successors((first != NONE).then_some(first), |arc| {
            let next = self.arcs[*arc as usize].next;
            (next != NONE).then_some(next)
        })
    }

    fn end(&self, arc: u32) -> u32 {
        self.arcs[arc as usize].to
    }

    fn left(&self, arc: u32) -> f64 {
        self.arcs[arc as usize].left
    }

    /// Grows the trees until they meet: the arc from the source's tree to the sink's.
    fn grow(&mut self) -> Option<u32> {
        while let Some(&index) = self.active.front() {
            let node = self.nodes[index as usize].clone();
            let mut next = if node.parent == NONE { NONE } else { node.first };
            while next != NONE {
                let arc = next;
                next = self.arcs[arc as usize].next;
                if self.left(arc ^ node.tree) <= 0.0 {
                    continue;
                }
                let other_index = self.end(arc);
                let other = &mut self.nodes[other_index as usize];
                if other.parent == NONE {
                    (other.tree, other.parent) = (node.tree, arc ^ 1);
                    (other.time, other.distance) = (node.time, node.distance + 1);
                    self.activate(other_index);
                } else if other.tree != node.tree {
                    return Some(arc ^ node.tree);
                } else if other.distance > node.distance + 1 && other.time <= node.time {
                    // A shorter way to the terminal.
                    (other.parent, other.time, other.distance) = (arc ^ 1, node.time, node.distance + 1);
                }
            }
            self.active.pop_front();
            self.nodes[index as usize].queued = false;
        }
        None
    }

    /// Sends what fits along the path over this arc.
    fn augment(&mut self, meeting: u32) {
        let mut flow = self.left(meeting);
        for (side, mut index) in self.path_ends(meeting) {
            loop {
                let node = &self.nodes[index as usize];
                if node.parent == TERMINAL {
                    flow = flow.min(node.terminal.abs());
                    break;
                }
                flow = flow.min(self.left(node.parent ^ side));
                index = self.end(node.parent);
            }
        }
        self.arcs[meeting as usize].left -= flow;
        self.arcs[(meeting ^ 1) as usize].left += flow;
        for (side, mut index) in self.path_ends(meeting) {
            loop {
                let parent = self.nodes[index as usize].parent;
                if parent == TERMINAL {
                    break;
                }
                self.arcs[(parent ^ side ^ 1) as usize].left += flow;
                let arc = &mut self.arcs[(parent ^ side) as usize];
                arc.left -= flow;
                if arc.left <= 0.0 {
                    self.orphan(index);
                }
                index = self.end(parent);
            }
            let node = &mut self.nodes[index as usize];
            node.terminal += if side == 1 { -flow } else { flow };
            if node.terminal == 0.0 {
                self.orphan(index);
            }
        }
    }

    /// Both ends of the arc where the trees meet, with what turns an arc to the parent into the flow's direction.
    fn path_ends(&self, meeting: u32) -> [(u32, u32); 2] {
        [(1, self.end(meeting ^ 1)), (0, self.end(meeting))]
    }

    fn orphan(&mut self, index: u32) {
        self.nodes[index as usize].parent = ORPHAN;
        self.orphans.push(index);
    }

    /// Finds the orphan the parent that is nearest to the terminal, or sets it free.
    fn adopt(&mut self, index: u32) {
        let tree = self.nodes[index as usize].tree;
        let mut best: Option<(u32, u32)> = None;
        let mut next = self.nodes[index as usize].first;
        while next != NONE {
            let arc = next;
            next = self.arcs[arc as usize].next;
            let other = &self.nodes[self.end(arc) as usize];
            if self.left(arc ^ tree ^ 1) <= 0.0 || other.tree != tree || other.parent == NONE {
                continue;
            }
            if let Some(distance) = self.distance(self.end(arc))
                && best.is_none_or(|(shortest, _)| distance + 1 < shortest)
            {
                best = Some((distance + 1, arc));
            }
        }
        if let Some((distance, arc)) = best {
            let node = &mut self.nodes[index as usize];
            (node.parent, node.time, node.distance) = (arc, self.time, distance);
            return;
        }
        (self.nodes[index as usize].parent, self.nodes[index as usize].time) = (NONE, 0);
        let neighbours: Vec<u32> = self.arcs_of(index).collect();
        for arc in neighbours {
            let other_index = self.end(arc);
            let other = &self.nodes[other_index as usize];
            let parent = other.parent;
            if other.tree != tree || parent == NONE {
                continue;
            }
            if self.left(arc ^ tree ^ 1) > 0.0 {
                self.activate(other_index);
            }
            if parent < ORPHAN && self.end(parent) == index {
                self.orphan(other_index);
            }
        }
    }

    /// Arcs from a node to its terminal, and notes it on the way; `None` where the way ends at an orphan.
    fn distance(&mut self, start: u32) -> Option<u32> {
        let (mut index, mut steps) = (start, 0);
        let mut total = loop {
            let node = &self.nodes[index as usize];
            if node.time == self.time {
                break steps + node.distance;
            }
            match node.parent {
                ORPHAN | NONE => return None,
                TERMINAL => break steps + 1,
                parent => index = self.end(parent),
            }
            steps += 1;
        };
        let distance = total;
        index = start;
        loop {
            let time = self.time;
            let node = &mut self.nodes[index as usize];
            if node.time == time {
                break;
            }
            (node.time, node.distance) = (time, total);
            match node.parent {
                TERMINAL => break,
                parent => index = self.end(parent),
            }
            total -= 1;
        }
        Some(distance)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cost(terminals: &[f64], edges: &[(usize, usize, f64)], side: impl Fn(usize) -> bool) -> f64 {
        let terminal = |index: usize| match side(index) {
            true => (-terminals[index]).max(0.0),
            false => terminals[index].max(0.0),
        };
        let cut = edges.iter().filter(|edge| side(edge.0) != side(edge.1)).map(|edge| edge.2);
        (0..terminals.len()).map(terminal).sum::<f64>() + cut.sum::<f64>()
    }

    proptest! {
        /// Against all the cuts there are.
        #[test]
        fn no_cut_is_cheaper(
            terminals in prop::collection::vec(-9..10_i32, 1..10),
            edges in prop::collection::vec((0..10_usize, 0..10_usize, 0..9_i32), 0..30),
        ) {
            let count = terminals.len();
            let terminals: Vec<f64> = terminals.into_iter().map(f64::from).collect();
            let edges: Vec<_> = edges
                .into_iter()
                .map(|(a, b, capacity)| (a % count, b % count, f64::from(capacity)))
                .filter(|(a, b, _)| a != b)
                .collect();
            let mut graph = FlowGraph::new(terminals.clone());
            edges.iter().for_each(|(a, b, capacity)| graph.join(*a, *b, *capacity));
            let sides = graph.cut();
            let ours = cost(&terminals, &edges, |index| sides[index]);
            let best = (0..1_u32 << count)
                .map(|sides| cost(&terminals, &edges, |index| sides >> index & 1 == 1))
                .fold(f64::INFINITY, f64::min);
            prop_assert_eq!(ours, best);
        }
    }
}
