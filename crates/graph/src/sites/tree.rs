//! Trees that grow by one leaf at a time, and the nearest common ancestor of two of their members.

/// A forest over numbers. Each member knows its parent, and an ancestor far up to which it can jump, so that a common
/// ancestor is found in a number of steps that grows with the logarithm of the depth (E. Myers, 1983).
pub struct Forest {
    parent: Vec<usize>,
    jump: Vec<usize>,
    depth: Vec<u32>,
}

impl Forest {
    /// So many members, each a root.
    pub fn new(members: usize) -> Self {
        let own: Vec<usize> = (0..members).collect();
        Self { parent: own.clone(), jump: own, depth: vec![0; members] }
    }

    /// Hangs a root, on which nothing hangs yet, under a parent.
    pub fn hang(&mut self, leaf: usize, parent: usize) {
        let jump = self.jump[parent];
        let even = self.depth[parent] - self.depth[jump] == self.depth[jump] - self.depth[self.jump[jump]];
        self.parent[leaf] = parent;
        self.jump[leaf] = if even { self.jump[jump] } else { parent };
        self.depth[leaf] = self.depth[parent] + 1;
    }

    pub fn parent(&self, member: usize) -> Option<usize> {
        Some(self.parent[member]).filter(|&parent| parent != member)
    }

    /// The nearest member above both, or one of them; `None` where they hang on different roots.
    pub fn common(&self, a: usize, b: usize) -> Option<usize> {
        let (mut a, mut b) = if self.depth[a] < self.depth[b] { (b, a) } else { (a, b) };
        while self.depth[a] > self.depth[b] {
            a = if self.depth[self.jump[a]] >= self.depth[b] { self.jump[a] } else { self.parent[a] };
        }
        while a != b {
            if self.parent[a] == a {
                return None;
            }
            // Members of one depth jump to one depth.
            (a, b) = if self.jump[a] == self.jump[b] {
                (self.parent[a], self.parent[b])
            } else {
                (self.jump[a], self.jump[b])
            };
        }
        Some(a)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn common_ancestors_are_those_of_a_walk(parents in proptest::collection::vec(any::<proptest::sample::Index>(), 2..80)) {
            let mut forest = Forest::new(parents.len());
            // Every fifth stays a root.
            for (i, parent) in parents.iter().enumerate().filter(|(i, _)| i % 5 != 0) {
                forest.hang(i, parent.index(i));
            }
            let ancestors = |mut member: usize| {
                let mut all = vec![member];
                while let Some(parent) = forest.parent(member) {
                    all.push(parent);
                    member = parent;
                }
                all
            };
            for a in 0..parents.len() {
                for b in 0..parents.len() {
                    let above_b = ancestors(b);
                    let walked = ancestors(a).into_iter().find(|member| above_b.contains(member));
                    prop_assert_eq!(forest.common(a, b), walked);
                }
            }
        }
    }
}
