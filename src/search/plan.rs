//! What a search is about: the sites in question, what may stand at each, and the variant that a design comes to.

use super::design::Design;
use super::document::{Against, Budget, Levels, Price};
use crate::activation::Activation;
use crate::engines;
use crate::error::{Error, Result};
use crate::measure::{Measurement, Planned, PlannedEngine};
use crate::onnx::Model;
use crate::record::{Lowering, Role};
use crate::swap::mix::Rule;
use crate::swap::{self, Assignment, Found, Mix, Selection};

/// All that a search is asked to do.
pub struct Plan {
    /// How variants are measured, and for how long in all; it has none yet.
    pub measurement: Measurement,
    pub engine: PlannedEngine,
    pub lowering: Lowering,
    pub among: Vec<Activation>,
    pub budget: Option<Budget>,
    pub against: Against,
    /// What changes are worth, where that is given.
    pub prices: Vec<Price>,
    pub sites: Sites,
}

/// The sites in question.
pub struct Sites {
    model: Model,
    found: Found,
    /// The ones in question among all that were found.
    chosen: Vec<usize>,
    /// What may stand at each of them; the first stays as it is.
    levels: Vec<Vec<Option<Activation>>>,
    /// The same for documents.
    pub told: Vec<Levels>,
}

impl Sites {
    /// Those that are selected, each with the activations that can stand there and don't yet. Fails where there is nothing to choose.
    pub fn of(model: &Model, selection: &Selection, among: &[Activation]) -> Result<Self> {
        let (model, found) = swap::flat(model);
        let model = model.into_owned();
        let (found, selected) = selection.choose(found)?;
        let original = swap::original(&model, &found, &selected);
        let mut levels = vec![vec![None]; selected.len()];
        for activation in among {
            let name = activation.to_string();
            let others = selected.iter().copied().filter(|&site| original.sites[site].from != name);
            let assignment: Assignment = others.map(|site| (site, activation.clone())).collect();
            if assignment.is_empty() {
                continue;
            }
            let variant = swap::assign(&model, &found, &assignment, &|_| Lowering::Exported)?;
            for (levels, site) in levels.iter_mut().zip(&selected) {
                if assignment.contains_key(site) && variant.sites[*site].selected {
                    levels.push(Some(activation.clone()));
                }
            }
        }
        let (chosen, levels): (Vec<usize>, Vec<_>) =
            selected.into_iter().zip(levels).filter(|(_, levels)| levels.len() > 1).unzip();
        if chosen.is_empty() {
            return Err(Error::input(
                "--among: there is nothing to choose: every selected site has that activation already",
            ));
        }
        let told = chosen.iter().zip(&levels).map(|(&site, levels)| Levels {
            node: original.sites[site].node.clone(),
            activations: levels
                .iter()
                .map(|level| level.as_ref().map_or(original.sites[site].from.clone(), ToString::to_string))
                .collect(),
        });
        let told = told.collect();
        let sites = Self { model, found, chosen, levels, told };
        sites.check_names()?;
        Ok(sites)
    }

    /// Fails for a site of which no mix can be written, before anything is measured.
    fn check_names(&self) -> Result<()> {
        let wild = self.told.iter().enumerate().filter(|(_, levels)| levels.node.contains(['*', '?']));
        for (site, levels) in wild {
            let mut design = vec![0; self.told.len()];
            design[site] = 1;
            self.mix(&design, "one").map_err(|e| e.context(&levels.node))?;
        }
        Ok(())
    }

    /// The design that has this activation at all sites where it can stand.
    pub fn everywhere(&self, activation: &Activation) -> Design {
        let level = |levels: &Vec<Option<Activation>>| {
            levels.iter().position(|level| level.as_ref() == Some(activation)).unwrap_or(0)
        };
        self.levels.iter().map(level).collect()
    }

    /// The mix that comes to a design, under this name.
    pub fn mix(&self, design: &Design, name: &str) -> Result<Mix> {
        let to = |(site, &level): (usize, &usize)| self.levels[site][level].clone();
        let each: Vec<Option<Activation>> = design.iter().enumerate().map(to).collect();
        // What most sites become needs no rule, unless it would be for sites that are not in question.
        let whole = self.chosen.len() == self.found.sites.len();
        let count =
            |activation: &Option<Activation>| each.iter().filter(|other| *other == activation).count();
        let most = each.iter().max_by_key(|activation| count(activation)).cloned().flatten();
        let base = most.filter(|_| whole);
        let rules = each.into_iter().zip(&self.told).filter(|(to, _)| *to != base);
        let rules = rules.map(|(to, levels)| Rule { pattern: levels.node.clone(), to });
        // A site that stays as it is needs no rule where nothing else is for it.
        let rules = rules.filter(|rule| base.is_some() || rule.to.is_some()).collect();
        let mix = Mix::called(name, &Mix { name: None, base, rules }.to_string())?;
        // A name that holds a wildcard may be a pattern for others.
        match mix.resolve(&self.found, &self.chosen)? == self.assignment(design) {
            true => Ok(mix),
            false => Err(Error::input(
                "the name holds wildcards that fit other sites, too: no mix can be written of it; leave it out with --skip",
            )),
        }
    }

    /// Which activation comes to which site.
    fn assignment(&self, design: &Design) -> Assignment {
        let to =
            |(site, &level): (usize, &usize)| Some((self.chosen[site], self.levels[site][level].clone()?));
        design.iter().enumerate().filter_map(to).collect()
    }

    /// Whether the model has such a site, be it in question or not.
    pub fn has(&self, node: &str) -> bool {
        self.found.sites.iter().any(|site| site.name == node)
    }
}

impl Plan {
    /// The variant that a design comes to.
    pub fn variant(&self, design: &Design, name: &str, rule: String) -> Result<Planned> {
        let sites = &self.sites;
        let assignment = sites.assignment(design);
        let abilities = engines::named(&self.engine.choice.name)?.about().1;
        let lowering = |to: &Activation| swap::effective(self.lowering, to, &abilities);
        let variant = swap::assign(&sites.model, &sites.found, &assignment, &lowering)?;
        Ok(self.planned(name, Role::Swap, rule, variant))
    }

    pub fn original(&self) -> Planned {
        let variant = swap::original(&self.sites.model, &self.sites.found, &self.sites.chosen);
        self.planned("original", Role::Original, String::new(), variant)
    }

    fn planned(&self, name: &str, role: Role, rule: String, variant: swap::Variant) -> Planned {
        let lowering = if variant.kernels() > 0 { Lowering::Kernel } else { Lowering::Exported };
        Planned {
            subject: 0,
            name: name.into(),
            role,
            engine: self.engine.clone(),
            rule,
            lowering,
            knobs: Default::default(),
            variant,
        }
    }
}
