//! What a change of a site is worth: one for each, or what the user's file says of it.

use super::document::{Levels, Price};
use crate::activation::Activation;
use crate::error::{Error, Result};
use crate::suggest::nearest;
use crate::units;

/// Prices by site and level, level 0 included, which is free. Without any price each change is worth one.
pub fn table(levels: &[Levels], prices: &[Price]) -> Vec<Vec<f64>> {
    let of = |levels: &Levels| {
        let price = |activation: &String| match prices.is_empty() {
            true => 1.0,
            false => prices
                .iter()
                .find(|price| price.node == levels.node && price.activation == *activation)
                .map_or(0.0, |price| price.price),
        };
        std::iter::once(0.0).chain(levels.activations.iter().skip(1).map(price)).collect()
    };
    levels.iter().map(of).collect()
}

/// Reads a file of prices: CSV with the columns `node`, `drop` (in accuracy, or whatever is lost) and, unless it is the same for all,
/// `activation`. A drop below zero counts as none; a site of the model (`has`) or an activation that is not in question is passed over.
/// Fails for a change without a price or with two, for what is no site or no activation, and for a line with too few cells or too
/// many: in `/a,relu,0,5` the comma of 0,5 would end the number.
pub fn read(text: &str, levels: &[Levels], has: &dyn Fn(&str) -> bool) -> Result<Vec<Price>> {
    let text = text.trim_start_matches('\u{feff}');
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let header = lines.next().map(|(_, line)| cells(line)).transpose()?.unwrap_or_default();
    let column = |name: &str| header.iter().position(|title| title.trim().eq_ignore_ascii_case(name));
    let (Some(node), Some(drop)) = (column("node"), column("drop")) else {
        return Err(Error::input("the first line must name the columns: node, activation, drop"));
    };
    let activation = column("activation");
    let mut prices: Vec<Price> = vec![];
    for (number, line) in lines {
        let at = |e: Error| e.context(format!("line {}", number + 1));
        let cells = cells(line).map_err(at)?;
        if cells.len() != header.len() {
            let (here, first) = (units::count(cells.len(), "cell"), header.len());
            return Err(at(Error::input(format!(
                "it has {here}, and the first line {first}: write 0.5 with a point, and a name with a comma in double quotes"
            ))));
        }
        let cell = |column: usize| cells[column].trim();
        let price = cell(drop).parse::<f64>().ok().filter(|price| price.is_finite());
        let price =
            price.ok_or_else(|| at(Error::input(format!("drop {:?} is no number", cell(drop)))))?.max(0.0);
        let named = activation.map(|column| Activation::parse(cell(column))).transpose().map_err(at)?;
        let named = named.map(|activation| activation.to_string());
        let Some(site) = site(levels, cell(node), has).map_err(at)? else { continue };
        let all = site.activations.iter().skip(1);
        for activation in all.filter(|a| named.as_ref().is_none_or(|named| *a == named)) {
            if prices.iter().any(|price| price.node == site.node && price.activation == *activation) {
                return Err(at(Error::input(format!("{activation} at {} has a drop already", site.node))));
            }
            prices.push(Price { node: site.node.clone(), activation: activation.clone(), price });
        }
    }
    let is_priced = |node: &String, activation: &String| {
        prices.iter().any(|price| price.node == *node && price.activation == *activation)
    };
    let all = levels.iter().flat_map(|l| l.activations.iter().skip(1).map(move |a| (&l.node, a)));
    let missing: Vec<_> = all.filter(|(node, activation)| !is_priced(node, activation)).collect();
    match missing.first() {
        Some((node, activation)) => Err(Error::input(format!(
            "no drop is given for {activation} at {node}{}",
            if missing.len() > 1 { format!(", nor for {} more", missing.len() - 1) } else { String::new() }
        ))),
        None => Ok(prices),
    }
}

/// The site in question of this name; none for another site of the model.
fn site<'l>(levels: &'l [Levels], name: &str, has: &dyn Fn(&str) -> bool) -> Result<Option<&'l Levels>> {
    let found = levels.iter().find(|levels| levels.node == name);
    if found.is_some() || has(name) {
        return Ok(found);
    }
    let near = nearest(name, levels.iter().map(|levels| levels.node.as_str()));
    let near = near.map_or(String::new(), |near| format!(" (did you mean {near}?)"));
    Err(Error::input(format!("the model has no site {name:?}{near}")))
}

/// The cells of a line of CSV: those with commas stand in quotes, in which a quote is written twice.
fn cells(line: &str) -> Result<Vec<String>> {
    let (mut cells, mut quoted) = (vec![String::new()], false);
    let mut characters = line.trim_end_matches('\r').chars().peekable();
    while let Some(c) = characters.next() {
        match (c, quoted) {
            ('"', true) if characters.peek() == Some(&'"') => {
                characters.next();
                cells.last_mut().into_iter().for_each(|cell| cell.push('"'));
            }
            ('"', _) => quoted = !quoted,
            (',', false) => cells.push(String::new()),
            (c, _) => cells.last_mut().into_iter().for_each(|cell| cell.push(c)),
        }
    }
    match quoted {
        true => Err(Error::input("a quote is open: close it, and write a quote in a name twice")),
        false => Ok(cells),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels() -> Vec<Levels> {
        let of = |node: &str| Levels {
            node: node.into(),
            activations: ["silu", "relu", "hard_swish"].map(str::to_owned).to_vec(),
        };
        vec![of("/a"), of("/b, c")]
    }

    #[test]
    fn a_file_prices_every_change() {
        let text = "node,activation,drop\n/a,relu,0.5\n/a,hard_swish,0.25\n\"/b, c\",relu,-0.1\n\"/b, c\",hard_swish,1\n";
        let prices = read(text, &levels(), &|_| false).unwrap();
        assert_eq!(table(&levels(), &prices), [[0.0, 0.5, 0.25], [0.0, 0.0, 1.0]]);
        let short = "Drop,Node\r\n2,/a\r\n3,\"/b, c\"\r\n";
        assert_eq!(
            table(&levels(), &read(short, &levels(), &|_| false).unwrap()),
            [[0.0, 2.0, 2.0], [0.0, 3.0, 3.0]]
        );
        assert_eq!(table(&levels(), &[]), [[0.0, 1.0, 1.0]; 2]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let wrong = |text: &str| read(text, &levels(), &|node| node == "/other").unwrap_err().message;
        assert!(wrong("").contains("must name the columns"));
        assert!(wrong("node,drop\n/a,1\n").contains("no drop is given for relu at /b, c, nor for 1 more"));
        assert!(
            wrong("node,drop\n/ab,1\n").contains("line 2: the model has no site \"/ab\" (did you mean /a?)")
        );
        assert!(wrong("\u{feff}node,drop\n/other,1\n/a,1\n").contains("no drop is given for relu at /b, c"));
        assert!(wrong("node,drop\n/a,1\n/a,2\n").contains("line 3: relu at /a has a drop already"));
        assert!(wrong("node,activation,drop\n/a,rleu,1\n").contains("did you mean relu"));
        assert!(wrong("node,drop\n/a,much\n").contains("line 2: drop \"much\" is no number"));
        assert!(wrong("node,drop\n/a,NaN\n").contains("is no number"));
        let cut = "node,activation,drop\n/a,relu,0,5\n";
        assert!(wrong(cut).contains("line 2: it has 4 cells, and the first line 3: write 0.5 with a point"));
        assert!(wrong("node,activation,drop\n/a,relu\n").contains("line 2: it has 2 cells"));
        assert!(wrong("node,drop\n\"/a,1\n").contains("line 2: a quote is open"));
    }
}
