//! Where the coefficients come from: least squares (Levenberg and Marquardt's method) against a leaky ReLU of
//! slope 0.01, at 1,201 points of [-3, 3].

use super::{HP1, HP2, Jet, PAU, hp1, hp2, pau};

/// Residuals of a function of its free parameters.
fn residuals(f: &dyn Fn(f64, &[f64]) -> f64, p: &[f64]) -> Vec<f64> {
    let at = |i: i32| {
        let x = f64::from(i) / 200.0;
        f(x, p) - if x >= 0.0 { x } else { 0.01 * x }
    };
    (-600..=600).map(at).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Solves a x = b for a positive definite matrix, by elimination.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for i in 0..n {
        for j in i + 1..n {
            let factor = a[j][i] / a[i][i];
            let (above, row) = a.split_at_mut(j);
            row[0].iter_mut().zip(&above[i]).for_each(|(v, u)| *v -= factor * u);
            b[j] -= factor * b[i];
        }
    }
    for i in (0..n).rev() {
        let known = dot(&a[i][i + 1..], &b[i + 1..]);
        b[i] = (b[i] - known) / a[i][i];
    }
    b
}

/// The parameters that fit best, from a start.
fn fit(f: &dyn Fn(f64, &[f64]) -> f64, start: &[f64]) -> Vec<f64> {
    let mut p = start.to_vec();
    let mut r = residuals(f, &p);
    let mut damping = 1e-3;
    for _ in 0..500 {
        let column = |i: usize| {
            let h = 1e-6 * p[i].abs().max(1e-3);
            let shifted = |by: f64| {
                let mut q = p.clone();
                q[i] += by;
                residuals(f, &q)
            };
            shifted(h).iter().zip(shifted(-h)).map(|(a, b)| (a - b) / (2.0 * h)).collect::<Vec<_>>()
        };
        let columns: Vec<Vec<f64>> = (0..p.len()).map(column).collect();
        let gradient: Vec<f64> = columns.iter().map(|c| -dot(c, &r)).collect();
        let better = (0..40).find_map(|_| {
            let mut normal: Vec<Vec<f64>> =
                columns.iter().map(|a| columns.iter().map(|b| dot(a, b)).collect()).collect();
            for (i, row) in normal.iter_mut().enumerate() {
                row[i] += damping * (row[i] + 1e-12);
            }
            let step = solve(normal, gradient.clone());
            let q: Vec<f64> = p.iter().zip(step).map(|(p, s)| p + s).collect();
            let s = residuals(f, &q);
            let found = dot(&s, &s) < dot(&r, &r);
            damping = if found { (damping / 3.0).max(1e-12) } else { damping * 4.0 };
            found.then_some((q, s))
        });
        let Some((q, s)) = better else { break };
        let gain = 1.0 - dot(&s, &s) / dot(&r, &r);
        (p, r) = (q, s);
        if gain < 1e-15 {
            break;
        }
    }
    p
}

/// Holds checked-in coefficients to a new fit: the functions agree to 1e-6 on the interval.
fn check(name: &str, f: fn(f64, &[f64]) -> Jet, written: &[f64], fitted: &[f64], error: f64) {
    for i in -300..=300 {
        let x = f64::from(i) / 100.0;
        let (is, should) = (f(x, written).value, f(x, fitted).value);
        assert!((is - should).abs() < 1e-6, "{name} at {x}: {is}, fitted {should}; fitted: {fitted:?}");
    }
    let r = residuals(&|x, p| f(x, p).value, written);
    let is = (dot(&r, &r) / r.len() as f64).sqrt();
    assert!((is / error - 1.0).abs() < 0.01, "{name} is {is} away from a leaky ReLU");
}

#[test]
fn pau_is_fitted_to_a_leaky_relu() {
    let fitted = fit(&|x, p| pau(x, p).value, &[0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.1, 0.5, 0.1, 0.1]);
    check("pau", pau, &PAU, &fitted, 0.00554);
}

#[test]
fn hp1_is_fitted_to_a_leaky_relu() {
    let whole = |p: &[f64]| [&p[..5], &[0.505 * 0.01], &p[5..], &[0.0, 0.01]].concat();
    let fitted = fit(&|x, p| hp1(x, &whole(p)).value, &[1.0, 1.0, 0.5, 0.1, 0.01, 1.0, 0.5]);
    check("hp1", hp1, &HP1, &whole(&fitted), 0.03186);
}

#[test]
fn hp2_is_fitted_to_a_leaky_relu() {
    let fitted = fit(&|x, p| hp2(x, p).value, &[0.5, 0.5, 0.2, 0.1, 0.05, 0.02, 0.1, 0.1, 0.1, 0.1]);
    check("hp2", hp2, &HP2, &fitted, 0.01472);
}
