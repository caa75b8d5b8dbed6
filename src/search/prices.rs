//! What a change of a site is worth: one for each, or what the user's file says of it.

use super::document::{Levels, Price};
use crate::error::{Error, Result};
use crate::suggest::nearest;

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
/// `activation`. A drop below zero counts as none. Fails for a change without a price, and for a node or an activation that is not
/// in question.
pub fn read(text: &str, levels: &[Levels]) -> Result<Vec<Price>> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let header = lines.next().map(|(_, line)| cells(line)).unwrap_or_default();
    let column = |name: &str| header.iter().position(|title| title.trim() == name);
    let (Some(node), Some(drop)) = (column("node"), column("drop")) else {
        return Err(Error::input("the first line must name the columns: node, activation, drop"));
    };
    let activation = column("activation");
    let mut prices = vec![];
    for (number, line) in lines {
        let at = |e: Error| e.context(format!("line {}", number + 1));
        let cells = cells(line);
        let cell = |column: usize| cells.get(column).map_or("", |cell| cell.trim());
        let site = site(levels, cell(node)).map_err(at)?;
        let price = cell(drop).parse::<f64>().ok().filter(|price| price.is_finite());
        let price =
            price.ok_or_else(|| at(Error::input(format!("drop {:?} is no number", cell(drop)))))?.max(0.0);
        let named = activation.map(cell);
        let all = site.activations.iter().skip(1);
        let meant: Vec<&String> = all.filter(|a| named.is_none_or(|named| *a == named)).collect();
        // What stands there already, or is not among those asked for, costs nothing to say.
        prices.extend(meant.into_iter().map(|activation| Price {
            node: site.node.clone(),
            activation: activation.clone(),
            price,
        }));
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

fn site<'l>(levels: &'l [Levels], name: &str) -> Result<&'l Levels> {
    levels.iter().find(|levels| levels.node == name).ok_or_else(|| {
        let near = nearest(name, levels.iter().map(|levels| levels.node.as_str()));
        let near = near.map_or(String::new(), |near| format!(" (did you mean {near}?)"));
        Error::input(format!("no site in question is called {name:?}{near}"))
    })
}

/// The cells of a line of CSV: those with commas stand in quotes, in which a quote is written twice.
fn cells(line: &str) -> Vec<String> {
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
    cells
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
        let prices = read(text, &levels()).unwrap();
        assert_eq!(table(&levels(), &prices), [[0.0, 0.5, 0.25], [0.0, 0.0, 1.0]]);
        let short = "drop,node\r\n2,/a\r\n3,\"/b, c\"\r\n";
        assert_eq!(table(&levels(), &read(short, &levels()).unwrap()), [[0.0, 2.0, 2.0], [0.0, 3.0, 3.0]]);
        assert_eq!(table(&levels(), &[]), [[0.0, 1.0, 1.0]; 2]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let wrong = |text: &str| read(text, &levels()).unwrap_err().message;
        assert!(wrong("").contains("must name the columns"));
        assert!(wrong("node,drop\n/a,1\n").contains("no drop is given for relu at /b, c, nor for 1 more"));
        assert!(
            wrong("node,drop\n/ab,1\n")
                .contains("line 2: no site in question is called \"/ab\" (did you mean /a?)")
        );
        assert!(wrong("node,drop\n/a,much\n").contains("line 2: drop \"much\" is no number"));
        assert!(wrong("node,drop\n/a,NaN\n").contains("is no number"));
    }
}
